"""Characters with broken strokes: half-formed ones, pseudo-characters.

The glyph network says of each character whether its strokes are broken (`Line.strokes`). That counts for Chinese and
kana: of letters and digits in real images it takes too many whole ones for broken. For these, and where it is silent,
because a character is too small or none that it knows, the reader's confidence stands in: it finds far fewer, so it is
shown and decides nothing (docs/measurements/readers.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from qiltest.reading.quad import is_column, stretch
from qiltest.reading.records import Line, Point, Reading

#: log-odds above which a character counts as broken.
BROKEN = 0.0
#: log-odds above which it is in doubt: counted only where two releases are compared, which are measured alike, so that
#: whole characters weigh on both sides (docs/measurements/gate-power.md).
DOUBTED = -2.0
#: A character below this confidence may be broken; measured in benchmarks/results/strokes.json and readers.json.
DOUBT = 0.8
#: hiragana and katakana; Chinese; compatibility ideographs.
_SQUARE = (("\u3040", "\u30ff"), ("\u3400", "\u9fff"), ("\uf900", "\ufaff"))
#: A line below this confidence is noise as a whole.
TEXT = 0.5


@dataclass(frozen=True, kw_only=True)
class BrokenStrokes:
    """A character whose strokes are broken, or may be."""

    text: str
    #: index into `Reading.lines`, and of the character in the line's text.
    line: int
    index: int
    #: approximate position, in pixels.
    place: Point
    #: of the glyph network; None where it does not count and the reader's confidence stands in.
    log_odds: float | None
    #: of the reader; None where its engine gives none per character.
    confidence: float | None

    @property
    def judged(self) -> bool:
        """True where the glyph network says so, and not the reader's confidence alone."""
        return self.log_odds is not None


def broken_strokes(reading: Reading, lines: Collection[int] | None = None) -> tuple[BrokenStrokes, ...]:
    """Return the characters of a reading, or of some of its lines, with broken strokes, in the reader's order."""
    return tuple(
        item
        for k, line in enumerate(reading.lines)
        if line.confidence >= TEXT and (lines is None or k in lines)
        for item in _in_line(k, line)
    )


def _in_line(number: int, line: Line) -> Iterator[BrokenStrokes]:
    for index, char in enumerate(line.text):
        odds = counted(line, index)
        confidence = line.characters[index] if index < len(line.characters) else None
        if is_broken(odds, confidence) and not char.isspace():
            yield BrokenStrokes(
                text=char,
                line=number,
                index=index,
                place=place_of(line, index),
                log_odds=odds,
                confidence=confidence,
            )


def counted(line: Line, index: int) -> float | None:
    """Return the log-odds that a character's strokes are broken; None where it was not judged, or does not count."""
    return line.strokes[index] if index < len(line.strokes) and fills_square(line.text[index]) else None


def fills_square(char: str) -> bool:
    """Return whether a character fills a square of its own: Chinese and kana; not letters and digits."""
    return any(first <= char <= last for first, last in _SQUARE) or char in "々〇"


def is_broken(log_odds: float | None, confidence: float | None) -> bool:
    """Return whether a character counts as broken: by its log-odds, by the reader's confidence where there are none."""
    if log_odds is not None:
        return log_odds > BROKEN
    return confidence is not None and confidence < DOUBT


def place_of(line: Line, index: int) -> Point:
    """Return roughly where a character of a line is, in pixels; without places as if all were equally wide."""
    share = line.places[index] if index < len(line.places) else (index + 0.5) / len(line.text)
    corners = stretch(line.box, share, share, column=is_column(line.box))
    return round(sum(x for x, _ in corners) / 4, 1), round(sum(y for _, y in corners) / 4, 1)
