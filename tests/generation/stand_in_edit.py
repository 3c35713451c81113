"""A Qwen-Image-Edit of random weights, in each of its pipelines: every class the real one, two layers, 2 MB."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
)
from safetensors.torch import save_file
from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from qiltest.generation.schedule import QWEN_IMAGE

from .stand_in import lora_weights, seeing_tokenizer, text_encoder, transformer, vision_ids

#: imported here, not by name where one is built: a pytest within a test forgets modules that were imported in it, and
#: diffusers would keep a class of a module that the next test imports anew.
PIPELINES = {kind.__name__: kind for kind in (QwenImageEditPipeline, QwenImageEditPlusPipeline)}


def build(folder: Path, pipeline: str, *, seed: int = 0, zero_cond_t: bool = False) -> Path:
    """Write the stand-in of a pipeline class to `folder`; `zero_cond_t` is what 2511 has and 2509 has not."""
    torch.manual_seed(seed)
    tokens = seeing_tokenizer()
    made = PIPELINES[pipeline](
        scheduler=FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE),
        vae=AutoencoderKLQwenImage(base_dim=16, num_res_blocks=1),
        text_encoder=text_encoder(len(tokens), **vision_ids(tokens)),
        tokenizer=tokens,
        processor=Qwen2VLProcessor(
            image_processor=Qwen2VLImageProcessor(), tokenizer=tokens, video_processor=Qwen2VLVideoProcessor()
        ),
        transformer=transformer(zero_cond_t=zero_cond_t),
    )
    made.to(dtype=torch.bfloat16)
    made.save_pretrained(folder, safe_serialization=True)
    (folder / "loras").mkdir(exist_ok=True)
    save_file(lora_weights(seed=4), folder / "loras" / "4step.safetensors", {"format": "pt"})
    return folder
