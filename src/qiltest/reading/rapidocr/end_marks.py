"""Read marks at a line's beginning and end that the recogniser left out: quotation marks, full stops, hyphens.

A detector's box often ends before a mark of a few pixels, or goes through it. In the line cut out anew
(`qiltest.reading.rapidocr.strip`) such a mark is small ink beside the outermost letter. Where more of it is there than
the marks that were read account for, the line is looked at once more, in a box that reaches as far as the ink. Marks
that this look adds, and nothing else, are believed. The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.rapidocr.crops import Quad, extent, lengthened
from qiltest.reading.rapidocr.ctc import Character, Recognition
from qiltest.reading.rapidocr.strip import Glyph, Strip
from qiltest.reading.records import Line

#: Ink from this height on, in the size of the writing, is a letter. Boxes are 1.2 to 1.6 times as high as capitals.
TALL = 0.42
#: How far beyond the outermost letter a mark may begin, and how far over it.
REACH, TUCKED = 0.8, 0.15
#: How far above and below the letters a mark may reach, in their height.
ABOVE, BELOW = 0.6, 0.35
#: Margin beyond the mark with which it is looked at, and the confidence from which it is believed.
MARGIN, SURE = 0.15, 0.5
#: A mark without any ink in the image stays from this confidence on: its ink may touch the letter's.
SEEN = 0.9
#: Of brackets that enclose, one without its partner in the line needs this confidence: ornaments look so.
SURE_ALONE = 0.9
ENCLOSE: Mapping[str, str] = {
    "》": "《",
    "」": "「",
    "』": "『",
    "】": "【",
    "《": "》",
    "「": "」",
    "『": "』",
    "【": "】",
}
#: One underscore at an end of a line, below this confidence, is an arrow or a stroke under something.
SURE_STROKE = 0.9
#: Of these, only full stops stand in a row: a dash with a dot is part of an ornament.
DASHES, DOTS = frozenset("-–—~·*"), frozenset(".,")
#: Characters next to the mark that both looks must agree on.
ANCHOR = 3
#: Most characters that the pieces of a mark are read as, and which: the halves of ” as 99, a full stop 。 as O.
PIECE, MISTAKEN = 2, frozenset("01679lIiOoQ_|°")


class Side(Enum):
    """An end of a line."""

    START = "start"
    END = "end"


#: Per side the marks that may be added, and how many pieces of ink each has at most besides what is high as a letter.
MARKS: Mapping[Side, Mapping[str, int]] = {
    Side.START: {**dict.fromkeys("'‘-–—~", 1), **dict.fromkeys('"“≈', 2), **dict.fromkeys("(（《「『【$¥", 0)},
    Side.END: {
        **dict.fromkeys(".,'’-–—~。，、·*", 1),
        **dict.fromkeys(':;"”：；', 2),
        **dict.fromkeys("!?)！？）》」』】", 0),
        "…": 3,
    },
}


@dataclass(frozen=True, kw_only=True)
class Written:
    """What is written in a box; the characters' places are along the box, below 0 or above 1 beside it."""

    box: Quad
    characters: tuple[Character, ...]
    #: how far the writing reaches beyond the box's start and end, in the writing's size.
    before: float = 0.0
    after: float = 0.0

    @property
    def quad(self) -> Quad:
        """The box with all of the writing in it."""
        return lengthened(self.box, self.before, self.after)

    @property
    def places(self) -> tuple[float, ...]:
        """The centres of the characters along `quad`, 0 to 1."""
        width, height = extent(self.box)
        size, length = min(width, height), max(width, height)
        whole = length + (self.before + self.after) * size
        return tuple((each.place * length + self.before * size) / whole for each in self.characters)

    def reading(self, characters: tuple[Character, ...]) -> Written:
        """Return the same writing with other characters."""
        return replace(self, characters=characters)


def with_end_marks(written: Written, strip: Strip, look: Callable[[Quad], Recognition]) -> Written:
    """Return a row of writing with the marks at its ends.

    `strip`: its box cut out anew. `look`: recognises the row in a quadrilateral.
    """
    read = frozenset(character.text for character in written.characters)
    for side in Side:
        written = _with_marks(_without_stroke(written, side), strip, look, side)
    return _without_lone_brackets(written, read)


def _without_lone_brackets(written: Written, read: frozenset[str]) -> Written:
    """Return a row without the doubtful brackets that looks added (`read`: what it had) and that have no partner."""
    shown = {character.text for character in written.characters}
    kept = tuple(
        character
        for character in written.characters
        if character.confidence >= SURE_ALONE
        or character.text in read
        or ENCLOSE.get(character.text, character.text) in shown
    )
    return written if len(kept) == len(written.characters) else written.reading(kept)


def _without_stroke(written: Written, side: Side) -> Written:
    """Return a row without one doubtful underscore at an end, where anything else is left."""
    line = list(_outwards(written.characters, side))
    inked = [i for i, character in enumerate(line) if not character.text.isspace()]
    if len(inked) < 2 or line[inked[-1]].text != "_" or line[inked[-1]].confidence >= SURE_STROKE:
        return written
    return written if line[inked[-2]].text == "_" else written.reading(_outwards(tuple(line[: inked[-1]]), side))


