"""Compute norms of `scale * up @ down` without the product, and check that every value is finite.

||U D||_F^2 = trace(D^T U^T U D) = sum of (U^T U) * (D D^T), two rank x rank matrices (Golub and Van Loan, Matrix
Computations, 2.3: the Frobenius norm is the root of the trace of A^T A).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qiltest.lora.keys import Part
from qiltest.lora.report import ModuleDelta

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qiltest.lora.keys import Key
    from qiltest.lora.safetensors_file import SafetensorsFile, TensorInfo

#: bytes of one factor (as float32) that is still read whole; a rank-1024 LoRA of Qwen-Image's widest layer has 50 MB.
FACTOR_LIMIT = 256 << 20


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
    """A module's delta and the tensors of it that are not finite."""

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
    down, up = file.read(pair.down), file.read(pair.up)
    alpha = file.number(pair.alpha) if pair.alpha is not None else None
    rank = pair.down.shape[0]
    scale = factor * (1.0 if alpha is None else alpha / rank)
    bad = [info.name for info, values in ((pair.down, down), (pair.up, up)) if not np.isfinite(values).all()]
    if alpha is not None and not math.isfinite(alpha):
        bad.append(pair.alpha.name if pair.alpha else "")
    norm = math.nan if bad else abs(scale) * _product_norm(up, down)
    delta = ModuleDelta(name=pair.module, rank=rank, alpha=alpha, scale=scale, norm=norm)
    return Measured(delta=delta, non_finite=tuple(bad))


def _product_norm(up: NDArray[np.float32], down: NDArray[np.float32]) -> float:
    gram = (up.T @ up).astype(np.float64) * (down @ down.T).astype(np.float64)
    return math.sqrt(max(0.0, float(gram.sum())))
