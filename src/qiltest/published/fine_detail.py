"""Table 3 of the published report: whether the base model renders finer hair than the LoRAs.

Two images of one case, size and seed are compared by their fine detail outside text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from qiltest.quality import Health
from qiltest.quality.limits import NOISE
from qiltest.runs.records import CaseResult
from qiltest.suite.selection import Sample
from qiltest.text.format import number

#: Least ratio of detail that counts as more: re-encoding as JPEG 90 changes detail by up to this.
MORE = 1.15
#: Per cent of the contrast below which an image has no detail of the scale of hair.
LEAST = 0.2
#: Grey levels by which the noise of the image with more detail may exceed the other's.
GRAIN = 0.8
#: Overshoot, as shares of an edge's rise. The image with more detail may overshoot by `HALO` more than the other: base
#: and LoRAs differ by 0.006 in one scene. Above, it is suspected of sharpening if it overshoots more than `NATURAL`
#: (as after an unsharp mask of 25 %), unless the other is blurrier by `SOFTER` pixels, which removes halos too. Above
#: `STRONG` it is suspected in any case.
HALO, NATURAL, STRONG, SOFTER = 0.01, 0.045, 0.08, 0.1


class Finer(StrEnum):
    """Which of two images has more fine detail."""

    FIRST = "first"
    SECOND = "second"
    NEITHER = "neither"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class DetailComparison:
    """The result for two images."""

    finer: Finer
    #: detail of the first over that of the second; None where one was not measured.
    ratio: float | None
    #: why they cannot be compared; "" where they can.
    why: str = ""


def compare_detail(first: Health, second: Health) -> DetailComparison:
    """Return which of two images of one case, size and seed has more fine detail outside text.

    More detail with more noise or stronger halos is not called finer: sharpening and noise both raise the measure.
    """
    if first.version != second.version:
        return _cannot(None, "they were measured by different versions of qiltest")
    if first.detail is None or second.detail is None:
        return _cannot(None, "fine detail was not measured in both images")
    if not max(first.detail, second.detail) >= LEAST:
        return _cannot(None, "no hair-like detail in either image")
    low, high = sorted((first, second), key=lambda health: health.detail or 0.0)
    ratio = first.detail / max(second.detail, 1e-6)
    if not max(ratio, 1 / max(ratio, 1e-6)) >= MORE:
        return DetailComparison(finer=Finer.NEITHER, ratio=ratio)
    why = _suspect(high, low)
    if why:
        return _cannot(ratio, why)
    return DetailComparison(finer=Finer.FIRST if high is first else Finer.SECOND, ratio=ratio)


def _suspect(finer: Health, other: Health) -> str:
    """Return what else may have raised the measure of the image that seems finer; "" for nothing."""
    noise, before = _noise(finer), _noise(other)
    if not noise <= NOISE or not noise - before <= GRAIN:
        return f"the image with more detail also has more noise ({noise:.1f} against {before:.1f} grey levels)"
    if finer.halo is not None and other.halo is not None and _sharpened(finer, other, finer.halo, other.halo):
        return (
            f"the image with more detail also has stronger halos ({finer.halo:.0%} against {other.halo:.0%} of an edge)"
        )
    return ""


def _sharpened(finer: Health, other: Health, halo: float, before: float) -> bool:
    if halo - before <= HALO or halo <= NATURAL:
        return False
    softer = finer.blur is not None and other.blur is not None and other.blur - finer.blur >= SOFTER
    return halo > STRONG or not softer


def _noise(health: Health) -> float:
    return max(health.noise_fine, health.noise_coarse)


def _cannot(ratio: float | None, why: str) -> DetailComparison:
    return DetailComparison(finer=Finer.CANNOT_TELL, ratio=ratio, why=why)


_WORDS = {Finer.FIRST: "finer than", Finer.SECOND: "less fine than", Finer.NEITHER: "as fine as"}


@dataclass(frozen=True, kw_only=True)
class HairPair:
    """Two images of one case, size and seed: by the base and by another variant."""

    #: the other variant's.
    sample: Sample
    found: DetailComparison


def hair_pairs(results: Iterable[CaseResult], base: str) -> tuple[HairPair, ...]:
    """Return each pair of measured images; `FIRST` is the base."""
    known = {result.sample: result.health for result in results if result.health is not None}
    bases = {sample.but_for_variant: health for sample, health in known.items() if sample.variant == base}
    pairs = ((sample, bases.get(sample.but_for_variant), health) for sample, health in known.items())
    return tuple(
        HairPair(sample=sample, found=compare_detail(of_base, health))
        for sample, of_base, health in pairs
        if sample.variant != base and of_base is not None
    )


def hair_words(results: Sequence[CaseResult], base: str) -> str:
    """Return what was measured: the median detail of each variant, and how the base compares with each other one."""
    detail: dict[str, list[float]] = {}
    for result in results:
        if result.health is not None and result.health.detail is not None:
            detail.setdefault(result.sample.variant, []).append(result.health.detail)
    medians = ", ".join(f"{variant} {number(round(median(own), 2))}" for variant, own in detail.items())
    several = "median of the " if any(len(own) > 1 for own in detail.values()) else ""
    measures = f"{several}fine detail in per cent of the contrast: {medians}" if medians else ""
    pairs = hair_pairs(results, base)
    variants = dict.fromkeys(pair.sample.variant for pair in pairs)
    compared = (_pair_words([p.found for p in pairs if p.sample.variant == v], base, v) for v in variants)
    return "; ".join(filter(None, (measures, *compared)))


def _pair_words(found: Sequence[DetailComparison], base: str, variant: str) -> str:
    amounts = Counter(one.finer for one in found)
    of = f" in {{}} of {len(found)} seeds" if len(found) > 1 else ""
    words = [f"{_WORDS[finer]} {variant}{of.format(amounts[finer])}" for finer in _WORDS if amounts[finer]]
    said = [f"{base} is {', '.join(words)}"] if words else []
    if amounts[Finer.CANNOT_TELL]:
        why = next(one.why for one in found if one.finer is Finer.CANNOT_TELL)
        said.append(f"{base} and {variant} are not comparable{of.format(amounts[Finer.CANNOT_TELL])}: {why}")
    return "; ".join(said)
