"""Keep what a run's images hold within so many bytes of memory, and within the work that a run of its size takes.

A run of 100 MB from elsewhere may become a gigabyte of records. Once the room is used up, lines are read in brief: the
verdict and its numbers. At the end the worst images are read again in full, as many as there is room for.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache

from qiltest.errors import StoreError
from qiltest.reading.records import ReaderInfo
from qiltest.runs.lines import Line
from qiltest.runs.records import CaseResult
from qiltest.runs.status import severity
from qiltest.suite.selection import Sample

#: bytes of the records of a run's images, as `_bytes_of` estimates them; an image of the suite has about 60,000.
MOST = 96 << 20
#: bytes of an image in brief.
BRIEF = 2_500
#: characters of a reason in brief.
_REASON = 300
#: numbers and texts that any run may have, and bytes of a run for each further one; a run's own have 19 on average.
_VALUES, _BYTES_PER_VALUE = 4_000_000, 7
#: lines that any run may have, and lines for each planned image; a run's own has two.
_LINES, _LINES_PER_IMAGE = 1_000, 4
_TOO_MUCH = "trust none of it; run the suite again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a line is in its file: the byte that it begins at, its length, and its number."""

    start: int
    length: int
    number: int


@dataclass(kw_only=True)
class Room:
    """The room for the images of one run that is being read."""

    most: int = MOST
    #: which samples to keep in full, as far as there is room.
    wanted: Callable[[Sample], bool] = lambda _: True
    #: the lines of each sample.
    places: dict[Sample, list[Place]] = field(default_factory=dict)
    #: False once lines are read in brief.
    in_full: bool = True
    _weights: dict[Sample, int] = field(default_factory=dict)
    _planned: int = 0
    _free: int = 0
    _size: int = 0
    _values: int = 0

    def begin(self, line: Line, planned: int) -> None:
        """Take up the start of a run with so many planned images, each of which has room in brief."""
        self._planned, self._free = planned, self.most - _bytes_of(line.data) - BRIEF * planned
        self._size = len(line.data) + 1

    def count(self, line: Line, *, where: str) -> None:
        """Count a line before it is read.

        Raises StoreError where the lines so far hold more than those of a run of that size.
        """
        values = _values(line.data)
        self._size, self._values = self._size + len(line.data) + 1, self._values + values
        what = ""
        if line.number > _LINES + _LINES_PER_IMAGE * self._planned:
            what = f"more lines than a run of {self._planned:,} images has"
        elif self._values > _VALUES + self._size // _BYTES_PER_VALUE:
            what = f"more numbers and texts than a run of {self._size:,} bytes has"
        if what:
            raise StoreError(what, where=where, remedy=_TOO_MUCH)
        self._free -= _bytes_of(line.data) if self.in_full else 0
        self.in_full = self.in_full and self._free >= 0

    def note(self, sample: Sample, line: Line) -> None:
        """Note that the line just counted is of this sample."""
        place = Place(start=self._size - len(line.data) - 1, length=len(line.data), number=line.number)
        self.places.setdefault(sample, []).append(place)
        self._weights[sample] = self._weights.get(sample, 0) + _bytes_of(line.data)

    def choose(self, results: Mapping[Sample, CaseResult]) -> set[Sample]:
        """Return the samples to keep in full, the worst that there is room for."""
        free = self.most - BRIEF * max(self._planned, len(results))
        chosen = set()
        for sample in sorted(filter(self.wanted, results), key=lambda sample: severity(results[sample])):
            if self._weights[sample] <= free:
                chosen.add(sample)
                free -= self._weights[sample]
        return chosen


def in_brief(result: CaseResult) -> CaseResult:
    """Return a result with its verdict and numbers alone."""
    judgement, latency, score = result.judgement, result.latency, result.score
    return CaseResult(
        sample=result.sample,
        image=result.image,
        error=result.error[:_REASON],
        judgement=judgement and replace(judgement, reasons=tuple(one[:_REASON] for one in judgement.reasons[:1])),
        latency=latency and replace(latency, reasons=tuple(one[:_REASON] for one in latency.reasons[:1])),
        score=score and replace(score, reader=_one(score.reader), texts=(), extra=()),
        golden_recorded=result.golden_recorded,
        latency_recorded=result.latency_recorded,
        brief=True,
    )


@lru_cache(maxsize=64)
def _one(reader: ReaderInfo) -> ReaderInfo:
    """Return the first of equal readers, so that a thousand images have one."""
    return reader


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause Python's garbage collector: it would look through a million new records again and again, and find none."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _bytes_of(line: bytes) -> int:
    """Return about how many bytes the records of a line have: four for each character, or those of its values."""
    return max(4 * len(line), len(line) + 75 * _values(line))


def _values(line: bytes) -> int:
    return line.count(b",")
