"""Classify text that was not expected: doubled, leaked, or other.

A text that is shown again, whole and right, elsewhere and in writing of another size is of the scene, as a brand is on
the cup and on the wall, and so is a phrase of a title under a drawing, or a sentence with the title's word: other text.
In the same size, or beside the text, they are faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from qiltest.scoring.characters import weight
from qiltest.scoring.distance import distance
from qiltest.scoring.evidence import Piece, stand_together
from qiltest.scoring.records import Extra, ExtraKind

#: lines below this confidence do not count against the image.
SURE = 0.5
#: Weight that a line needs to be called a repetition of a whole text.
WEIGHT = 4.0
#: the same for a fragment of a text: one common word, of eight letters at most, may be there for other reasons.
FRAGMENT_WEIGHT = 9.0
#: Share of the characters that may differ between a repetition and what it repeats.
WRONG = 0.2
#: Writing is of one size up to this ratio: the boxes of the same words differ by less, and those of different ones.
SAME_SIZE, SAME_SIZE_OF_OTHERS = 1.12, 1.25


@dataclass(frozen=True, kw_only=True)
class Taken:
    """An expected text (normalised, without optional marks) with the pieces that it took."""

    text: str
    read: str
    pieces: tuple[Piece, ...]


def extra_of(piece: Piece, raw: str, taken: Sequence[Taken]) -> Extra:
    """Classify a piece that matches no expected text; `raw` is its text as read."""
    if piece.confidence >= SURE and weight(piece.text) >= WEIGHT:
        for text in taken:
            kind = _kind(piece, text)
            if kind is not None:
                cost = 0 if kind is ExtraKind.OTHER else len(piece.text)
                return Extra(text=raw, kind=kind, line=piece.line, distance=cost, of=text.text)
    return Extra(text=raw, kind=ExtraKind.OTHER, line=piece.line, distance=0)


def gating_kinds(text: str, wanted: str, read: str) -> frozenset[ExtraKind]:
    """Return the gating kinds that a line could be, wherever it stands; empty for none.

    `text` is the line, `wanted` an expected text that was read as `read`, all normalised.
    """
    if weight(text) < WEIGHT:
        return frozenset()
    if distance(wanted, text) <= WRONG * len(wanted):
        return frozenset({ExtraKind.DOUBLED})
    if weight(wanted) >= WEIGHT and len(wanted) < len(text) and _contains(text, wanted):
        return frozenset({ExtraKind.LEAKED})
    if _is_fragment(text, wanted) and _contains(read, text):
        return frozenset({ExtraKind.DOUBLED, ExtraKind.LEAKED})
    return frozenset()


def _kind(piece: Piece, text: Taken) -> ExtraKind | None:
    """Call a fragment a repetition only if the text was read with it; else it is the missing part, counted already."""
    kinds = gating_kinds(piece.text, text.text, text.read)
    near = any(stand_together(piece.place, other.place) for other in text.pieces)
    part = piece.text in text.text or text.text in piece.text
    if text.read == text.text and part and not near and not any(_alike(piece, other) for other in text.pieces):
        return ExtraKind.OTHER
    if len(kinds) > 1:
        return ExtraKind.DOUBLED if near else ExtraKind.LEAKED
    if not kinds and _is_fragment(piece.text, text.text):
        return ExtraKind.OTHER
    return next(iter(kinds), None)


def _alike(piece: Piece, other: Piece) -> bool:
    """Return whether two lines are of one size and direction; of the same words the length tells it too."""
    if piece.place.column != other.place.column:
        return False
    if piece.text != other.text:
        return _ratio(piece.place.size, other.place.size) <= SAME_SIZE_OF_OTHERS
    return max(_ratio(piece.place.size, other.place.size), _ratio(_length(piece), _length(other))) <= SAME_SIZE


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def _length(piece: Piece) -> float:
    place = piece.place
    return max(place.right - place.left, place.bottom - place.top, 1.0)


def _is_fragment(text: str, wanted: str) -> bool:
    return len(text) < len(wanted) and weight(text) >= FRAGMENT_WEIGHT and _contains(wanted, text)


def _contains(whole: str, part: str) -> bool:
    return len(part) <= len(whole) and fuzz.partial_ratio(part, whole) >= 100 * (1 - WRONG / 2)
