"""Read a run back and check every line, its place in the chain, every stored reading and every image's bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from qiltest.errors import StoreError
from qiltest.runs.events import (
    Ended,
    Event,
    Failed,
    Generated,
    Judged,
    Noted,
    OfSample,
    Reported,
    Started,
    decode,
    decode_brief,
    prefix_of,
)
from qiltest.runs.images import Hashes, ImageState, check_image, image_path, image_problem
from qiltest.runs.lines import DAMAGED, EVENTS, Line, cut_short, lines_of
from qiltest.runs.plain_file import open_plain
from qiltest.runs.readings import reading_digest
from qiltest.runs.records import CaseResult, Outcome, Run, RunState, Setup, shared
from qiltest.runs.room import Room, collector_paused, in_brief
from qiltest.spans import MOST, Span
from qiltest.suite.selection import Sample

__all__ = ["EVENTS", "Bound", "load_run", "read_events"]


def read_events(run: Path, *, only: tuple[type[Event], ...] = ()) -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Return a run's events, only of the kinds in `only` if given, and problems of their file.

    A last line without a newline was being written when the process died: it is left out and reported. Any other line
    that cannot be read is a StoreError, and so is a broken chain.
    """
    problems: list[str] = []
    prefixes = tuple(map(prefix_of, only))
    bound = Bound()
    with collector_paused():
        events = tuple(
            _checked(line, bound, where=where)
            for line, where in _lines(run, problems)
            if not prefixes or line.data.startswith(prefixes)
        )
    return events, tuple(problems)


def _lines(run: Path, problems: list[str]) -> Iterator[tuple[Line, str]]:
    """Yield each whole line with its place, and add to `problems`. Raises StoreError."""
    path = str(run / EVENTS)
    for line in lines_of(run):
        if line.whole:
            yield line, f"{path}:{line.number}"
        else:
            problems.append(cut_short(run))


def _checked(line: Line, bound: Bound, *, where: str) -> Event:
    """Return the event of a line that fits those before it. Raises StoreError."""
    event = decode(line.data, where=where)
    fault = bound.fault(event, stored=line.data)
    if fault:
        raise StoreError(fault, where=where, remedy=DAMAGED)
    return event


@dataclass(kw_only=True)
class Bound:
    """Checks that events fit those before them: one start, and readings that are of their sample's image."""

    images: dict[Sample, str] = field(default_factory=dict)
    begun: bool = False

    def fault(self, event: Event, *, stored: bytes = b"") -> str:
        """Return why an event does not fit those before it, or ""; call it for each in order.

        `stored` is the line that the event was read from.
        """
        if isinstance(event, Started):
            again, self.begun = self.begun, True
            return "a second start in one run" if again else ""
        if isinstance(event, Generated):
            self.images[event.sample] = event.sha256
        elif isinstance(event, Judged) and event.digest not in self._digests(event, stored):
            return f"the reading of {event.sample.id} is not the one that was stored for its image: its digest differs"
        return ""

    def digest(self, event: Judged, *, stored: bytes = b"") -> str:
        """Return the digest of what was read in the sample's image, "" where it was not read."""
        if event.reading is None:
            return ""
        return reading_digest(event.reading, event.health, image=self.images.get(event.sample, ""), stored=stored)

    def _digests(self, event: Judged, stored: bytes) -> Iterator[str]:
        """Yield the digest by the stored line, and where that is another one, by what was read from it."""
        yield self.digest(event, stored=stored)
        yield self.digest(event)


def load_run(run: Path, *, room: Room | None = None) -> Run:
    """Read a run back. Raises StoreError where its events cannot be read.

    An image whose bytes do not match its name is moved to `quarantine/`. Its result is an error that names it, and so
    is that of a missing image. In a `room`, which is for one run, the worst results are kept in full and the others in
    brief where it is used up, and lines that hold more than those of a run do are a StoreError too.
    """
    problems: list[str] = []
    started, merged = None, _Merged(run=run, room=room)
    with collector_paused():
        for line, where in _lines(run, problems):
            if started is not None:
                merged.add(line, where)
                continue
            event = _checked(line, merged.bound, where=where)
            if not isinstance(event, Started):
                break
            started = event
            if room is not None:
                room.begin(line, len(started.planned))
        merged.finish()
    if started is None:
        raise StoreError("the run never began", where=str(run), remedy="remove the folder; there is nothing in it")
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
        spans=merged.spans,
    )


