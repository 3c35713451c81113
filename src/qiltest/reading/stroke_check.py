"""Judge the strokes of a reading's characters, by a network that is told which character was read.

It is asked about the character that the reader read, never about the one that was expected. The work is bounded: of an
image only so many characters are judged, whatever it holds; the others are not judged, and not counted. Neither is a
line of a reader that does not say where its characters are: a crop that is off looks broken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qiltest.reading.glyphs.crop import Crop, crops
from qiltest.reading.images import Pixels
from qiltest.reading.records import Line, Reading
from qiltest.reading.strokes import TEXT

#: characters of an image that are looked at; no image of the suite has a third of them.
MOST = 1_500
#: crops that are kept until they are judged at once.
_BATCH = 256
#: threads that judge them, the same log-odds with any number: 100 characters are a quarter of a second of one.
_THREADS = 2
#: of a line without any.
_NONE: dict[int, float] = {}


class GlyphNetwork(Protocol):
    """Says of a crop whether the strokes of the character that it should show are broken."""

    @property
    def fingerprint(self) -> str:
        """Hash of all that its answer depends on: log-odds of two networks are never compared."""
        ...

    def judges(self, char: str, height: float) -> bool:
        """Return whether it judges a character of this height in pixels."""
        ...

    def log_odds(self, crops: NDArray[np.float32], chars: Sequence[str]) -> NDArray[np.float32]:
        """Return the log-odds that each crop's strokes are broken; shape (n,)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    line: int
    index: int
    char: str
    crop: Crop


@cache
def shipped_network() -> GlyphNetwork:
    """Return qiltest's own glyph network, opened once in a process. Raises ReaderError where it is damaged."""
    from qiltest.reading.glyphs.network import Verifier

    return Verifier(threads=min(_THREADS, os.cpu_count() or 1))


def judged(image: Pixels, reading: Reading) -> Reading:
    """Return a reading with its strokes judged by the shipped network; `image` is what was read, RGB."""
    return with_strokes(image, reading, shipped_network())


def with_strokes(image: Pixels, reading: Reading, network: GlyphNetwork) -> Reading:
    """Return the reading with the log-odds of its characters; `image` is what was read, RGB."""
    odds: dict[int, dict[int, float]] = {}
    waiting: list[_Cut] = []
    for cut in _cuts(image, reading.lines, network):
        waiting.append(cut)
        if len(waiting) == _BATCH:
            _judge(waiting, network, odds)
            waiting = []
    _judge(waiting, network, odds)
    lines = tuple(_with_odds(line, odds.get(number, _NONE)) for number, line in enumerate(reading.lines))
    return replace(reading, lines=lines, glyphs=network.fingerprint)


def _cuts(image: Pixels, lines: Sequence[Line], network: GlyphNetwork) -> Iterator[_Cut]:
    looked_at = 0
    for number, line in enumerate(lines):
        looked_at += len(line.text)
        if looked_at > MOST:
            return
        if line.confidence >= TEXT and line.places:
            found = crops(image, line.box, line.text, line.places)
            for index, (char, crop) in enumerate(zip(line.text, found, strict=True)):
                if crop is not None and network.judges(char, crop.height):
                    yield _Cut(line=number, index=index, char=char, crop=crop)


def _judge(cuts: Sequence[_Cut], network: GlyphNetwork, odds: dict[int, dict[int, float]]) -> None:
    if not cuts:
        return
    found = network.log_odds(np.stack([cut.crop.ink for cut in cuts]), [cut.char for cut in cuts])
    for cut, value in zip(cuts, found, strict=True):
        # two digits are enough to look at, and a reading has one for each of its characters
        odds.setdefault(cut.line, {})[cut.index] = round(float(value), 2)


def _with_odds(line: Line, odds: dict[int, float]) -> Line:
    return replace(line, strokes=tuple(odds.get(index) for index in range(len(line.text)))) if odds else line
