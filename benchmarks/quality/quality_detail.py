"""Fine detail under losses, noise, sharpening and contrast, for `health.py`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from quality_faults import CONTRASTS, GAINS, LOSSES, Pixels, Plant
from quality_rates import rate, ratios

from qiltest.published.fine_detail import LEAST, MORE, DetailComparison, Finer, compare_detail
from qiltest.quality import Health, examine
from qiltest.reading.records import Line


def detail(images: dict[str, Pixels], lines: dict[str, tuple[Line, ...]]) -> dict[str, object]:
    """Follow fine detail outside the lines that the reader found."""
    clean = {name: examine(pixels).outside(lines[name]) for name, pixels in images.items()}
    hairy = [name for name, health in clean.items() if health.detail is not None and health.detail >= LEAST]
    out: dict[str, object] = {"images": len(images), "with_structure": len(hairy)}

    def treated(plant: Plant, strength: float, name: str) -> Health:
        return examine(plant(images[name], strength)).outside(lines[name])

    losses = []
    for title, plant, strengths, unit in LOSSES:
        courses = {name: [clean[name], *(treated(plant, strength, name) for strength in strengths)] for name in hairy}
        losses.append(_loss(title, strengths, unit, courses))
        print(f"  {title}: {losses[-1]['falling_steps']}, not falling in {losses[-1]['not_falling_in']}", flush=True)
    gains = []
    for title, plant, strengths, unit in GAINS:
        for strength in strengths:
            said = [compare_detail(treated(plant, strength, name), clean[name]) for name in hairy]
            gains.append(_gain(title, strength, unit, said))
            print(f"  {title} {strength:g} {unit}: {gains[-1]['called_finer']}", flush=True)
    plant, strengths = CONTRASTS
    contrast = [
        {"times": strength, **ratios([_share(treated(plant, strength, name), clean[name]) for name in hairy])}
        for strength in strengths
    ]
    return out | {"losses": losses, "gains": gains, "contrast": contrast}


def _share(after: Health, before: Health) -> float:
    assert after.detail is not None
    assert before.detail is not None
    return after.detail / before.detail


def _loss(title: str, strengths: Sequence[float], unit: str, courses: dict[str, list[Health]]) -> dict[str, object]:
    values = {name: [health.detail or 0.0 for health in course] for name, course in courses.items()}
    steps = [after < before for course in values.values() for before, after in pairwise(course)]
    rising = {
        name: [round(value / course[0], 3) for value in course[1:]]
        for name, course in values.items()
        if any(b >= a for a, b in pairwise(course))
    }
    wrong = [
        name
        for name, course in courses.items()
        if any(compare_detail(after, course[0]).finer is Finer.FIRST for after in course[1:])
    ]
    shares = [ratios([course[k] / course[0] for course in values.values()]) for k in range(1, len(strengths) + 1)]
    return {
        "treatment": title, "strengths": list(strengths), "unit": unit, "left": shares,
        "falling_steps": rate(sum(steps), len(steps)), "not_falling_in": rising, "called_finer": wrong,
    }  # fmt: skip


def _gain(title: str, strength: float, unit: str, said: list[DetailComparison]) -> dict[str, object]:
    raised = [item for item in said if item.ratio is not None and item.ratio >= MORE]
    return {
        "treatment": title, "strength": strength, "unit": unit,
        "ratio": ratios([item.ratio for item in said if item.ratio]),
        "raised": len(raised), "raised_and_told": sum(item.finer is Finer.CANNOT_TELL for item in raised),
        "called_finer": rate(sum(item.finer is Finer.FIRST for item in said), len(said)),
    }  # fmt: skip
