"""Find characters that a reader recognised with low confidence: broken strokes, pseudo-characters. Never gates.

Of the measures tried (docs/measurements/readers.md), the confidence per character separates broken from whole ones
best, but it misses many that lack a quarter, and doubts some in correct text. So it is shown and decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from qiltest.reading.quad import is_column, stretch
from qiltest.reading.records import Line, Point, Reading

#: A character below this confidence is suspicious; measured in benchmarks/results/strokes.json and readers.json.
DOUBT = 0.8
#: A line below this confidence is noise as a whole.
TEXT = 0.5


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """A character that may be malformed."""

    text: str
    confidence: float
    #: index into `Reading.lines`, and of the character in the line's text.
    line: int
    index: int
    #: approximate position, in pixels, as if all characters were equally wide.
    place: Point


def suspicious(reading: Reading, lines: Collection[int] | None = None) -> tuple[Suspicion, ...]:
    """Return the doubtful characters of a reading or of some of its lines; none without confidences per character."""
    return tuple(
        Suspicion(text=char, confidence=confidence, line=k, index=i, place=_place(line, (i + 0.5) / len(line.text)))
        for k, line in enumerate(reading.lines)
        if line.confidence >= TEXT and (lines is None or k in lines)
        for i, (char, confidence) in enumerate(zip(line.text, line.characters, strict=False))
        if confidence < DOUBT and not char.isspace()
    )


def _place(line: Line, share: float) -> Point:
    """Return the point at a share of the line's length, halfway across it."""
    corners = stretch(line.box, share, share, column=is_column(line.box))
    return sum(x for x, _ in corners) / 4, sum(y for _, y in corners) / 4