def unread(strip: Strip, side: Side) -> tuple[Glyph, ...]:
    """Return the small ink beside the outermost letter, outwards, as if the line were mirrored for its start."""
    parts = strip.parts if side is Side.END else [part.mirrored(strip.length) for part in strip.parts]
    tall = [part for part in parts if part.height >= TALL and 0 <= part.centre <= strip.length]
    if not tall:
        return ()
    edge = max(part.right for part in tall)
    upper, lower = float(np.median([part.top for part in tall])), float(np.median([part.bottom for part in tall]))
    small = [
        part
        for part in sorted(parts, key=lambda part: part.left)
        if part.height < TALL
        and part.left >= edge - TUCKED
        and part.top <= lower + BELOW * (lower - upper)
        and part.bottom >= upper - ABOVE * (lower - upper)
        and not any(map(part.overlaps, tall))
    ]
    found: list[Glyph] = []
    for part in small:
        if part.left > edge + REACH:
            break
        found.append(part)
        edge = max(edge, part.right)
    return tuple(found)


def _with_marks(written: Written, strip: Strip, look: Callable[[Quad], Recognition], side: Side) -> Written:
    line = _outwards(written.characters, side)
    ink = unread(strip, side)
    letters, marks = _parted(line, side)
    if len(ink) <= _pieces(marks, side):
        return written if ink or not _inkless(marks, side) else written.reading(_outwards(tuple(letters), side))
    further = max(part.right for part in ink) - strip.length + MARGIN
    wider = replace(written, before=further) if side is Side.START else replace(written, after=further)
    seen = _outwards(_placed(look(wider.quad).characters, wider, strip.length), side)
    seen_letters, seen_marks = _parted(seen, side)
    for letters, marks in _partings(line, side, min(part.left for part in ink) / strip.length):
        same = _spelling(letters)[-ANCHOR:] == _spelling(seen_letters)[-ANCHOR:]
        if same and _believed(seen_marks, marks, ink, side):
            return replace(wider, characters=_outwards((*letters, *seen_marks), side))
    return written


def _inkless(marks: Sequence[Character], side: Side) -> bool:
    """Return whether a mark beside which there is no ink is none: it is small, alone and not sure."""
    return len(marks) == 1 and _pieces(marks, side) > 0 and marks[0].confidence < SEEN


def _partings(
    line: Sequence[Character], side: Side, edge: float
) -> Iterator[tuple[Sequence[Character], Sequence[Character]]]:
    """Part a line, outwards, in letters and marks: as it was read, and with letters where small ink is as marks.

    `edge`: where that ink begins, along the line from its other end.
    """
    for mistaken in range(PIECE + 1):
        end = len(line) - mistaken
        if mistaken and (end < 1 or line[end].text not in MISTAKEN or _outward_place(line[end], side) < edge - 0.02):
            return
        letters, marks = _parted(line[:end], side)
        if letters:
            yield letters, marks


def _outward_place(character: Character, side: Side) -> float:
    return character.place if side is Side.END else 1 - character.place


def _believed(seen: Sequence[Character], marks: Sequence[Character], ink: Sequence[Glyph], side: Side) -> bool:
    """Return whether marks seen in the longer box are sure, and account for the ink better than those read before."""
    if not seen or min(character.confidence for character in seen) < SURE:
        return False
    small = [character.text for character in seen if character.text in DASHES | DOTS]
    if len(small) > 1 and not DASHES.isdisjoint(small):
        return False
    return not marks or _pieces(marks, side) < len(ink) <= _pieces(seen, side)


def _pieces(marks: Sequence[Character], side: Side) -> int:
    return sum(MARKS[side][mark.text] for mark in marks)


def _parted(line: Sequence[Character], side: Side) -> tuple[Sequence[Character], Sequence[Character]]:
    """Part a line, outwards, in its letters and the marks behind them, the marks without white space."""
    place = len(line)
    while place > 0 and (line[place - 1].text in MARKS[side] or line[place - 1].text.isspace()):
        place -= 1
    return line[:place], tuple(mark for mark in line[place:] if not mark.text.isspace())


def _spelling(letters: Sequence[Character]) -> str:
    return "".join(letter.text for letter in letters if not letter.text.isspace())


def _outwards(characters: Sequence[Character], side: Side) -> tuple[Character, ...]:
    return tuple(characters) if side is Side.END else tuple(reversed(characters))


def _placed(characters: Sequence[Character], wider: Written, length: float) -> tuple[Character, ...]:
    """Return characters found in the longer quadrilateral with their places along the box."""
    whole = wider.before + length + wider.after
    return tuple(
        replace(character, place=(character.place * whole - wider.before) / length) for character in characters
    )


def without_pieces(found: Sequence[tuple[Quad, Line]]) -> list[tuple[Quad, Line]]:
    """Return lines without those that are marks of another: in its box as read, and beyond the box it was found in."""
    taken = {
        k
        for i, (quad, line) in enumerate(found)
        for k, (piece, other) in enumerate(found)
        if i != k
        and _longer(quad, line)
        and len(other.text) <= PIECE
        and _holds(np.asarray(line.box), piece.mean(axis=0))
        and not all(_holds(quad, corner) for corner in piece)
    }
    return [item for k, item in enumerate(found) if k not in taken]


def _longer(quad: Quad, line: Line) -> bool:
    # the corners in whatever order: text that runs up begins at another one
    return not np.allclose(np.sort(quad, axis=0), np.sort(np.asarray(line.box), axis=0), atol=0.5)


def _holds(quad: NDArray[np.floating[Any]], point: NDArray[np.floating[Any]]) -> bool:
    return cv2.pointPolygonTest(quad.astype(np.float32), (float(point[0]), float(point[1])), False) >= 0
