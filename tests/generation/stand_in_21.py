"""A Qwen-Image-2.1 of random weights: every class the real one, two layers, 3 MB."""

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage21,
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Pipeline,
    QwenImage21Transformer2DModel,
)
from safetensors.torch import save_file
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from qiltest.generation.schedule import QWEN_IMAGE

from .stand_in import RANK, seeing_tokenizer, vision_ids

WIDTH, LAYERS, CONTEXT = 64, 2, 48
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{{ part.text }}{% endfor %}<|im_end|>\n{% endfor %}"
)


def processor() -> Qwen3VLProcessor:
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=16),
        tokenizer=seeing_tokenizer(),
        video_processor=Qwen3VLVideoProcessor(patch_size=16),
        chat_template=_TEMPLATE,
    )


def text_encoder(tokens: Qwen2Tokenizer) -> Qwen3VLForConditionalGeneration:
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokens),
            "hidden_size": CONTEXT,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "num_key_value_heads": 3,
            "head_dim": 16,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 2, 2], "rope_theta": 10000.0},
            "max_position_embeddings": 2048,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": CONTEXT,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 16,
        },
        **vision_ids(tokens),
    )
    return Qwen3VLForConditionalGeneration(config)


def transformer() -> QwenImage21Transformer2DModel:
    return QwenImage21Transformer2DModel(
        num_layers=LAYERS,
        attention_head_dim=32,
        num_attention_heads=WIDTH // 32,
        context_in_dim=CONTEXT,
        axes_dims_rope=(8, 12, 12),
    )


def lora_weights(*, seed: int, alpha: float = 2.0, rank: int = RANK) -> dict[str, torch.Tensor]:
    """Random LoRA tensors as diffusers writes them, of every module in the blocks (2.1-Lightning's covers these)."""
    random = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, layer in transformer().named_modules():
        if isinstance(layer, torch.nn.Linear) and name.startswith("transformer_blocks."):
            down = torch.randn(rank, layer.in_features, generator=random) * 0.1
            up = torch.randn(layer.out_features, rank, generator=random) * 0.1
            tensors[f"transformer.{name}.lora_A.weight"] = down
            tensors[f"transformer.{name}.lora_B.weight"] = up * alpha / rank
    return {key: value.bfloat16() for key, value in tensors.items()}


def build(folder: Path, *, seed: int = 0) -> Path:
    """Write the stand-in to `folder` in diffusers layout, weights in bf16, with `loras/4step`."""
    torch.manual_seed(seed)
    reads = processor()
    pipeline = QwenImage21Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE),
        vae=AutoencoderKLQwenImage21(base_dim=8, decoder_base_dim=8, num_res_blocks=1),
        text_encoder=text_encoder(reads.tokenizer),
        processor=reads,
        transformer=transformer(),
    )
    pipeline.to(dtype=torch.bfloat16)
    pipeline.save_pretrained(folder, safe_serialization=True)
    (folder / "loras").mkdir(exist_ok=True)
    save_file(lora_weights(seed=4), folder / "loras" / "4step.safetensors", {"format": "pt"})
    return folder
