"""Table 3 of the published report: whether the base model has finer hair than the LoRAs.

Two images of one case, size and seed are compared: which has more fine detail outside text, or why that cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from qiltest.quality import Health
from qiltest.quality.limits import NOISE
from qiltest.runs.records import CaseResult
from qiltest.text.format import number

#: Times the detail that one must have for it to be called more: re-encoding as JPEG 90 moves it by up to as much.
MORE = 1.15
#: Per cent of the contrast below which an image has no structure of the scale of hair.
LEAST = 0.2
#: Grey levels by which the noise of the one with more detail may exceed the other's.
GRAIN = 0.8
#: Overshoot, as shares of an edge's rise. The one with more detail may overshoot by `HALO` more than the other: that of
#: base and LoRAs differs by 0.006 in one scene. Beyond, it is suspected of sharpening where it overshoots more than
#: `NATURAL` (an unsharp mask of 25 % gives real images as much), unless the other is the blurrier by `SOFTER` pixels,
#: which takes halos away too; above `STRONG` it is suspected in any case.
HALO, NATURAL, STRONG, SOFTER = 0.01, 0.045, 0.08, 0.1


class Finer(StrEnum):
    """Which of two images has more fine detail."""

    FIRST = "first"
    SECOND = "second"
    NEITHER = "neither"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, kw_only=True)
class DetailComparison:
    """What is said of two images."""

    finer: Finer
    #: detail of the first over that of the second; None where one was not measured.
    ratio: float | None
    #: why it cannot be told; "" where it can.
    why: str = ""


def compare_detail(first: Health, second: Health) -> DetailComparison:
    """Say which of two images of one case, size and seed has more fine detail outside text.

    More detail beside more noise or stronger halos is not called finer: sharpening and noise both raise the figure.
    """
    if first.version != second.version:
        return _cannot(None, "the figures come from different versions of the measure")
    if first.detail is None or second.detail is None:
        return _cannot(None, "fine detail could not be measured in both")
    if not max(first.detail, second.detail) >= LEAST:
        return _cannot(None, "neither image has structure of the scale of hair")
    low, high = sorted((first, second), key=lambda health: health.detail or 0.0)
    ratio = first.detail / max(second.detail, 1e-6)
    if not max(ratio, 1 / max(ratio, 1e-6)) >= MORE:
        return DetailComparison(finer=Finer.NEITHER, ratio=ratio)
    why = _suspect(high, low)
    if why:
        return _cannot(ratio, why)
    return DetailComparison(finer=Finer.FIRST if high is first else Finer.SECOND, ratio=ratio)


def _suspect(finer: Health, other: Health) -> str:
    """Say what else than detail may have raised the figure of the image that seems finer."""
    noise, before = _noise(finer), _noise(other)
    if not noise <= NOISE or not noise - before <= GRAIN:
        return f"the one with more detail has more noise ({noise:.1f} against {before:.1f} grey levels)"
    if finer.halo is not None and other.halo is not None and _sharpened(finer, other, finer.halo, other.halo):
        return f"the one with more detail has stronger halos ({finer.halo:.0%} against {other.halo:.0%} of an edge)"
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


_SAID = {Finer.FIRST: "finer than", Finer.SECOND: "less fine than", Finer.NEITHER: "level with"}


def compare_hair(results: Iterable[CaseResult], base: str) -> tuple[str, list[bool]]:
    """Return what was measured, in words, and for each pair that could be told whether the base is the finer.

    Pairs are images of one case, size and seed by the base and another variant.
    """
    known = {result.sample: result.health for result in results if result.health is not None}
    detail = [
        f"{sample.variant} {number(round(health.detail, 2))}"
        for sample, health in known.items()
        if health.detail is not None
    ]
    said, passes = [], []
    for sample, health in known.items():
        of_base = next((h for p, h in known.items() if p.variant == base and _same_scene(p, sample)), None)
        if sample.variant == base or of_base is None:
            continue
        words, finer = _pair(of_base, health, base, sample.variant)
        said.append(words)
        if finer is not None:
            passes.append(finer)
    figures = f"fine detail in per cent of the contrast: {', '.join(detail)}" if detail else ""
    return "; ".join(filter(None, (figures, *said))), passes


def _pair(base: Health, other: Health, base_name: str, name: str) -> tuple[str, bool | None]:
    found = compare_detail(base, other)
    if found.finer is Finer.CANNOT_TELL:
        return f"{base_name} against {name} cannot be told: {found.why}", None
    return f"{base_name} is {_SAID[found.finer]} {name}", found.finer is Finer.FIRST


def _same_scene(one: object, other: object) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("case", "size", "seed"))
