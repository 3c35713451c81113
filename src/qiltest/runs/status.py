"""Status of an image, in order of severity: for reports, merged runs and release verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from qiltest.runs.records import CaseResult


class Status(StrEnum):
    """A verdict, or WAITING where the run has not judged the image; worst first.

    An ERROR may hide a failure. A MISSING image was never seen; an INCOMPARABLE or NEW one can be looked at.
    """

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
        """A symbol that distinguishes verdicts without colour."""
        return _ICONS[self]


_ORDER = {status: rank for rank, status in enumerate(Status)}
_ICONS = dict(zip(Status, "✕!?≠+…✓", strict=True))


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst status; WAITING where there is none."""
    return min(statuses, key=lambda status: status.rank, default=Status.WAITING)


def status_of(result: CaseResult) -> Status:
    """Return the worse of the text's verdict and, where latency gates, the latency's.

    What `--qil-update` accepted in this run is NEW. With random weights only latency counts.
    """
    return worst((_text(result), _latency(result)))


def severity(result: CaseResult) -> tuple[int, int, int]:
    """Return a sort key, worst first: the status, then edits above the limit, then edits."""
    judgement, score = result.judgement, result.score
    excess = 0
    if judgement is not None and judgement.distance is not None:
        excess = judgement.distance - (judgement.limit or 0)
    return status_of(result).rank, -excess, 0 if score is None else -score.distance


def text_is_judged(result: CaseResult) -> bool:
    """Return whether the text is or will be judged; with random weights it is not."""
    return bool(result.error) or result.judgement is not None or result.latency is None


def _text(result: CaseResult) -> Status:
    if not text_is_judged(result):
        return Status.PASS
    if result.verdict is None:
        return Status.WAITING
    accepted = result.golden_recorded and not result.error
    return Status.NEW if accepted else Status(result.verdict.value)


def _latency(result: CaseResult) -> Status:
    latency = result.latency
    if latency is None or not latency.gates:
        return Status.PASS
    return Status.NEW if result.latency_recorded else Status(latency.verdict.value)
