"""A recipe: everything that decides a picture.

Two pictures are comparable by pixels or reusable from the store only when their recipes are equal. `Recipe.key` is
the SHA-256 of the recipe's canonical JSON, so it changes if and only if a field changes.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})")
#: QwenImagePipeline floors width and height to this multiple: VAE stride 8 times patch size 2.
SIZE_MULTIPLE = 16


@dataclass(frozen=True, order=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read `WIDTHxHEIGHT`. Raises ValueError that names the value and the form."""
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a size: write WIDTHxHEIGHT in pixels, for example 1328x1328")
        return cls(int(match[1]), int(match[2]))

    def effective(self) -> Size:
        """Return the size that the pipeline draws: both sides floored to a multiple of 16."""
        return Size(self.width // SIZE_MULTIPLE * SIZE_MULTIPLE, self.height // SIZE_MULTIPLE * SIZE_MULTIPLE)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, kw_only=True)
class LoraRecipe:
    """Which LoRA was applied, and how."""

    source: str
    sha256: str
    rank: int
    #: alpha / rank: the factor on the delta. Lightning files carry it as a tensor per module.
    scale: float
    fused: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a picture. Sizes in pixels; `sigmas` without the final 0."""

    model: str
    model_revision: str
    #: SHA-256 over the names and hashes of the model's weight files.
    model_sha256: str
    variant: str
    lora: LoraRecipe | None
    scheduler: tuple[tuple[str, str | float | int | bool | None], ...]
    sigmas: tuple[float, ...]
    steps: int
    true_cfg_scale: float
    negative_prompt: str | None
    prompt: str
    max_sequence_length: int
    seed: int
    #: device type of the torch.Generator that draws the initial noise: "cpu" and "cuda" draw other noise.
    generator_device: str
    asked: Size
    effective: Size
    dtype: str
    device: str
    attention_backend: str
    compiled: bool
    #: (package, version), sorted: torch, diffusers, transformers, peft and qiltest's generation code.
    versions: tuple[tuple[str, str], ...]

    @property
    def nfe(self) -> int:
        """Number of function evaluations: transformer forwards for one picture."""
        return self.steps * (2 if self.true_cfg_scale > 1 and self.negative_prompt is not None else 1)

    def canonical(self) -> str:
        """Return the recipe as canonical JSON (sorted keys, no white space, no NaN)."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    def key(self) -> str:
        """Return the SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
