"""Variants: how a picture is made. `cases/variants.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SchedulerKind(StrEnum):
    """The two scheduler configurations of the report."""

    #: the model's own scheduler config (for Qwen-Image: dynamic shift 0.5 to 0.9, terminal 0.02).
    MODEL = "model"
    #: shift 3 for every size: base_shift = max_shift = log 3, exponential, no terminal.
    LIGHTNING = "lightning"


@dataclass(frozen=True, kw_only=True)
class LoraSource:
    """Where a LoRA comes from: a file, or `repo::file` on the Hugging Face hub."""

    source: str
    #: expected SHA-256 of the file, hexadecimal; None: recorded but not checked.
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Base model, LoRA (or none), steps, true CFG scale, scheduler."""

    name: str
    title: str
    steps: int
    true_cfg_scale: float
    negative_prompt: str | None
    scheduler: SchedulerKind
    #: appended to the prompt, by language ("en", "zh"), as the vendor's script does.
    prompt_suffix: tuple[tuple[str, str], ...]
    #: LoRA per model kind: "real" and "tiny"; a kind that is absent cannot draw this variant (unless no LoRA at all).
    loras: tuple[tuple[str, LoraSource], ...] = ()
    #: Hugging Face id of another base model (2512), None for the session's.
    base_model: str | None = None
    #: drawn without being named by `--qil-variant`.
    default: bool = True
    #: the variant that a new release of this kind is compared with.
    note: str = ""

    @property
    def nfe(self) -> int:
        """Number of function evaluations of one picture."""
        return self.steps * (2 if self.true_cfg_scale > 1 and self.negative_prompt is not None else 1)
