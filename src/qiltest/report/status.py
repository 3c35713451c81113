"""The word over a picture, and which word is worse."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult


class Status(StrEnum):
    """A verdict, or WAITING where the run has not judged the picture; worst first."""

    FAIL = "FAIL"
    ERROR = "ERROR"
    MISSING = "MISSING"
    INCOMPARABLE = "INCOMPARABLE"
    NEW = "NEW"
    WAITING = "WAITING"
    PASS = "PASS"  # noqa: S105 - a verdict, not a password

    @property
    def rank(self) -> int:
        """0 for the worst; for sorting."""
        return _ORDER[self]

    @property
    def icon(self) -> str:
        """A sign that tells verdicts apart without colour."""
        return _ICONS[self]


_ORDER = {status: rank for rank, status in enumerate(Status)}
_ICONS = {
    Status.FAIL: "✕",
    Status.ERROR: "!",
    Status.MISSING: "?",
    Status.INCOMPARABLE: "≠",
    Status.NEW: "+",
    Status.WAITING: "…",
    Status.PASS: "✓",
}


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of them; WAITING where there is none, because nothing was shown to hold."""
    return min(statuses, key=lambda status: status.rank, default=Status.WAITING)


def status_of(result: CaseResult) -> Status:
    """Return the worse of the text's verdict and, where latency gates, the latency's."""
    verdict = result.verdict
    text = Status.WAITING if verdict is None else Status(verdict.value)
    latency = result.latency
    if latency is None or not latency.gates or latency.verdict is Verdict.PASS:
        return text
    return worst((text, Status(latency.verdict.value)))
