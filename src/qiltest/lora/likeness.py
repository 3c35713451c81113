"""Compare two LoRA files: strength and direction of their deltas.

Inner products of low-rank deltas need no dense matrices: <U1 D1, U2 D2> = sum of (U1^T U2) * (D1 D2^T). Above the
ranks up to which norms are exact, both deltas are multiplied by the same vectors instead (`norms.sketch`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qiltest.errors import RecipeError
from qiltest.lora import norms
from qiltest.lora.contents import Contents, contents_of, takes
from qiltest.lora.deltas import FactorPair, from_header
from qiltest.lora.report import LoraFinding, Severity, WithFindings, finite
from qiltest.lora.safetensors_file import (
    SIZE_LIMIT,
    BrokenFileError,
    SafetensorsFile,
    TensorInfo,
    open_safetensors,
    too_large,
)
from qiltest.text.format import count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from qiltest.lora.bases import Base

#: a release that is this many times stronger or weaker than the one it replaces is worth a note ...
STRENGTH = 2.0
#: ... and is that release with another alpha, where the deltas have one direction and strength and alpha agree so well.
_SAME_FACTORS = 0.05
#: deltas with a cosine below this have nothing in common: those of the embedded model's 8 and 4 steps have 0.49.
UNRELATED = 0.1
#: code of the finding that both files add the same.
IDENTICAL = "identical"
#: deltas with at least this cosine are one training run: changed afterwards, or the next checkpoint ...
SAME_RUN = 0.95
#: ... and differ by more than this share of the norm, twice what rounding both factors to bfloat16 does.
ROUNDED = 0.01


@dataclass(frozen=True, kw_only=True)
class Likeness(WithFindings):
    """One LoRA's deltas compared with another's, summed over the modules that both cover."""

    path: str
    sha256: str
    modules: int
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    #: norm of the delta here over that there.
    strength: float
    #: cosine of the angle between the deltas: 1 the same direction, 0 nothing in common.
    cosine: float
    #: ||here - there|| / ||there||.
    difference: float
    #: alpha / rank, where it is the same in all modules; else None.
    scale_here: float | None
    scale_there: float | None
    #: alpha / rank here over that there, where it is the same in all modules; else None.
    scale_ratio: float | None
    #: both files have the same factors and scales, bit for bit, whatever their names and dtypes.
    identical: bool
    #: modules whose delta points against that of the other file.
    turned: tuple[str, ...]
    #: modules with the other file's factors and another alpha, which makes them much stronger or weaker.
    rescaled: tuple[str, ...] = ()
    findings: tuple[LoraFinding, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the record for JSON: None where a number is not finite."""
        return {name: finite(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class _Opened:
    file: SafetensorsFile
    contents: Contents
    pairs: dict[str, FactorPair]

    def scale(self, name: str) -> float:
        """Return what a module's `up @ down` is multiplied by."""
        return from_header(self.pairs[name], self.file, factor=self.contents.factor(name)).scale


@dataclass(frozen=True, kw_only=True)
class _Pairing:
    """One module of both files."""

    name: str
    #: <here, here>, <there, there>, <here, there> of the scaled deltas.
    products: NDArray[np.float64]
    scales: tuple[float, float]
    identical: bool

    @property
    def cosine(self) -> float:
        return _compared(self.products)[1]

    @property
    def is_rescaled(self) -> bool:
        """True for the same factors with another alpha, such as one that a conversion has lost."""
        strength, cosine, _ = _compared(self.products)
        mine, theirs = map(abs, self.scales)
        return cosine >= SAME_RUN and not _near(mine / theirs) and abs(strength * theirs / mine - 1) <= _SAME_FACTORS


def compare(path: Path, reference: Path, base: Base, *, reference_sha256: str) -> Likeness:
    """Compare a LoRA file with another. Raises RecipeError where one of them is not a whole safetensors file."""
    here = _open(path, base)
    try:
        there = _open(reference, base)
    except BrokenFileError as error:  # nothing is wrong with the file that is asked about
        raise RecipeError(error.what, where=error.where, remedy=error.remedy) from error
    common = [name for name in here.pairs if all(_is_taken(side, name, base) for side in (here, there))]
    found = [_pairing(here, there, name) for name in common]
    strength, cosine, difference = _compared(sum((pairing.products for pairing in found), np.zeros(3)))
    whole = len(common) == len(here.pairs) == len(there.pairs) > 0
    likeness = Likeness(
        path=str(reference),
        sha256=reference_sha256,
        modules=len(common),
        only_here=tuple(name for name in here.pairs if name not in there.pairs),
        only_there=tuple(name for name in there.pairs if name not in here.pairs),
        strength=strength,
        cosine=cosine,
        difference=difference,
        scale_here=_only({pairing.scales[0] for pairing in found}),
        scale_there=_only({pairing.scales[1] for pairing in found}),
        scale_ratio=_only({round(here / there, 6) for here, there in (p.scales for p in found) if there}),
        identical=whole and all(pairing.identical for pairing in found),
        turned=tuple(pairing.name for pairing in found if pairing.cosine <= -SAME_RUN),
        rescaled=tuple(pairing.name for pairing in found if pairing.is_rescaled),
    )
    return replace(likeness, findings=_findings(likeness))


def strength_words(strength: float, of: str) -> str:
    """Return a strength as words, such as `2 times as strong as that of 4step`."""
    times = f"{strength:.3g}"
    return f"{'' if times == '1' else f'{times} times '}as strong as that of {of}"


def _compared(products: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return strength, cosine and difference from <here, here>, <there, there> and <here, there>."""
    mine, theirs, mixed = map(float, products)
    if not (theirs > 0 and np.isfinite(products).all()):
        return math.nan, math.nan, math.nan
    cosine = mixed / math.sqrt(mine * theirs) if mine > 0 else math.nan
    return math.sqrt(mine / theirs), cosine, math.sqrt(max(0.0, mine + theirs - 2 * mixed) / theirs)


def _open(path: Path, base: Base) -> _Opened:
    file = open_safetensors(path)
    if file.size > SIZE_LIMIT:
        raise BrokenFileError(too_large(file.size), where=str(path), remedy="name a LoRA's file, not a model's")
    contents = contents_of(file, base)
    return _Opened(file=file, contents=contents, pairs={pair.module: pair for pair in contents.pairs})


def _is_taken(side: _Opened, name: str, base: Base) -> bool:
    return name in side.pairs and takes(base, side.pairs[name])


def _pairing(here: _Opened, there: _Opened, name: str) -> _Pairing:
    scales = here.scale(name), there.scale(name)
    exact = all(norms.is_exact(side.pairs[name].down, side.pairs[name].up) for side in (here, there))
    products, equal = (_exact if exact else _sketched)(here, there, name)
    mine, theirs = scales
    with np.errstate(invalid="ignore", over="ignore"):
        products = products * np.array([mine * mine, theirs * theirs, mine * theirs])
    return _Pairing(name=name, products=products, scales=scales, identical=equal and mine == theirs)


def _exact(here: _Opened, there: _Opened, name: str) -> tuple[NDArray[np.float64], bool]:
    """Return the products of two deltas without their scales, and whether their factors are the same."""
    (up, down), (other_up, other_down) = (
        (side.file.read(side.pairs[name].up), side.file.read(side.pairs[name].down)) for side in (here, there)
    )
    products = (
        _inner(up, down, up, down),
        _inner(other_up, other_down, other_up, other_down),
        _inner(up, down, other_up, other_down),
    )
    equal = any(np.array_equal(sign * up, other_up) and np.array_equal(sign * down, other_down) for sign in (1, -1))
    return np.array(products), equal


def _sketched(here: _Opened, there: _Opened, name: str) -> tuple[NDArray[np.float64], bool]:
    """Estimate what `_exact` computes, a few rows at a time."""
    sides = [norms.sketch(side.file, side.pairs[name].up, side.pairs[name].down) for side in (here, there)]
    if any(bad for _, bad in sides):
        return np.full(3, math.nan), False
    mine, theirs = (outer for outer, _ in sides)
    with np.errstate(invalid="ignore", over="ignore"):
        products = np.array([(mine * mine).sum(), (theirs * theirs).sum(), (mine * theirs).sum()]) / norms.VECTORS
    return products, any(_equal(here, there, name, sign) for sign in (1, -1))


def _equal(here: _Opened, there: _Opened, name: str, sign: int) -> bool:
    mine, theirs = here.pairs[name], there.pairs[name]
    factors: list[tuple[TensorInfo, TensorInfo]] = [(mine.down, theirs.down), (mine.up, theirs.up)]
    return all(one.shape == other.shape for one, other in factors) and all(
        np.array_equal(sign * a, b)
        for one, other in factors
        for a, b in zip(norms.rows(here.file, one), norms.rows(there.file, other), strict=True)
    )


def _inner(up: Any, down: Any, other_up: Any, other_down: Any) -> float:  # noqa: ANN401  float32 matrices
    """Return the inner product in float64: nearly equal deltas differ by a difference of nearly equal sums."""
    left, across = up.astype(np.float64), down.astype(np.float64).T
    right = left if other_up is up else other_up.astype(np.float64)
    other = across if other_down is down else other_down.astype(np.float64).T
    with np.errstate(invalid="ignore", over="ignore"):
        return float((norms.contract(left, right) * norms.contract(across, other)).sum())


def _only(values: set[float]) -> float | None:
    return next(iter(values)) if len(values) == 1 else None


def _findings(likeness: Likeness) -> tuple[LoraFinding, ...]:
    errors = tuple(LoraFinding(severity=Severity.ERROR, code=code, text=text) for code, text in _errors(likeness))
    notes = () if errors else tuple(_notes(likeness))
    return (*errors, *(LoraFinding(severity=Severity.WARNING, code=code, text=text) for code, text in notes))


def _errors(likeness: Likeness) -> Iterator[tuple[str, str]]:
    """Yield what no training does: the release itself with another alpha, or with the sign turned."""
    if likeness.cosine <= -SAME_RUN:
        yield (
            "negated",
            f"the delta is that of {likeness.path} with its sign turned (cosine {likeness.cosine:.3f}): it undoes what "
            "that release does; turn the sign of the up factors",
        )
    if likeness.cosine >= SAME_RUN and not _near(likeness.strength) and _is_alpha(likeness):
        yield (
            "alpha",
            f"the delta is {strength_words(likeness.strength, likeness.path)}{_scales(likeness)}: these are its "
            "factors with another alpha, which a conversion has lost or made up; give the file that alpha",
        )
    elif likeness.rescaled:
        names = ", ".join(likeness.rescaled[:3]) + (", ..." if len(likeness.rescaled) > 3 else "")
        yield (
            "alpha",
            f"{count(len(likeness.rescaled), 'module')} of {likeness.modules} with the factors of {likeness.path} and "
            f"another alpha, which makes them more than {STRENGTH:g} times stronger or weaker ({names}): a conversion "
            "has lost or made it up; give them that alpha",
        )


def _notes(likeness: Likeness) -> Iterator[tuple[str, str]]:
    if likeness.identical:
        yield IDENTICAL, f"the deltas are those of {likeness.path}, bit for bit"
        return
    if likeness.only_there:
        yield "coverage", f"{count(len(likeness.only_there), 'module')} of {likeness.path} not covered by the file"
    if likeness.modules == 0:
        yield "nothing-in-common", f"no module in common with {likeness.path}"
        return
    if not math.isfinite(likeness.strength):
        yield "strength", f"no comparison with {likeness.path}: a delta is zero there, or not finite"
        return
    if not _near(likeness.strength):
        yield "strength", f"the delta is {strength_words(likeness.strength, likeness.path)}{_scales(likeness)}"
    yield from _directions(likeness)
    if likeness.cosine >= SAME_RUN and likeness.difference > ROUNDED:
        yield (
            "changed",
            f"the file is {likeness.path} changed by {likeness.difference:.1%} of its norm, more than rounding does: "
            "another checkpoint of that training, a merge, or damage",
        )


def _directions(likeness: Likeness) -> Iterator[tuple[str, str]]:
    if likeness.turned:
        names = ", ".join(likeness.turned[:3]) + (", ..." if len(likeness.turned) > 3 else "")
        what = f"{count(len(likeness.turned), 'module')} with the sign of {likeness.path} turned"
        yield "turned", f"{what} (cosine -{SAME_RUN} or below): {names}"
    elif likeness.cosine < UNRELATED:
        how = "points against" if likeness.cosine <= -UNRELATED else "has nothing in common with"
        yield (
            "direction",
            f"the delta {how} that of {likeness.path} (cosine {likeness.cosine:.2f}): another training, task or base",
        )


def _near(strength: float) -> bool:
    return 1 / STRENGTH <= strength <= STRENGTH


def _is_alpha(likeness: Likeness) -> bool:
    """Return whether the scale alone makes the difference in strength."""
    ratio = likeness.scale_ratio
    return ratio not in (None, 0) and abs(likeness.strength / abs(ratio or 1) - 1) <= _SAME_FACTORS


def _scales(likeness: Likeness) -> str:
    here, there = likeness.scale_here, likeness.scale_there
    same = here is None or there is None or here == there
    return "" if same else f" (alpha / rank {here:g} here, {there:g} there)"
