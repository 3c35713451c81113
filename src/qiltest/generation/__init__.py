"""Generate images: pipeline, LoRA, step timing, the embedded model.

torch and diffusers are imported by the private modules of this folder alone, and only when an image is generated.
"""

from qiltest.generation.images import finish
from qiltest.generation.opening import open_generator
from qiltest.generation.records import Decoded, Denoised, Generation, Generator, LatentStats, Timing
from qiltest.generation.settings import Settings
from qiltest.generation.sources import resolve_lora, resolve_model

__all__ = [
    "Decoded",
    "Denoised",
    "Generation",
    "Generator",
    "LatentStats",
    "Settings",
    "Timing",
    "finish",
    "open_generator",
    "resolve_lora",
    "resolve_model",
]
