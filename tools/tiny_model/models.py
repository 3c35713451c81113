"""The embedded model's parts: the classes of Qwen-Image at a five-hundredth of the size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.models.autoencoders import autoencoder_kl_qwenimage
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from qiltest.generation.schedule import QWEN_IMAGE

WIDTH, LAYERS, HEADS, HEAD = 192, 8, 3, 64
TEXT_LAYERS, TEXT_INNER = 4, 384


def build_vae() -> AutoencoderKLQwenImage:
    return AutoencoderKLQwenImage(
        base_dim=16, dim_mult=[1, 2, 3, 3], num_res_blocks=1, latents_mean=[0.0] * 16, latents_std=[1.0] * 16
    )


def build_transformer() -> QwenImageTransformer2DModel:
    return QwenImageTransformer2DModel(
        num_layers=LAYERS,
        attention_head_dim=HEAD,
        num_attention_heads=HEADS,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(8, 28, 28),
    )


def build_text_encoder(vocabulary: int) -> Qwen2_5_VLForConditionalGeneration:
    rope = {"rope_type": "default", "mrope_section": [8, 12, 12], "rope_theta": 10000.0}
    text = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "intermediate_size": TEXT_INNER,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "rope_parameters": rope,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    vision = {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": WIDTH,
        "fullatt_block_indexes": [0],
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True)
    return Qwen2_5_VLForConditionalGeneration(config)


def encode_text(text_encoder: Qwen2_5_VLForConditionalGeneration, ids: torch.Tensor, drop: int) -> torch.Tensor:
    """What `QwenImagePipeline` takes from the text encoder for unpadded ids: last hidden states after the template."""
    states = text_encoder.model.language_model(input_ids=ids, use_cache=False)
    return states.last_hidden_state[:, drop:]


def train_on_single_images() -> None:
    """Run the VAE's causal 3-D convolutions as 2-D ones with their last temporal slice.

    For a single image the slices before it meet zeros, so that the result is the same and many times faster.
    """

    def forward(self: Any, x: torch.Tensor, cache_x: torch.Tensor | None = None) -> torch.Tensor:  # noqa: ANN401
        assert x.shape[2] == 1
        assert cache_x is None
        pad_w, _, pad_h, _, _, _ = self._padding
        flat = F.conv2d(x[:, :, 0], self.weight[:, :, -1], self.bias, stride=self.stride[1:], padding=(pad_h, pad_w))
        return flat.unsqueeze(2)

    autoencoder_kl_qwenimage.QwenImageCausalConv3d.forward = forward


def forget_unused_slices(vae: AutoencoderKLQwenImage) -> None:
    """Zero the temporal slices that single images never meet: they hold no knowledge and compress to nothing."""
    for module in vae.modules():
        if isinstance(module, autoencoder_kl_qwenimage.QwenImageCausalConv3d):
            module.weight.data[:, :, :-1] = 0


def pipeline(vae, transformer, text_encoder, tokenizer) -> QwenImagePipeline:  # noqa: ANN001
    return QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    )


def export(folder: Path, vae, transformer, text_encoder, tokenizer) -> None:  # noqa: ANN001
    """Write the model in diffusers layout, bf16 safetensors."""
    forget_unused_slices(vae)
    pipe = pipeline(vae, transformer, text_encoder, tokenizer)
    pipe.to(torch.bfloat16)
    pipe.save_pretrained(folder, safe_serialization=True)
