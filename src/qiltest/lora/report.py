"""The result of inspecting a LoRA file, as plain records; `as_dict` is the form of `--json`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from qiltest.lora.keys import Naming, Prefix


T = TypeVar("T")


class Severity(StrEnum):
    """Whether a finding keeps the file from being used."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True)
class LoraFinding:
    """One thing that is wrong or unusual, with at most a few names as examples."""

    severity: Severity
    #: short name of the kind of finding, stable across versions.
    code: str
    text: str


class WithFindings:
    """A record that has findings."""

    findings: tuple[LoraFinding, ...]

    @property
    def errors(self) -> tuple[str, ...]:
        """The findings that keep the file from being used."""
        return tuple(finding.text for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The findings that are only unusual."""
        return tuple(finding.text for finding in self.findings if finding.severity is Severity.WARNING)


@dataclass(frozen=True, kw_only=True)
class ModuleDelta:
    """What the file adds to one linear module: `scale * up @ down`."""

    name: str
    rank: int
    #: as in the file; None: the file has none, which diffusers takes for the rank.
    alpha: float | None
    #: alpha / rank.
    scale: float
    #: Frobenius norm of the scaled delta; NaN where a value is not finite.
    norm: float


@dataclass(frozen=True, kw_only=True)
class BlockNorm:
    """One transformer block: root of the sum of its modules' squared norms; None: modules outside of all blocks."""

    block: int | None
    modules: int
    norm: float
    #: modules whose norm is far from that of the same module in the other blocks.
    outliers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class LoraReport(WithFindings):
    """A LoRA file compared with one base. Lists of names are in the file's order."""

    path: Path
    bytes: int
    #: empty for a file above the size that is hashed, which is refused.
    sha256: str
    base: str
    #: bases whose modules and shapes take every tensor; names that share all modules are listed with theirs.
    fits: tuple[str, ...] = ()
    #: our variants whose pinned SHA-256 this file has.
    variants: tuple[str, ...] = ()
    naming: Naming
    prefixes: tuple[Prefix, ...]
    #: dtype -> tensors of it.
    dtypes: dict[str, int]
    metadata: dict[str, str]
    modules: tuple[ModuleDelta, ...]
    #: linear modules that the base has.
    base_modules: int
    #: why the file is refused as a whole, such as a LoKr or a LoRA of another model; None for a LoRA.
    kind: str | None = None
    #: tensors of a text encoder, which diffusers leaves out for Qwen-Image.
    text_encoder_keys: tuple[str, ...] = ()
    #: why the peft config in the metadata cannot be followed.
    config_fault: str | None = None
    has_alpha: bool = False
    #: keys have peft's adapter name `default`.
    has_default: bool = False
    unknown_keys: tuple[str, ...]
    #: keys without which a tensor of the file means nothing: the other factor of a pair.
    missing_keys: tuple[str, ...]
    #: module: the shape that the file's factors make, and the base's.
    wrong_shapes: tuple[str, ...]
    non_finite: tuple[str, ...]
    zero_modules: tuple[str, ...]
    blocks: tuple[BlockNorm, ...]
    #: blocks (or blocks' modules) that the file leaves out although it covers the same in other blocks.
    left_out: tuple[str, ...]
    #: modules that are (almost) zero in some blocks and not in others: to the image as good as left out.
    silenced: tuple[str, ...]
    findings: tuple[LoraFinding, ...] = ()

    @property
    def passes(self) -> bool:
        """True where nothing was found that keeps the file from being used on the base."""
        return not self.errors

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that occur, ascending."""
        return tuple(sorted({module.rank for module in self.modules}))

    @property
    def alphas(self) -> tuple[float | None, ...]:
        """The alphas that occur; None first where a module has none. What is not a number occurs once."""
        found = {_one_nan(module.alpha) for module in self.modules}
        return tuple(sorted(found, key=lambda alpha: (alpha is not None, alpha or 0.0)))

    @property
    def scales(self) -> tuple[float, ...]:
        """The effective scales alpha / rank that occur, ascending. What is not a number occurs once."""
        return tuple(sorted({_one_nan(module.scale) for module in self.modules}))

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON: no NaN (None instead), `path` as text, with the properties."""
        made = asdict(self) | {"path": str(self.path)}
        made |= {"passes": self.passes, "ranks": self.ranks, "alphas": self.alphas, "scales": self.scales}
        return {key: finite(value) for key, value in made.items()}


def _one_nan(value: T) -> T | float:
    """Return the value, or the one NaN for every NaN, of which none is equal to another."""
    return value if value == value else math.nan


def finite(value: Any) -> Any:  # noqa: ANN401  JSON values of any shape
    """Return a value for JSON: every number that is not finite as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, (tuple, list)) else value
