"""Pictures: pipeline, LoRA, step timing, the embedded model.

torch and diffusers are imported by the private modules of this folder alone, and only when a picture is drawn.
"""

from qiltest.generation.records import Denoised, Generation, Generator, LatentStats

__all__ = ["Denoised", "Generation", "Generator", "LatentStats"]