@dataclass(kw_only=True)
class _Merged:
    """The results of a run: a later event of a sample adds to what is known or replaces it."""

    run: Path
    room: Room | None
    results: dict[Sample, CaseResult] = field(default_factory=dict)
    ended: Ended | None = None
    spans: tuple[Span, ...] = ()
    #: as keys, because an image that is read again has its problem again.
    problems: dict[str, None] = field(default_factory=dict)
    bound: Bound = field(default_factory=Bound)
    hashes: Hashes = field(default_factory=Hashes)
    states: dict[str, ImageState] = field(default_factory=dict)

    def add(self, line: Line, where: str) -> None:
        """Take up a line, in brief where the room is used up."""
        room = self.room
        if room is None:
            self._add(_checked(line, self.bound, where=where))
            return
        room.count(line, where=where)
        event: Event | Noted
        event = _checked(line, self.bound, where=where) if room.in_full else decode_brief(line.data, where=where)
        self._add(event)
        if isinstance(event, OfSample):
            room.note(event.sample, line)
            if not room.in_full:
                self.results[event.sample] = in_brief(self.results[event.sample])

    def finish(self) -> None:
        """Where the room was used up, keep in full the worst results that there is room for."""
        room = self.room
        if room is None or room.in_full:
            return
        chosen = room.choose(self.results)
        for sample, result in self.results.items():
            if sample not in chosen:
                self.results[sample] = in_brief(result)
        path = self.run / EVENTS
        remedy = "leave the run alone while it is read"
        with open_plain(path, what="the run cannot be read again", where=str(path), remedy=remedy) as file:
            for sample in (sample for sample in self.results if sample in chosen and self.results[sample].brief):
                self.results[sample] = CaseResult(sample=sample)
                for place in room.places[sample]:
                    file.seek(place.start)
                    line = Line(number=place.number, data=file.read(place.length))
                    self._add(_checked(line, self.bound, where=f"{path}:{place.number}"))

    def _add(self, event: Event | Noted) -> None:
        if isinstance(event, Ended | Reported):
            self.ended = event if isinstance(event, Ended) else self.ended
            self.spans = (*self.spans, *event.spans)[: 2 * MOST]  # those of its end and of its reports
        elif isinstance(event, Generated | Noted):
            self.results[event.sample] = self._generated(event)
        elif isinstance(event, Judged | Failed):
            before = self.results.get(event.sample, CaseResult(sample=event.sample))
            if isinstance(event, Judged):
                found = shared(event, Outcome)
            else:
                found = {"error": event.error, "reading": event.reading, "health": event.health}
            self.results[event.sample] = replace(before, **found, notes=(*before.notes, *event.notes))

    def _generated(self, event: Generated | Noted) -> CaseResult:
        result = event.result(image_path(self.run, event.sha256))
        for sha256 in (event.sha256, *(image.sha256 for image in result.before)):
            if sha256 not in self.states:
                self.states[sha256] = check_image(self.run, sha256, self.hashes)
            state = self.states[sha256]
            if state is not ImageState.GOOD:
                problem = image_problem(image_path(self.run, sha256), state)
                self.problems[f"{event.sample.id}: {problem}"] = None
                return replace(result, image=None, before=(), error=problem)
        return result

    def in_order(self, planned: tuple[Sample, ...]) -> tuple[CaseResult, ...]:
        begun = [self.results[sample] for sample in dict.fromkeys(planned) if sample in self.results]
        known = set(planned)
        return (*begun, *(result for sample, result in self.results.items() if sample not in known))
