"""The first line of a report: the run's verdict, how many images have which status, and what must be said beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from qiltest.runs.records import Run, RunState
from qiltest.runs.status import Status, status_of, text_is_judged, worst
from qiltest.text.format import count


def counts_of(run: Run) -> tuple[tuple[Status, int], ...]:
    """Return how many images have each status, worst first; those that are planned and not begun are waiting."""
    counter = Counter(map(status_of, run.results))
    not_generated = len(set(run.planned) - {result.sample for result in run.results})
    counter[Status.WAITING] += not_generated
    return tuple((status, counter[status]) for status in Status if counter[status])


def verdict_of(run: Run) -> tuple[Status, str, tuple[str, ...]]:
    """Return the run's verdict, its headline and what must be said beside it."""
    counts = dict(counts_of(run))
    total = max(len(run.planned), len(run.results))
    said = [*run.problems]
    if run.state is not RunState.FINISHED:
        said.insert(0, f"The run is {run.state.value}: {len(run.results)} of {count(total, 'image')} begun.")
    if not all(map(text_is_judged, run.results)):
        said.append("Text was not judged, because this model's weights are random: the verdict is on latency alone.")
    status = worst(counts)
    headline = _headline(status, counts, total)
    recorded = sum(result.golden_recorded for result in run.results)
    if recorded:
        headline += f"; {count(recorded, 'golden was', 'goldens were')} recorded"
    session_failed = run.exit_status not in {0, None} or bool(run.problems)
    if status in {Status.PASS, Status.NEW} and session_failed:
        return Status.FAIL, f"{headline}, but the session failed", tuple(said)
    return status, headline, tuple(said)


def _headline(status: Status, counts: Mapping[Status, int], total: int) -> str:
    images = f"{counts.get(status, 0)} of {count(total, 'image')}"
    return {
        Status.FAIL: f"{images} failed",
        Status.ERROR: f"{images} could not be judged",
        Status.MISSING: f"{images} missing",
        Status.INCOMPARABLE: f"{images} cannot be compared",
        Status.NEW: f"{images} new",
        Status.WAITING: f"{images} not judged yet" if total else "No image was asked for",
        Status.PASS: "The image holds" if total == 1 else f"All {total} images hold",
    }[status]
