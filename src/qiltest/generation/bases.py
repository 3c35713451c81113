"""The base transformers that a LoRA may fit: known by name, or of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.generation.sources import EMBEDDED, TINY
from qiltest.lora.bases import Base, base_from_folder, qwen_image

if TYPE_CHECKING:
    from qiltest.generation.sources import ModelSource


def known_bases() -> tuple[Base, ...]:
    """Return the bases that a file is compared with when none is named: Qwen-Image and the embedded model."""
    installed = (EMBEDDED / "transformer" / "config.json").exists()
    return (qwen_image(), open_base(TINY)) if installed else (qwen_image(),)


def open_base(text: str) -> Base:
    """Return the base that `--base` names: `qwen-image`, `tiny` or a folder in diffusers layout. Raises RecipeError."""
    if text == "qwen-image":
        return qwen_image()
    return base_from_folder(EMBEDDED, name=TINY) if text == TINY else base_from_folder(Path(text))


def base_of(model: ModelSource) -> Base:
    """Return the modules that a LoRA of this model must fit; random weights have those of Qwen-Image."""
    return qwen_image() if model.folder is None else base_from_folder(model.folder, name=model.name)
