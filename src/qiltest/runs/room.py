"""Keep what a run's images hold within so many bytes of memory, and within the work that a run of its size takes.

A run of 100 MB from elsewhere may become a gigabyte of records. Beyond the room, the images that are least bad are kept
in brief: their verdict and its numbers.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache

from qiltest.errors import StoreError
from qiltest.reading.records import ReaderInfo
from qiltest.runs.records import CaseResult
from qiltest.runs.status import severity
from qiltest.suite.selection import Sample

#: bytes of the records of a run's images, as `_bytes_of` estimates them; an image has about 60,000.
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


@dataclass(kw_only=True)
class Room:
    """The room for the images of one run that is being read."""

    most: int = MOST
    #: which samples to keep in full, as far as there is room.
    wanted: Callable[[Sample], bool] = lambda _: True
    _weights: dict[Sample, int] = field(default_factory=dict)
    _total: int = 0
    _lines: int = 0
    _bytes: int = 0
    _values: int = 0

    def begin(self, line: bytes) -> None:
        """Take up the start of the run."""
        self._total += _bytes_of(line)

    def count(self, line: bytes, *, planned: int, where: str) -> None:
        """Count a line. Raises StoreError where the lines hold more than those of a run of that size."""
        self._lines, self._bytes, self._values = self._lines + 1, self._bytes + len(line), self._values + _values(line)
        what = ""
        if self._lines > _LINES + _LINES_PER_IMAGE * planned:
            what = f"more lines than a run of {planned:,} images has"
        elif self._values > _VALUES + self._bytes // _BYTES_PER_VALUE:
            what = f"more numbers and texts than a run of {self._bytes:,} bytes has"
        if what:
            raise StoreError(what, where=where, remedy=_TOO_MUCH)

    def hold(self, sample: Sample, line: bytes, results: dict[Sample, CaseResult]) -> None:
        """Take up what a line has added to a sample's result, and bring the results back within the room."""
        result = results[sample]
        if result.brief or not self.wanted(sample):
            results[sample] = in_brief(result)
        else:
            self._weights[sample] = self._weights.get(sample, BRIEF) + _bytes_of(line)
            self._total += _bytes_of(line)
        if self._total + BRIEF * len(results) > self.most:
            self._make_room(results)

    def _make_room(self, results: dict[Sample, CaseResult]) -> None:
        """Shorten the least bad results, the last first, until half of the room is free again."""
        free = max(0, self.most - BRIEF * len(results)) // 2
        by_severity = sorted(self._weights, key=lambda sample: severity(results[sample]))
        while by_severity and self._total > free:
            sample = by_severity.pop()
            self._total -= self._weights.pop(sample)
            results[sample] = in_brief(results[sample])


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
