"""Which characters of an expected text have broken strokes.

A character counts where what was read is what was expected there: a misread one is an edit already, and what the glyph
network was asked about is the character that was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from qiltest.reading.records import Line
from qiltest.reading.strokes import BROKEN, DOUBTED, counted, place_of
from qiltest.scoring.records import BROKEN_MARK, DOUBTED_MARK, SILENT_MARK, WHOLE_MARK, BrokenCharacter
from qiltest.text.normalise import normalise

#: characters of texts and lines that are aligned: no image has longer ones, and the work grows with their product.
_LONGEST = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Strokes:
    """What the glyph network says of the characters of a text: `TextScore.strokes` and `TextScore.broken`."""

    marks: str = ""
    broken: tuple[BrokenCharacter, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """One character of the normalised text that was read, and where it came from."""

    char: str
    line: int
    index: int


def strokes_of(expected: str, read: Sequence[str], numbers: Sequence[int], lines: Sequence[Line]) -> Strokes:
    """Return what was judged of a text.

    `expected` is the normalised text without optional marks; `read` is what of each line belongs to the text, and
    `numbers` says which line of the reading's `lines` it is from.
    """
    if not any(lines[number].strokes for number in numbers):
        return Strokes()
    shown = [char for part, number in zip(read, numbers, strict=True) for char in _of_part(part, number, lines)]
    if len(expected) > _LONGEST or len(shown) > _LONGEST:
        return Strokes()
    marks, broken = [SILENT_MARK] * len(expected), []
    for position, item in _matched(expected, shown):
        value = counted(lines[item.line], item.index)
        if value is not None:
            marks[position] = _mark(value)
        if value is not None and value > BROKEN:
            broken.append(_broken(item, position, value, lines))
    return Strokes(marks="".join(marks), broken=tuple(broken)) if {*marks} - {SILENT_MARK} else Strokes()


def _mark(log_odds: float) -> str:
    return BROKEN_MARK if log_odds > BROKEN else DOUBTED_MARK if log_odds > DOUBTED else WHOLE_MARK


def _broken(item: _Read, position: int, log_odds: float, lines: Sequence[Line]) -> BrokenCharacter:
    return BrokenCharacter(
        char=item.char,
        position=position,
        line=item.line,
        index=item.index,
        log_odds=log_odds,
        place=place_of(lines[item.line], item.index),
    )


def joined_marks(texts: Sequence[tuple[str, int]]) -> str:
    """Return the marks of several texts in a row, of each its marks and length; "" where none was judged."""
    return "".join(marks or SILENT_MARK * length for marks, length in texts) if any(one for one, _ in texts) else ""


def _matched(expected: str, shown: Sequence[_Read]) -> Iterator[tuple[int, _Read]]:
    """Yield the characters that were read as expected: those that a shortest way of edits leaves as they are."""
    for block in Levenshtein.opcodes(expected, "".join(item.char for item in shown)):
        if block.tag == "equal":
            for offset in range(block.src_end - block.src_start):
                yield block.src_start + offset, shown[block.dest_start + offset]


def _of_part(part: str, number: int, lines: Sequence[Line]) -> Iterator[_Read]:
    """Yield the normalised characters of a part of a line, each with its place in the line's text as read."""
    whole = list(_of_line(number, lines[number].text))
    wanted = normalise(part)
    start = "".join(item.char for item in whole).find(wanted)
    # a part that is not literally in its line, as where characters combine, is not judged
    yield from whole[start : start + len(wanted)] if start >= 0 else ()


def _of_line(number: int, text: str) -> Iterator[_Read]:
    for index, char in enumerate(text):
        for one in normalise(char):
            yield _Read(char=one, line=number, index=index)
