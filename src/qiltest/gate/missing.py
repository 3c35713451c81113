"""MISSING: a picture that was expected, and no verdict came.

A session that ends by itself has a verdict for each picture it set out to draw. Where a test was skipped, was left out
after the session had counted it, or never called `judge`, there is none; that must not look like a picture that held.
"""

from __future__ import annotations

from qiltest.errors import GoldenError
from qiltest.gate.golden import Golden, GoldenStore
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.runs.records import Point


def judge_missing(why: str, golden: Golden | None) -> Judgement:
    """Return MISSING for a picture of which no verdict came; `why` says what became of its test."""
    held = () if golden is None else (f"its golden, distance {golden.distance}, was held against nothing",)
    return Judgement(
        verdict=Verdict.MISSING,
        reasons=(f"expected, and never judged: {why}", *held),
        distance=None,
        limit=None,
        golden_distance=None if golden is None else golden.distance,
        noise_floor=None,
    )


def golden_of(store: GoldenStore, model: str, point: Point) -> Golden | None:
    """Return the golden of a picture; None where there is none or it cannot be read, which is not the matter here."""
    try:
        return store.load(model, point.case, point.size, point.variant, point.seed)
    except GoldenError:
        return None
