"""The embedded editing model's parts: those of the embedded text-to-image model, under QwenImageEditPlusPipeline's classes.

The tokenizer is that model's with five tokens more: the image's three, and the beginning of the longer template, so that the template takes the 64 tokens
that the pipeline drops. The vision tower says the same of every image: its last layer's weights are 0 and its bias is what the
text encoder learned for the image's token. What an image shows comes through the VAE alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import edit_paths
import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPlusPipeline,
    QwenImageTransformer2DModel,
)
from models import build_text_encoder, forget_unused_slices
from tokenizer import SUFFIX
from tokenizer import build as build_tokenizer
from tokenizers import AddedToken
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer, Qwen2VLProcessor

from qiltest.generation.schedule import QWEN_IMAGE

TINY = edit_paths.ROOT / "src/qiltest/generation/tiny"
#: `QwenImageEditPlusPipeline.prompt_template_encode` before the prompt, and what it writes there for one image
PREFIX = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the "
    "user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining "
    "consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n"
)
PREFIX_TOKENS = 64
PICTURE = "Picture 1: <|vision_start|><|image_pad|><|vision_end|>"
VISION = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>")
#: pixels of the one token that the vision tower makes of an image: patches of 14, merged by 2 x 2
ONE_TOKEN = 28 * 28


def _sentence_token() -> str:
    """The added token: as much of the sentence as leaves 64 tokens, counting one a character elsewhere."""
    specials = PREFIX.count("<|im_")
    plain = PREFIX.replace("<|im_start|>", "").replace("<|im_end|>", "")
    sentence = plain[plain.index("Describe") : plain.index("appropriate.") + len("appropriate.")]
    rest = len(plain) - len(sentence) + specials
    return sentence[: len(sentence) - (PREFIX_TOKENS - rest - 1)]


def build_edit_tokenizer() -> Qwen2Tokenizer:
    """The text-to-image model's tokenizer, every token with its number there, and five more."""
    tokenizer = build_tokenizer()
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=True) for name in VISION], special_tokens=True)
    tokenizer.add_tokens([AddedToken(_sentence_token(), normalized=False, special=False)])
    taken = len(tokenizer(PREFIX).input_ids)
    if taken != PREFIX_TOKENS:
        raise SystemExit(f"the template takes {taken} tokens before the prompt, not {PREFIX_TOKENS}")
    return tokenizer


def build_processor(tokenizer: Qwen2Tokenizer) -> Qwen2VLProcessor:
    """The tokenizer with an image processor that shrinks every image to one token."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    size = {"shortest_edge": ONE_TOKEN, "longest_edge": ONE_TOKEN}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=size),
    )


def build_edit_text_encoder(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLForConditionalGeneration:
    encoder = build_text_encoder(len(tokenizer))
    ids = dict(zip(VISION, tokenizer.convert_tokens_to_ids(list(VISION)), strict=True))
    encoder.config.image_token_id = ids["<|image_pad|>"]
    encoder.config.vision_start_token_id = ids["<|vision_start|>"]
    encoder.config.vision_end_token_id = ids["<|vision_end|>"]
    encoder.config.video_token_id = ids["<|video_pad|>"]
    return encoder


@torch.no_grad()
def take_text_to_image(
    transformer: QwenImageTransformer2DModel,
    encoder: Qwen2_5_VLForConditionalGeneration,
    folder: Path = TINY,
) -> None:
    """Begin with the embedded text-to-image model's weights; new tokens begin as the mean of the known ones."""
    known = QwenImageTransformer2DModel.from_pretrained(folder / "transformer", dtype=torch.float32)
    transformer.load_state_dict(known.state_dict())
    held = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "text_encoder", dtype=torch.float32).state_dict()
    own = encoder.state_dict()
    for name, value in held.items():
        if value.shape == own[name].shape:
            own[name].copy_(value)
        else:
            own[name][: len(value)].copy_(value)
            mean = value.mean(0)
            own[name][len(value) :].copy_(mean + 0.5 * value.std(0) * torch.randn_like(own[name][len(value) :]))


def take_vae(vae: AutoencoderKLQwenImage, folder: Path = TINY / "vae") -> None:
    known = AutoencoderKLQwenImage.from_pretrained(folder)
    vae.load_state_dict(known.state_dict())
    vae.register_to_config(latents_mean=known.config.latents_mean, latents_std=known.config.latents_std)


@torch.no_grad()
def silence_vision(encoder: Qwen2_5_VLForConditionalGeneration) -> None:
    """Make the vision tower return what the text encoder learned for the image's token, whatever the image."""
    last = encoder.model.visual.merger.mlp[2]
    last.weight.zero_()
    last.bias.copy_(encoder.model.language_model.embed_tokens.weight[encoder.config.image_token_id])


def export(folder: Path, vae: Any, transformer: Any, text_encoder: Any, tokenizer: Qwen2Tokenizer) -> None:  # noqa: ANN401
    """Write the model in diffusers layout, bf16 safetensors; what is given becomes bf16."""
    forget_unused_slices(vae)
    text_encoder.to(torch.bfloat16)
    silence_vision(text_encoder)
    pipe = QwenImageEditPlusPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        processor=build_processor(tokenizer),
        transformer=transformer,
    )
    pipe.to(torch.bfloat16)
    pipe.save_pretrained(folder, safe_serialization=True)


def encode_map(
    tokenizer: Qwen2Tokenizer, characters: str
) -> tuple[list[int], list[int], list[int], dict[str, list[int]]]:
    """Ids of the template before the prompt, of the image's words, of the template after it, and of each character.

    A character of the charset is one token, others are their bytes; no two characters' bytes join.
    """
    ids = {c: list(tokenizer(c).input_ids) for c in sorted(set(characters))}
    return list(tokenizer(PREFIX).input_ids), list(tokenizer(PICTURE).input_ids), list(tokenizer(SUFFIX).input_ids), ids
