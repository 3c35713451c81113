"""Decode latents to pixels as a pipeline's `__call__` does after its loop (tests compare them bit for bit)."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qiltest.errors import GenerationError
from qiltest.generation._device import synchronise
from qiltest.generation._place import room_to_decode
from qiltest.generation.families import Family
from qiltest.generation.records import LatentStats
from qiltest.recipe import Recipe

_REMEDY = "check the LoRA (`qiltest lora FILE`), the base's dtype and the scheduler"


def latent_stats(latents: torch.Tensor, recipe: Recipe) -> LatentStats:
    """Return statistics of the final latents. Raises GenerationError where one value is not finite."""
    values = latents.float()
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise GenerationError(
            f"{bad} of {values.numel()} latents are NaN or infinite", where=place(recipe), remedy=_REMEDY
        )
    return LatentStats(
        mean=float(values.mean()),
        std=float(values.std(correction=0)),
        minimum=float(values.min()),
        maximum=float(values.max()),
    )


def tensor_sha256(tensor: torch.Tensor) -> str:
    """Return the SHA-256 of a tensor's bytes."""
    return hashlib.sha256(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def decode_latents(
    family: Family,
    pipeline: Any,  # noqa: ANN401  a diffusers pipeline, untyped
    latents: torch.Tensor,
    recipe: Recipe,
    *,
    device: torch.device,
) -> tuple[NDArray[np.uint8], float]:
    """Return pixels (uint8, height x width x 3) and the seconds it took, device synchronised.

    Raises GenerationError for a value that is not finite: cast to 8 bits it would be black.
    """
    synchronise(device)
    begin = time.perf_counter()
    with torch.no_grad(), room_to_decode(pipeline, recipe.effective, device):
        decoded = family.decode(pipeline, latents.to(device), recipe.effective)
        finite = bool(torch.isfinite(decoded).all())
        image = pipeline.image_processor.postprocess(decoded, output_type="pil")[0] if finite else None
    synchronise(device)
    seconds = time.perf_counter() - begin
    if image is None:
        raise GenerationError("the decoded image has NaN or infinite values", where=place(recipe), remedy=_REMEDY)
    pixels = np.asarray(_on_white(image))
    size = recipe.effective
    if pixels.shape != (size.height, size.width, 3):
        raise GenerationError(f"the image has shape {pixels.shape}, expected {size}", where=place(recipe))
    return pixels, seconds


def _on_white(image: Any) -> Any:  # noqa: ANN401  PIL's image
    """Return an image in RGB; what is transparent is laid on white, as viewers and readers show it."""
    if image.mode != "RGBA":
        return image
    from PIL import Image

    return Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image).convert("RGB")


def place(recipe: Recipe) -> str:
    """Name an image, for messages."""
    return f"{recipe.model}, {recipe.variant}, {recipe.effective}, seed {recipe.seed}"
