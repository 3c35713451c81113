"""Verdicts: never a bool, never NaN."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from qiltest.errors import GoldenError
from qiltest.gate.golden import Golden, GoldenStore
from qiltest.quality.limits import gating
from qiltest.quality.records import Fault, Health
from qiltest.suite.selection import Sample


class Verdict(StrEnum):
    """What is said of one image."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    ERROR = "ERROR"
    NEW = "NEW"
    MISSING = "MISSING"
    INCOMPARABLE = "INCOMPARABLE"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with what led to it."""

    verdict: Verdict
    #: sentences, most important first; empty only for PASS.
    reasons: tuple[str, ...]
    distance: int | None
    #: the limit that applied: min(golden + tolerance, absolute); None where there is no golden and no absolute limit.
    limit: int | None
    golden_distance: int | None
    #: the reader's own error on this case, measured on images of known text; None where not calibrated.
    noise_floor: float | None


def with_quality(judgement: Judgement, health: Health | None, *, gates: bool = True) -> Judgement:
    """Return the verdict on an image's text and health together.

    Noise and a grid are FAIL whatever the text says; a blank image is ERROR: it shows nothing to judge.
    `gates` False: the case says `health = "report"`, and its images may have grain or a lattice.
    """
    found = gating(health) if gates and health is not None else ()
    if not found:
        return judgement
    blank = any(symptom.fault is Fault.BLANK for symptom in found)
    reasons = tuple(symptom.message for symptom in found)
    return replace(judgement, verdict=Verdict.ERROR if blank else Verdict.FAIL, reasons=(*reasons, *judgement.reasons))


def judge_missing(why: str, golden: Golden | None) -> Judgement:
    """Return MISSING for an image that was expected and never judged; `why` says what became of its test.

    A session that ends by itself has a verdict for each image it set out to generate. Where a test was skipped, was
    left out after the session had counted it, or never called `judge`, the image must not look like one that passed.
    """
    held = () if golden is None else (f"its golden, distance {golden.distance}, was held against nothing",)
    return Judgement(
        verdict=Verdict.MISSING,
        reasons=(f"expected, and never judged: {why}", *held),
        distance=None,
        limit=None,
        golden_distance=None if golden is None else golden.distance,
        noise_floor=None,
    )


def golden_of(store: GoldenStore, model: str, sample: Sample) -> Golden | None:
    """Return the golden of an image; None where there is none or it cannot be read, which is not the matter here."""
    try:
        return store.load(model, sample)
    except GoldenError:
        return None
