"""Classify text that was not expected: doubled, leaked, or other.

What stands beside an expected text and repeats or extends it is a fault, and so is what does so in its size anywhere.
Elsewhere and in another size it may be of the scene, as a brand is on the cup and on the wall: other text. It is if the
text was read right, and what is shown again is the whole of it, a phrase of it, or a sentence with a short text in it;
and if nothing else that repeats the text stands beside it or, where the words are the same, has its size; and not where
the text, or what repeats it, is a part of a line in which more of the expected texts stand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from qiltest.scoring.characters import weight
from qiltest.scoring.distance import distance
from qiltest.scoring.evidence import Piece, stand_together
from qiltest.scoring.geometry import Place
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
#: Text stands beside other text where the gap is at most so many times the larger one's size.
BESIDE = 2.0


@dataclass(frozen=True, kw_only=True)
class Taken:
    """An expected text (normalised, without optional marks) with the pieces that it took."""

    text: str
    read: str
    pieces: tuple[Piece, ...]


def extra_of(
    piece: Piece, raw: str, taken: Sequence[Taken], left: Sequence[Piece] = (), *, alone: bool = False
) -> Extra:
    """Classify a piece that matches no expected text; `raw` is its text as read.

    `left` are all pieces that match none. `alone`: nothing is of the scene.
    """
    again = ""
    if piece.confidence >= SURE and weight(piece.text) >= WEIGHT:
        for text in taken:
            kind = _kind(piece, text)
            if kind in (None, ExtraKind.OTHER):
                continue
            if alone or not _is_of_scene(piece, text, left):
                return Extra(text=raw, kind=kind, line=piece.line, distance=len(piece.text), of=text.text)
            again = again or text.text
    return Extra(text=raw, kind=ExtraKind.OTHER, line=piece.line, distance=0, of=again)


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
    if len(kinds) > 1:
        near = any(stand_together(piece.place, other.place) for other in text.pieces)
        return ExtraKind.DOUBLED if near else ExtraKind.LEAKED
    if not kinds and _is_fragment(piece.text, text.text):
        return ExtraKind.OTHER
    return next(iter(kinds), None)


def _is_of_scene(piece: Piece, text: Taken, left: Sequence[Piece]) -> bool:
    short = weight(text.text) < FRAGMENT_WEIGHT and text.text in piece.text
    if text.read != text.text or not (piece.text in text.text or short):
        return False
    if piece.place.left >= piece.place.right or piece.place.top >= piece.place.bottom:
        return False
    if piece.part or any(other.part for other in text.pieces):
        return False
    # the lines of a text that is shown again once are no copies of each other
    others = [other for other in left if other is not piece and weight(other.text) >= WEIGHT]
    copies = [other for other in others if other.text in piece.text or piece.text in other.text]
    return not any(_beside(piece, other) or _alike(piece, other) for other in (*text.pieces, *copies))


def _beside(piece: Piece, other: Piece) -> bool:
    one, two = piece.place, other.place
    across = max(one.left - two.right, two.left - one.right, 0.0)
    down = max(one.top - two.bottom, two.top - one.bottom, 0.0)
    return math.hypot(across, down) <= BESIDE * max(one.size, two.size)


def _alike(piece: Piece, other: Piece) -> bool:
    """Return whether two lines are of one size and direction; of the same words the length tells it too."""
    one, two = piece.place, other.place
    if one.column != two.column:
        return False
    if piece.text != other.text:
        return _ratio(one.size, two.size) <= SAME_SIZE_OF_OTHERS
    return max(_ratio(one.size, two.size), _ratio(_length(one), _length(two))) <= SAME_SIZE


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def _length(place: Place) -> float:
    """Return the length of a line from its upright bounding box, its size and its tilt."""
    if place.column:
        return max(1.0, place.bottom - place.top)
    width, height, slope = place.right - place.left, place.bottom - place.top, abs(math.tan(place.angle))
    if slope <= 1:
        return max(1.0, (width - place.size * abs(math.sin(place.angle))) / math.cos(place.angle))
    return max(1.0, (height - place.size * abs(math.cos(place.angle))) / abs(math.sin(place.angle)))


def _is_fragment(text: str, wanted: str) -> bool:
    return len(text) < len(wanted) and weight(text) >= FRAGMENT_WEIGHT and _contains(wanted, text)


def _contains(whole: str, part: str) -> bool:
    return len(part) <= len(whole) and fuzz.partial_ratio(part, whole) >= 100 * (1 - WRONG / 2)
