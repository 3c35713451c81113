"""Where the time of a run's session went: its spans summed up by kind, each with what it ran beside.

A second belongs to every kind of work that was going on in it. A kind's seconds "alone" are those in which nothing else
was: only by these would the session be shorter without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from qiltest.runs.records import Run
from qiltest.spans import MOST, Span
from qiltest.text.format import count, percent, seconds

#: kinds of work that are told, those of most time; a run of the suite has about 25.
MOST_STAGES = 30
#: spans that are summed up: as many as a session stores, of its end and of its reports.
_MOST_SPANS = 2 * MOST
#: kinds beside one, and characters of a kind's name.
_MOST_BESIDE, _LONGEST = 4, 60
#: the kind of work that ends with the first image's pixels, and the one that a session is for.
_FIRST_IMAGE, _DENOISING = "decode", "denoise"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A kind of work that went on at the same time, and for how many seconds."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All work of one kind."""

    name: str
    #: how many pieces it had.
    times: int
    #: of the first piece and of the last, in seconds since the command began.
    start: float
    end: float
    #: in which at least one piece was going on.
    seconds: float
    #: in which nothing else was.
    alone: float
    #: the kinds that it ran beside longest.
    beside: tuple[Beside, ...]
    #: (start, end) of its pieces, joined where they touch.
    pieces: tuple[tuple[float, float], ...]


@dataclass(frozen=True, kw_only=True)
class TimelineView:
    """Where a session's time went, in seconds since the command began."""

    #: until the last piece of work ended.
    wall: float
    #: until the first image was decoded; None where none was.
    first_image: float | None
    #: in which no work was recorded.
    unrecorded: float
    #: by their starts.
    stages: tuple[Stage, ...]
    #: kinds of little time that are not listed.
    left_out: int = 0

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        parts = [f"{seconds(self.wall)} in all"]
        if self.first_image is not None:
            parts.append(f"{seconds(self.first_image)} from the command to the first image")
        denoising = next((stage for stage in self.stages if stage.name == _DENOISING), None)
        if denoising is not None and self.wall > 0:
            parts.append(f"{percent(denoising.seconds / self.wall)} of it denoising")
        parts.append(f"in {seconds(self.unrecorded)} no work was recorded")
        more = f"; {count(self.left_out, 'further kind')} of little time" if self.left_out else ""
        return "; ".join(parts) + more + "."


def timeline_of(run: Run) -> TimelineView | None:
    """Return where a run's time went; None for a run without spans, as of before there were any."""
    spans = run.spans[:_MOST_SPANS]
    if not spans:
        return None
    by_name: dict[str, list[Span]] = {}
    for span in spans:
        by_name.setdefault(span.name[:_LONGEST], []).append(span)
    pieces = {name: tuple(_joined((span.start, span.end) for span in spans)) for name, spans in by_name.items()}
    told = dict(sorted(pieces.items(), key=lambda item: -_length(item[1]))[:MOST_STAGES])
    wall = max(span.end for span in spans)
    alone, idle = _alone(told, wall)
    stages = [
        Stage(
            name=name,
            times=len(by_name[name]),
            start=own[0][0],
            end=own[-1][1],
            seconds=_length(own),
            alone=alone[name],
            beside=tuple(_beside(name, told)),
            pieces=own,
        )
        for name, own in told.items()
    ]
    return TimelineView(
        wall=wall,
        first_image=min((span.end for span in spans if span.name == _FIRST_IMAGE), default=None),
        unrecorded=idle,
        stages=tuple(sorted(stages, key=lambda stage: (stage.start, stage.end))),
        left_out=len(pieces) - len(told),
    )


def _beside(name: str, pieces: Mapping[str, Sequence[tuple[float, float]]]) -> Iterator[Beside]:
    """Yield the kinds that ran beside one longest."""
    shared = {other: _overlap(pieces[name], own) for other, own in pieces.items() if other != name}
    for other in sorted(shared, key=lambda other: -shared[other])[:_MOST_BESIDE]:
        if shared[other] > 0:
            yield Beside(name=other, seconds=shared[other])


def timeline_lines(view: TimelineView) -> Iterator[str]:
    """Yield the kinds of work as a Markdown table of plain words; names are not escaped."""
    yield "| work | pieces | from | until | seconds | alone | beside |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for stage in view.stages:
        beside = ", ".join(f"{one.name} {one.seconds:.1f}" for one in stage.beside)
        yield (
            f"| {stage.name} | {stage.times} | {stage.start:.1f} | {stage.end:.1f} | {stage.seconds:.2f} "
            f"| {stage.alone:.2f} | {beside} |"
        )


def _joined(pieces: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield pieces by their starts, joined where they touch."""
    ordered = sorted(pieces)
    start, end = ordered[0]
    for one, other in ordered[1:]:
        if one > end:
            yield start, end
            start, end = one, other
        else:
            end = max(end, other)
    yield start, end


def _length(pieces: Sequence[tuple[float, float]]) -> float:
    return sum(end - start for start, end in pieces)


def _overlap(one: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float:
    """Return the seconds in which pieces of both kinds were going on; each kind's are sorted and do not touch."""
    here = there = 0
    shared = 0.0
    while here < len(one) and there < len(other):
        shared += max(0.0, min(one[here][1], other[there][1]) - max(one[here][0], other[there][0]))
        if one[here][1] <= other[there][1]:
            here += 1
        else:
            there += 1
    return shared


def _alone(pieces: Mapping[str, Sequence[tuple[float, float]]], wall: float) -> tuple[dict[str, float], float]:
    """Return the seconds of each kind in which no other was going on, and those of nothing at all."""
    marks = sorted(
        (at, begins, name)
        for name, own in pieces.items()
        for start, end in own
        if start < end
        for at, begins in ((start, True), (end, False))
    )
    alone, idle, before = dict.fromkeys(pieces, 0.0), 0.0, 0.0
    going: set[str] = set()
    for at, begins, name in marks:
        if not going:
            idle += at - before
        elif len(going) == 1:
            alone[next(iter(going))] += at - before
        before = at
        if begins:
            going.add(name)
        else:
            going.discard(name)
    return alone, idle + wall - before
