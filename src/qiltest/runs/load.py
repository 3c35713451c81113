"""Reading a run back: every line, every image's bytes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from qiltest.errors import StoreError
from qiltest.runs.events import SCHEMA, Ended, Event, Failed, Generated, Judged, Started, decode, prefix_of
from qiltest.runs.images import ImageState, check_image, image_path
from qiltest.runs.records import CaseResult, Outcome, Run, RunState, Setup, shared
from qiltest.suite.selection import Sample

EVENTS = "events.jsonl"


def read_events(run: Path, *, only: tuple[type[Event], ...] = ()) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Return a run's events, of some kinds only where `only` names them, and what is wrong with their file.

    A last line without a newline was in hand when the process died: it is left out and said. Any other line that
    cannot be read is a StoreError, because lines are written whole and something else changed it.
    """
    path = run / EVENTS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"no run here ({error.strerror})",
            where=str(run),
            remedy="`ls` the folder of runs; each has an events.jsonl",
        ) from error
    *lines, rest = data.split(b"\n")
    prefixes = tuple(map(prefix_of, only))
    events = tuple(
        decode(line, where=f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if not prefixes or line.startswith(prefixes)
    )
    if not rest:
        return events, ()
    return events, (f"{path}: the last line was cut short and is left out: its process died while writing it",)


def load_run(run: Path) -> Run:
    """Read a run back. Raises StoreError where its events cannot be read.

    An image whose bytes are not what its name says is moved to `quarantine/`, and its result becomes an error that
    names it; one that is gone likewise. Neither is ever generated again in silence.
    """
    events, problems = read_events(run)
    started = _started(run, events)
    merged = _Merged(run=run)
    for event in events[1:]:
        merged.add(event)
    ended = merged.ended
    return Run(
        **shared(started, Setup),
        id=started.run,
        path=run,
        state=RunState.UNFINISHED if ended is None else ended.state,
        started=started.at,
        finished=None if ended is None else ended.at,
        exit_status=None if ended is None else ended.exit_status,
        results=merged.in_order(started.planned),
        problems=(*problems, *merged.problems, *(() if ended is None else ended.problems)),
    )


def _started(run: Path, events: tuple[Event, ...]) -> Started:
    if not events or not isinstance(events[0], Started):
        raise StoreError("the run never began", where=str(run), remedy="nothing is in it; remove the folder")
    if events[0].schema != SCHEMA:
        raise StoreError(
            f"the run is of schema {events[0].schema}; this qiltest reads schema {SCHEMA}",
            where=str(run),
            remedy=f"read it with qiltest {events[0].qiltest_version}",
        )
    return events[0]


@dataclass(kw_only=True)
class _Merged:
    """Events of a run laid over each other, point by point; a later event of a point wins."""

    run: Path
    results: dict[Sample, CaseResult] = field(default_factory=dict)
    ended: Ended | None = None
    problems: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Generated):
            self.results[event.sample] = self._drawn(event)
        elif isinstance(event, Judged):
            self.results[event.sample] = self._judged(event)
        elif isinstance(event, Failed):
            before = self.results.get(event.sample, CaseResult(sample=event.sample))
            self.results[event.sample] = replace(
                before,
                error=event.error,
                reading=event.reading,
                health=event.health,
                notes=(*before.notes, *event.notes),
            )

    def _drawn(self, event: Generated) -> CaseResult:
        state = check_image(self.run, event.sha256)
        path = image_path(self.run, event.sha256)
        result = event.result(path)
        if state is ImageState.GOOD:
            return result
        problem = image_problem(path, state)
        self.problems.append(f"{event.sample.id}: {problem}")
        return replace(result, image=None, error=problem)

    def _judged(self, event: Judged) -> CaseResult:
        before = self.results.get(event.sample, CaseResult(sample=event.sample))
        return replace(before, **shared(event, Outcome), notes=(*before.notes, *event.notes))

    def in_order(self, planned: tuple[Sample, ...]) -> tuple[CaseResult, ...]:
        begun = [self.results[sample] for sample in planned if sample in self.results]
        known = set(planned)
        return (*begun, *(result for sample, result in self.results.items() if sample not in known))


def image_problem(path: Path, state: ImageState) -> str:
    """Return the sentence for an image that is not good."""
    if state is ImageState.ABSENT:
        return f"the stored image {path} is gone"
    held = path.parent.parent / "quarantine" / path.name
    return f"the bytes of the stored image {path.name} are not what its name says; it was moved to {held}"
