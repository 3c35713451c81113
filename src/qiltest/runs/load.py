"""Read a run back and check every line and every image's bytes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from qiltest.errors import OtherSchemaError, StoreError, os_errors_as
from qiltest.runs.events import SCHEMA, Ended, Event, Failed, Generated, Judged, Started, decode, prefix_of
from qiltest.runs.images import ImageState, check_image, image_path
from qiltest.runs.records import CaseResult, Outcome, Run, RunState, Setup, shared
from qiltest.strict_json import other_schema
from qiltest.suite.selection import Sample

EVENTS = "events.jsonl"


def read_events(run: Path, *, only: tuple[type[Event], ...] = ()) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Return a run's events, only of the kinds in `only` if given, and problems of their file.

    A last line without a newline was being written when the process died: it is left out and reported. Any other line
    that cannot be read is a StoreError.
    """
    path = run / EVENTS
    with os_errors_as(StoreError, "not a run", where=str(run), remedy=f"name a folder that has an {EVENTS}"):
        data = path.read_bytes()
    *lines, rest = data.split(b"\n")
    if lines:
        _check_schema(run, lines[0])
    prefixes = tuple(map(prefix_of, only))
    events = tuple(
        decode(line, where=f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if not prefixes or line.startswith(prefixes)
    )
    if not rest:
        return events, ()
    return events, (f"{path}: the last line is incomplete and was left out: the process died while writing it",)


def _check_schema(run: Path, line: bytes) -> None:
    """Raise OtherSchemaError where a run's first line names another schema: its lines may have any form."""
    opening = other_schema(line, SCHEMA)
    if opening is not None:
        raise OtherSchemaError(
            f"the run has schema {opening['schema']!s:.20}; this qiltest reads schema {SCHEMA}",
            where=str(run),
            remedy=f"read it with the qiltest that wrote it ({opening.get('qiltest_version', 'unknown')!s:.20})",
        )


def load_run(run: Path) -> Run:
    """Read a run back. Raises StoreError where its events cannot be read.

    An image whose bytes do not match its name is moved to `quarantine/`. Its result is an error that names it, and so
    is that of a missing image.
    """
    events, problems = read_events(run)
    started = events[0] if events else None
    if not isinstance(started, Started):
        raise StoreError("the run never began", where=str(run), remedy="remove the folder; there is nothing in it")
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


@dataclass(kw_only=True)
class _Merged:
    """The results of a run: a later event of a sample adds to what is known or replaces it."""

    run: Path
    results: dict[Sample, CaseResult] = field(default_factory=dict)
    ended: Ended | None = None
    problems: list[str] = field(default_factory=list)

    def add(self, event: Event) -> None:
        if isinstance(event, Ended):
            self.ended = event
        elif isinstance(event, Generated):
            self.results[event.sample] = self._generated(event)
        elif isinstance(event, Judged | Failed):
            before = self.results.get(event.sample, CaseResult(sample=event.sample))
            if isinstance(event, Judged):
                found = shared(event, Outcome)
            else:
                found = {"error": event.error, "reading": event.reading, "health": event.health}
            self.results[event.sample] = replace(before, **found, notes=(*before.notes, *event.notes))

    def _generated(self, event: Generated) -> CaseResult:
        state = check_image(self.run, event.sha256)
        path = image_path(self.run, event.sha256)
        result = event.result(path)
        if state is ImageState.GOOD:
            return result
        problem = image_problem(path, state)
        self.problems.append(f"{event.sample.id}: {problem}")
        return replace(result, image=None, error=problem)

    def in_order(self, planned: tuple[Sample, ...]) -> tuple[CaseResult, ...]:
        begun = [self.results[sample] for sample in planned if sample in self.results]
        known = set(planned)
        return (*begun, *(result for sample, result in self.results.items() if sample not in known))


def image_problem(path: Path, state: ImageState) -> str:
    """Return what is wrong with an image."""
    if state is ImageState.ABSENT:
        return f"the stored image {path} is missing"
    quarantined = path.parent.parent / "quarantine" / path.name
    return f"the bytes of the stored image {path.name} do not match its name; it was moved to {quarantined}"
