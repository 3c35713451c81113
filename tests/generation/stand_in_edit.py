"""A Qwen-Image-Edit of random weights, in each of its pipelines: every class the real one, two layers, 2 MB."""

from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from safetensors.torch import save_file
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from qiltest.generation.schedule import QWEN_IMAGE

from .stand_in import LAYERS, WIDTH, byte_vocabulary, lora_weights

_VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")


def tokenizer() -> Qwen2Tokenizer:
    made = Qwen2Tokenizer(vocab=byte_vocabulary(), merges=[])
    made.add_tokens(["<|im_start|>", "<|im_end|>", *_VISION], special_tokens=True)
    return made


def text_encoder(tokens: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    names = ("vision_start", "vision_end", "image", "video")
    ids = dict(zip(names, tokens.convert_tokens_to_ids(list(_VISION)), strict=True))
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": WIDTH,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "rope_parameters": {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 10000.0},
            "max_position_embeddings": 2048,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [0],
        },
        **{f"{name}_token_id": number for name, number in ids.items()},
    )
    return Qwen2_5_VLForConditionalGeneration(config)


def build(folder: Path, pipeline: str, *, seed: int = 0, zero_cond_t: bool = False) -> Path:
    """Write the stand-in of a pipeline class to `folder`; `zero_cond_t` is what 2511 has and 2509 has not."""
    torch.manual_seed(seed)
    tokens = tokenizer()
    made = getattr(diffusers, pipeline)(
        scheduler=FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE),
        vae=AutoencoderKLQwenImage(base_dim=16, num_res_blocks=1),
        text_encoder=text_encoder(tokens),
        tokenizer=tokens,
        processor=Qwen2VLProcessor(
            image_processor=Qwen2VLImageProcessor(), tokenizer=tokens, video_processor=Qwen2VLVideoProcessor()
        ),
        transformer=QwenImageTransformer2DModel(
            num_layers=LAYERS,
            attention_head_dim=64,
            num_attention_heads=WIDTH // 64,
            joint_attention_dim=WIDTH,
            axes_dims_rope=(8, 28, 28),
            zero_cond_t=zero_cond_t,
        ),
    )
    made.to(dtype=torch.bfloat16)
    made.save_pretrained(folder, safe_serialization=True)
    (folder / "loras").mkdir(exist_ok=True)
    save_file(lora_weights(seed=4), folder / "loras" / "4step.safetensors", {"format": "pt"})
    return folder
