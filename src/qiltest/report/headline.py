"""The first line of a report: the run's verdict, the number of images per status, and the run's problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from qiltest.report.since import Failure, failure_of
from qiltest.runs.records import Run, RunState
from qiltest.runs.status import Status, status_of, text_is_judged, worst
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: of a session that was refused.
NOTHING = "Nothing was generated"
#: characters of a reason in the headline; the whole stands below it.
_SHOWN = 300


def counts_of(run: Run) -> tuple[tuple[Status, int], ...]:
    """Return the number of images per status, worst first; images that were planned and not begun are waiting."""
    counter = Counter(map(status_of, run.results))
    counter[Status.WAITING] += len(set(run.planned) - {result.sample for result in run.results})
    return tuple((status, counter[status]) for status in Status if counter[status])


def verdict_of(run: Run) -> tuple[Status, str, tuple[str, ...]]:
    """Return the run's verdict, its headline, and the sentences to show below the headline."""
    counts = dict(counts_of(run))
    total = max(len(run.planned), len(run.results))
    notes = [*run.problems]
    if run.state is not RunState.FINISHED:
        notes.insert(0, f"The run is {run.state.value}: {len(run.results)} of {count(total, 'image')} begun.")
    if not all(map(text_is_judged, run.results)):
        notes.append("Text was not judged, because this model's weights are random: the verdict is on latency alone.")
    if run.refused:
        why = next(iter(run.problems), "see the session's messages").partition("\n")[0]
        return Status.ERROR, f"{NOTHING}: {one_line(why, _SHOWN)}", tuple(notes)
    status = worst(counts)
    recorded = sum(result.golden_recorded for result in run.results)
    failures = Counter(
        failure_of(result, run.case(result.sample.case)) for result in run.results if status_of(result) is Status.FAIL
    )
    headline = _headline(status, counts, failures, total, recorded)
    failed = run.exit_status not in {0, None} or bool(run.problems)
    if status is Status.NEW and not recorded and not run.problems and failed:
        # images without a golden fail the session by themselves
        return Status.FAIL, headline, tuple(notes)
    if status in {Status.PASS, Status.NEW} and failed:
        return Status.FAIL, f"{headline}, but the session failed", tuple(notes)
    return status, headline, tuple(notes)


#: after a number of images, where a run has more than one of these.
_KINDS = {
    Status.ERROR: "not judged",
    Status.MISSING: "missing",
    Status.INCOMPARABLE: "not comparable",
    Status.NEW: "new",
}


def _kinds(bad: Mapping[Status, int], failures: Mapping[Failure, int]) -> str:
    failed = [f"{failures[kind]} {kind}" for kind in Failure if failures[kind]]
    return ", ".join((*failed, *(f"{bad[status]} {name}" for status, name in _KINDS.items() if status in bad)))


def _headline(
    status: Status, counts: Mapping[Status, int], failures: Mapping[Failure, int], total: int, recorded: int
) -> str:
    amount = counts.get(status, 0)
    images = f"{amount} of {count(total, 'image')}"
    has, them = ("has", "it") if amount == 1 else ("have", "them")
    new = f"{images} {has} no golden yet: look at {them}, then accept {them}"
    if recorded:
        new = f"{images} new"
    headline = {
        Status.FAIL: _failed(images, amount, failures),
        Status.ERROR: f"{images} could not be judged",
        Status.MISSING: f"{images} missing",
        Status.INCOMPARABLE: f"{images} cannot be compared",
        Status.NEW: new,
        Status.WAITING: f"{images} not judged yet" if total else "No image was selected",
        Status.PASS: "The image passes" if total == 1 else f"All {total} images pass",
    }[status]
    bad: dict[Status, int] = {
        other: number for other, number in counts.items() if other not in {Status.PASS, Status.WAITING}
    }
    if len(bad) > 1 or len(failures) > 1:
        headline = f"{sum(bad.values())} of {count(total, 'image')} do not pass: {_kinds(bad, failures)}"
    return headline + (f"; {count(recorded, 'golden was', 'goldens were')} recorded" if recorded else "")


def _failed(images: str, amount: int, failures: Mapping[Failure, int]) -> str:
    is_, its = ("is", "its golden") if amount == 1 else ("are", "their goldens")
    kind = next(iter(failures), Failure.FAILED)
    return f"{images} failed" if kind is Failure.FAILED else f"{images} {is_} {kind} than {its}"
