"""Tell marks apart by how many pieces of ink they have: ≈ has two waves and ~ one, ⋮ has three dots, °C has one ring.

A recogniser sees them a few pixels high. In the line cut out anew (`qiltest.reading.rapidocr.strip`) the pieces can be
counted. A mark is changed only where its ink is all that of the other one. The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.strip import Glyph, Strip

_WAVES, _TWO_WAVES = frozenset("~～〜"), "≈"
_COLONS, _THREE_DOTS = frozenset(":："), "⋮"
_RING, _DEGREES = "°", frozenset("℃℉")
#: Of two pieces of one mark the smaller has at least this share of the larger one's width and height.
ALIKE = 0.6
#: Largest extent of a dot and of a ring, in the writing's size.
DOT, RING = 0.25, 0.36


def with_marks_counted(characters: Sequence[Character], strip: Strip) -> tuple[Character, ...]:
    """Return the characters of a row of writing with such marks as their pieces of ink say."""
    found = [
        _counted(character, characters, strip) if character.text in _WAVES | _COLONS else character
        for character in characters
    ]
    again = {i for i, (one, other) in enumerate(pairwise(found)) if _same_ring(found, i, one.text + other.text, strip)}
    return tuple(character for i, character in enumerate(found) if i not in again)


def _counted(character: Character, characters: Sequence[Character], strip: Strip) -> Character:
    pieces = _ink_of(character, characters, strip)
    if not _stacked(pieces):
        return character
    if character.text in _WAVES and len(pieces) == 2 and all(piece.width > piece.height for piece in pieces):
        return replace(character, text=_TWO_WAVES)
    if character.text in _COLONS and len(pieces) == 3 and all(_within(piece, DOT) for piece in pieces):
        return replace(character, text=_THREE_DOTS)
    return character


def _ink_of(character: Character, characters: Sequence[Character], strip: Strip) -> list[Glyph]:
    """Return the ink nearer to a character than to any other, from top to bottom."""
    inked = [other for other in characters if not other.text.isspace()]

    def nearest(part: Glyph) -> Character:
        return min(inked, key=lambda other: abs(other.place * strip.length - part.centre))

    return sorted((part for part in strip.parts if nearest(part) is character), key=lambda part: part.top)


def _stacked(pieces: Sequence[Glyph]) -> bool:
    """Return whether pieces are of one size and lie over one another."""
    return all(
        min(one.width, other.width) >= ALIKE * max(one.width, other.width)
        and min(one.height, other.height) >= ALIKE * max(one.height, other.height)
        and one.overlaps(other)
        for one, other in pairwise(pieces)
    )


def _within(piece: Glyph, extent: float) -> bool:
    return max(piece.width, piece.height) <= extent


def _same_ring(characters: Sequence[Character], at: int, both: str, strip: Strip) -> bool:
    """Return whether a degree sign is the ring of the ℃ behind it: no two rings stand there."""
    if both[0] != _RING or both[1] not in _DEGREES:
        return False
    first = characters[at - 1].place if at else 0.0
    start, end = first * strip.length, characters[at + 1].place * strip.length
    return sum(start < part.centre < end and _within(part, RING) for part in strip.parts) < 2
