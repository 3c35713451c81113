"""The report's third table held against a run: whether the base model has finer hair than the LoRAs."""

from __future__ import annotations

from collections.abc import Iterable

from qiltest.quality import Finer, Health, compare_detail
from qiltest.runs.records import CaseResult
from qiltest.text.format import number

_SAID = {Finer.FIRST: "finer than", Finer.SECOND: "less fine than", Finer.NEITHER: "level with"}


def compare_hair(results: Iterable[CaseResult], base: str) -> tuple[str, list[bool]]:
    """Return what was measured, in words, and for each pair that could be told whether the base is the finer.

    Pairs are pictures of one case, size and seed by the base and another variant.
    """
    known = {result.point: result.health for result in results if result.health is not None}
    detail = [
        f"{point.variant} {number(round(health.detail, 2))}"
        for point, health in known.items()
        if health.detail is not None
    ]
    said, holds = [], []
    for point, health in known.items():
        of_base = next((h for p, h in known.items() if p.variant == base and _same_scene(p, point)), None)
        if point.variant == base or of_base is None:
            continue
        words, finer = _pair(of_base, health, base, point.variant)
        said.append(words)
        if finer is not None:
            holds.append(finer)
    figures = f"fine detail in per cent of the contrast: {', '.join(detail)}" if detail else ""
    return "; ".join(filter(None, (figures, *said))), holds


def _pair(base: Health, other: Health, base_name: str, name: str) -> tuple[str, bool | None]:
    found = compare_detail(base, other)
    if found.finer is Finer.CANNOT_TELL:
        return f"{base_name} against {name} cannot be told: {found.why}", None
    return f"{base_name} is {_SAID[found.finer]} {name}", found.finer is Finer.FIRST


def _same_scene(one: object, other: object) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("case", "size", "seed"))
