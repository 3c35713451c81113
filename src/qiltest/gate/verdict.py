"""Verdicts: never a bool, never NaN."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What is said of one picture."""

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
    #: the reader's own error on this case, measured on pictures of known text; None where not calibrated.
    noise_floor: float | None
