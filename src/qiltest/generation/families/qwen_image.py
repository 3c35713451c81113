"""Qwen-Image: `QwenImagePipeline`, two streams, Qwen2.5-VL as text encoder, true CFG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qiltest.generation.families.family import Family
from qiltest.generation.schedule import QWEN_IMAGE
from qiltest.lora.bases import Base, base_from_folder, qwen_image
from qiltest.recipe import EditPrompt, Prompt, Recipe, Size

if TYPE_CHECKING:
    import torch

_PARTS = ("scheduler", "vae", "text_encoder", "tokenizer", "transformer")


class QwenImage(Family):
    """Qwen-Image and Qwen-Image-2512."""

    name = "qwen-image"
    pipeline = "QwenImagePipeline"
    release = "Qwen/Qwen-Image"
    classes: ClassVar[dict[str, str]] = {
        "transformer": "QwenImageTransformer2DModel",
        "vae": "AutoencoderKLQwenImage",
        "text_encoder": "Qwen2_5_VLForConditionalGeneration",
        "tokenizer": "Qwen2Tokenizer",
        "scheduler": "FlowMatchEulerDiscreteScheduler",
    }
    scheduler = QWEN_IMAGE
    longest_prompt = 1024

    def base(self) -> Base:
        """Return the modules of Qwen-Image at full size."""
        return qwen_image()

    def base_of_folder(self, folder: Path, *, name: str) -> Base:
        """Return the modules of a folder's transformer."""
        return base_from_folder(folder, name=name)

    def assemble(self, **parts: Any) -> Any:  # noqa: ANN401
        """Return a QwenImagePipeline."""
        from diffusers import QwenImagePipeline

        return QwenImagePipeline(**{**dict.fromkeys(_PARTS), **parts})

    def load_vocabulary(self, folder: Path) -> dict[str, Any]:
        """Load the tokenizer."""
        from transformers import Qwen2Tokenizer

        return {"tokenizer": Qwen2Tokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)}

    def template(self) -> str:
        """Return the template, and how many tokens the pipeline drops of it."""
        empty = self.assemble()
        return f"{empty.prompt_template_encode_start_idx} {empty.prompt_template_encode}"

    def prompt_tokens(self, pipeline: Any, prompt: str) -> tuple[list[int], int]:  # noqa: ANN401
        """Return the tokens of a prompt in its template."""
        ids = pipeline.tokenizer(pipeline.prompt_template_encode.format(prompt))["input_ids"]
        return ids, pipeline.prompt_template_encode_start_idx

    def encode(self, pipeline: Any, prompt: Prompt, *, device: torch.device, longest: int) -> torch.Tensor:  # noqa: ANN401
        """Encode a prompt of text alone."""
        assert not isinstance(prompt, EditPrompt)
        embeds: torch.Tensor = pipeline.encode_prompt(prompt=[prompt], device=device, max_sequence_length=longest)[0]
        return embeds

    def arguments(self, recipe: Recipe, prompt: torch.Tensor, negative: torch.Tensor | None) -> dict[str, Any]:
        """Return embeddings, true CFG and the longest prompt."""
        return {
            **conditions(prompt, ""),
            **({} if negative is None else conditions(negative, "negative_")),
            "true_cfg_scale": recipe.true_cfg_scale,
            "max_sequence_length": recipe.max_sequence_length,
        }

    def decode(self, pipeline: Any, latents: torch.Tensor, size: Size) -> torch.Tensor:  # noqa: ANN401
        """Unpack the latents, undo their normalisation and decode them."""
        spread, mean, std = unpacked(pipeline, latents, size)
        # the pipeline divides by the inverse: the same rounding is wanted here
        decoded: torch.Tensor = pipeline.vae.decode(spread / (1.0 / std) + mean, return_dict=False)[0]
        return decoded[:, :, 0]


def unpacked(
    pipeline: Any,  # noqa: ANN401
    latents: torch.Tensor,
    size: Size,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return latents as the VAE takes them, but normalised, and the mean and the deviation to undo that by channel."""
    import torch

    vae, config = pipeline.vae, pipeline.vae.config
    spread = pipeline._unpack_latents(latents, size.height, size.width, pipeline.vae_scale_factor).to(vae.dtype)
    mean, std = (
        torch.tensor(values).view(1, config.z_dim, 1, 1, 1).to(spread.device, spread.dtype)
        for values in (config.latents_mean, config.latents_std)
    )
    return spread, mean, std


def conditions(prompt: torch.Tensor, prefix: str) -> dict[str, Any]:
    """Return a prompt's embeddings as the pipeline takes them, with no token masked."""
    import torch

    mask = torch.ones_like(prompt[:, :, 0], dtype=torch.long)
    return {f"{prefix}prompt_embeds": prompt, f"{prefix}prompt_embeds_mask": mask}
