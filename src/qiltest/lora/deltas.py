"""Pair the factors of each module, compute norms of `scale * up @ down`, and check that every value is finite."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qiltest.lora import norms
from qiltest.lora.keys import Part
from qiltest.lora.report import ModuleDelta

if TYPE_CHECKING:
    from qiltest.lora.keys import Key
    from qiltest.lora.safetensors_file import SafetensorsFile, TensorInfo

#: most bytes of one factor as float32; one of Qwen-Image's widest layer at full rank has 226 MB.
FACTOR_LIMIT = 256 << 20
#: a delta beyond the largest float32 makes weights that are not finite.
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class FactorPair:
    """The tensors of one module."""

    module: str
    down: TensorInfo
    up: TensorInfo
    alpha: TensorInfo | None

    @property
    def delta_shape(self) -> tuple[int, int]:
        """(out features, in features) of `up @ down`."""
        return self.up.shape[0], self.down.shape[1]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A module's delta, and the tensors of it that are not finite, or make the delta so."""

    delta: ModuleDelta
    non_finite: tuple[str, ...]


def pair_up(keys: list[Key], file: SafetensorsFile) -> tuple[list[FactorPair], list[str], list[str]]:
    """Pair the tensors of each module: return the pairs, the missing factors, and keys that cannot be used."""
    modules: dict[str, dict[Part, Key]] = {}
    useless: list[str] = []
    for key in keys:
        if modules.setdefault(key.module, {}).setdefault(key.part, key) is not key:
            useless.append(f"{key.raw} (duplicate {key.part} of module {key.module})")
    pairs, missing = [], []
    for module, parts in modules.items():
        if Part.DOWN in parts and Part.UP in parts:
            pair, fault = _pair(module, {part: file.tensors[key.raw] for part, key in parts.items()})
            pairs += [pair] if pair else []
            useless += [f"{parts[Part.DOWN].raw} ({fault})"] if fault else []
        else:
            missing += _partners(parts)
    return pairs, missing, useless


def _partners(parts: dict[Part, Key]) -> list[str]:
    wanted = [part for part in (Part.DOWN, Part.UP) if part not in parts]
    found = next(iter(parts.values()))
    return [f"{found.module}: the {part} factor (found {found.raw})" for part in wanted]


def _pair(module: str, tensors: dict[Part, TensorInfo]) -> tuple[FactorPair | None, str]:
    pair = FactorPair(module=module, down=tensors[Part.DOWN], up=tensors[Part.UP], alpha=tensors.get(Part.ALPHA))
    factors = (pair.down, pair.up)
    if any(len(info.shape) != 2 or 0 in info.shape for info in factors):
        return None, f"factors of shape {pair.down.shape} and {pair.up.shape} are not matrices"
    if pair.down.shape[0] != pair.up.shape[1]:
        return None, f"the ranks differ: {pair.down.shape[0]} in the down factor, {pair.up.shape[1]} in the up factor"
    if pair.alpha is not None and math.prod(pair.alpha.shape) != 1:
        return None, f"alpha of shape {pair.alpha.shape} is not one number"
    if not (all(info.is_float for info in factors) and (pair.alpha is None or pair.alpha.is_number)):
        return None, f"dtype {'/'.join(sorted({info.dtype for info in tensors.values()}))} cannot be read"
    if any(math.prod(info.shape) * 4 > FACTOR_LIMIT for info in factors):
        return None, f"factors of shape {pair.down.shape} and {pair.up.shape} are too large for a LoRA"
    return pair, ""


def measure(pair: FactorPair, file: SafetensorsFile, *, factor: float = 1.0) -> Measured:
    """Read a module's factors and return the norm of its scaled delta. `factor` multiplies the scale (metadata)."""
    delta = from_header(pair, file, factor=factor)
    size, bad = _size(pair, file)
    if pair.alpha is not None and not math.isfinite(delta.scale):
        bad.append(pair.alpha.name)
    norm = abs(delta.scale) * size
    if not bad and not norm <= _LARGEST:
        bad.append(f"{pair.module} (its delta, beyond the largest float32)")
    return Measured(delta=replace(delta, norm=math.nan if bad else norm), non_finite=tuple(bad))


def from_header(pair: FactorPair, file: SafetensorsFile, *, factor: float = 1.0) -> ModuleDelta:
    """Return a module's delta without its norm (NaN): no factor is read."""
    alpha = file.number(pair.alpha) if pair.alpha is not None else None
    rank = pair.down.shape[0]
    scale = factor * (1.0 if alpha is None else alpha / rank)
    return ModuleDelta(name=pair.module, rank=rank, alpha=alpha, scale=scale, norm=math.nan)


def _size(pair: FactorPair, file: SafetensorsFile) -> tuple[float, list[str]]:
    """Return the norm of `up @ down`, and the names of factors that are not finite."""
    if not norms.is_exact(pair.down, pair.up):
        outer, bad = norms.sketch(file, pair.up, pair.down)
        return norms.sketched_norm(outer), bad
    down, up = norms.factor(file, pair.down), norms.factor(file, pair.up)
    bad = [info.name for info, read in ((pair.down, down), (pair.up, up)) if read is None]
    return (math.nan if down is None or up is None else norms.norm(up, down)), bad
