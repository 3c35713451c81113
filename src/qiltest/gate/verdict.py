"""The verdict on one image, and the rules for image quality and missing images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from qiltest.gate.golden import Golden
from qiltest.quality.limits import gating
from qiltest.quality.records import Fault, Health


class Verdict(StrEnum):
    """The result for one image: never a bool, never NaN."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    ERROR = "ERROR"
    NEW = "NEW"
    MISSING = "MISSING"
    INCOMPARABLE = "INCOMPARABLE"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with its reasons and numbers."""

    verdict: Verdict
    #: sentences, most important first; empty only for PASS.
    reasons: tuple[str, ...]
    distance: int | None
    #: the limit that applied: min(golden + tolerance, absolute); None where there is no golden and no absolute limit.
    limit: int | None
    golden_distance: int | None
    #: the reader's own error on this case, measured on images of known text; None where not calibrated.
    noise_floor: float | None
    #: edits at places where the golden has none (`qiltest.gate.per_text`); 0 where nothing is compared.
    new_errors: int = 0
    #: characters with broken strokes, where the image fails by them (`qiltest.gate.strokes`); else 0.
    broken_strokes: int = 0


def with_quality(judgement: Judgement, health: Health | None, *, gates: bool = True) -> Judgement:
    """Return the verdict on an image's text and quality together.

    Noise or a grid is FAIL whatever the text is, a blank image is ERROR. `gates` is False where the case has
    `quality = "report"`, because its images may have grain or a lattice.
    """
    found = gating(health) if gates and health is not None else ()
    if not found:
        return judgement
    blank = any(symptom.fault is Fault.BLANK for symptom in found)
    reasons = tuple(symptom.message for symptom in found)
    return replace(judgement, verdict=Verdict.ERROR if blank else Verdict.FAIL, reasons=(*reasons, *judgement.reasons))


def with_fault(judgement: Judgement, found: str, *, gates: bool) -> Judgement:
    """Return FAIL for what was found wrong besides the text; where it does not gate it is said and does not fail."""
    if gates:
        return replace(judgement, verdict=Verdict.FAIL, reasons=(found, *judgement.reasons))
    return replace(judgement, reasons=(*judgement.reasons, f"not counted: {found}"))


def judge_missing(why: str, golden: Golden | None) -> Judgement:
    """Return MISSING for a planned image whose test was skipped, did not run or never judged; `why` says which."""
    unused = () if golden is None else (f"golden (distance {golden.distance}) was not compared",)
    return Judgement(
        verdict=Verdict.MISSING,
        reasons=(f"no verdict: {why}", *unused),
        distance=None,
        limit=None,
        golden_distance=None if golden is None else golden.distance,
        noise_floor=None,
    )
