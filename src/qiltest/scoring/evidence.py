"""Whether two lines belong to one text: what their join explains against what chance would.

A join claims that one line goes on where another ends. For it speaks the part of the text that it explains. A line that
has nothing to do with the text meets a given character with the chance 1 / A, where A is the alphabet of the
character's kind (`characters.bits`), so that m met characters are worth m log2 A bits. Against it speak

- its candidates: any of the N lines that stand as near, in the same row if the two are in one, might have met the text
  by chance, which takes log2 N bits off;
- its strain, (1 + gap) x ratio of sizes: the odds that two lines are of one text fall with the third power of the
  strain, which takes `FALL` log2 (strain / `USUAL`) bits off;
- a doubtful reading: `FALL` log2 (`SURE` / confidence) bits below `SURE`.

A join has to be worth more than these together. The threshold asks that chance completes no more than one text in a
thousand, and lines that stand as lines of a text do are a thousand times as likely to be one, so neither is in the sum.
For matching, the bits are put into edits, by the bits of a character of the line that says less per character: so many
edits must the join save. One that must save an edit or more is doubtful: a chain that has one is matched strictly, with
a wrong character as two edits, because lines of any content save edits where a wrong character costs no more than a
missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.scoring.characters import mean_bits
from qiltest.scoring.geometry import OVERLAP, Place

#: One edit, in the units that chains are compared in.
EDIT = 1000
#: Strain up to which lines of one text usually stand: one and a half heights apart, or 2.5 times as large.
USUAL = 2.5
#: Confidence from which on a reading is not doubtful.
SURE = 0.5
#: Power of strain and confidence by which the odds fall.
FALL = 3.0
#: Bits against a line that a wrong character in it is: one in eight is drawn or read wrong.
WRONG_BITS = 3.0
#: keeps a confidence of 0 finite.
LEAST = 0.01

#: stands for the strain of a line with itself, which is never joined.
APART = 1e9

Costs = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A line, or a part of a line that contains several texts."""

    #: normalised.
    text: str
    place: Place
    confidence: float
    #: index into the reading's lines.
    line: int
    #: as read, with white space.
    raw: str = ""
    #: leader dots between this and the next piece of its line, as read; "" for none.
    led: str = ""
    #: True where leader dots beside it lead from or to another line.
    edged: bool = False
    #: True for a part of a line that is cut where one text ends and another begins.
    part: bool = False


def joints(pieces: Sequence[Piece]) -> Costs:
    """Return what it costs to join each two pieces: the edits, times `EDIT`, that their join must save. At least 1."""
    if not pieces:
        return np.zeros((0, 0), dtype=np.int64)
    places = [piece.place for piece in pieces]
    strain, row = _strains(places), _rows(places)
    candidates = np.where(row, _candidates(np.where(row, strain, APART)), _candidates(strain))
    against = np.log2(candidates) + FALL * np.maximum(np.log2(strain / USUAL), 0.0) + _doubts(pieces)
    worth = np.array([mean_bits(piece.text) for piece in pieces])
    edits = against / np.minimum(worth[:, None], worth[None, :])
    costs: Costs = np.floor(edits * EDIT).astype(np.int64) + 1
    return costs


def stand_together(first: Place, second: Place) -> bool:
    """Return whether two lines stand as lines of one text usually do."""
    return bool(_strains([first, second])[0, 1] <= USUAL)


def _strains(places: Sequence[Place]) -> Values:
    """Return (1 + gap) x ratio of sizes, for each two places; `APART` for a place and itself."""
    left, top, right, bottom, size = (
        np.array([getattr(place, name) for place in places], dtype=np.float64)
        for name in ("left", "top", "right", "bottom", "size")
    )
    larger, smaller = np.maximum(size[:, None], size[None, :]), np.minimum(size[:, None], size[None, :])
    across = np.maximum(np.maximum(left[:, None] - right[None, :], left[None, :] - right[:, None]), 0.0)
    down = np.maximum(np.maximum(top[:, None] - bottom[None, :], top[None, :] - bottom[:, None]), 0.0)
    strain: Values = (1.0 + np.hypot(across, down) / larger) * larger / smaller
    np.fill_diagonal(strain, APART)
    return strain


def _rows(places: Sequence[Place]) -> NDArray[np.bool_]:
    """Return which two stand in one row: they overlap in height by `OVERLAP` of the lower one."""
    top, bottom = np.array([place.top for place in places]), np.array([place.bottom for place in places])
    common = np.minimum(bottom[:, None], bottom[None, :]) - np.maximum(top[:, None], top[None, :])
    row: NDArray[np.bool_] = common >= OVERLAP * np.minimum((bottom - top)[:, None], (bottom - top)[None, :])
    return row


def _candidates(strain: Values) -> Values:
    """Return, for each two, how many lines stand as near to one of them as the other, whichever are more."""
    ordered = np.sort(strain, axis=1)
    near = np.stack([np.searchsorted(ordered[i], strain[i], side="right") for i in range(len(strain))])
    more: Values = np.maximum(near, near.T).astype(np.float64)
    return more


def _doubts(pieces: Sequence[Piece]) -> Values:
    """Return the bits against the less sure reading of each two."""
    sure = np.array([min(SURE, max(LEAST, piece.confidence)) for piece in pieces])
    doubts: Values = FALL * np.log2(SURE / np.minimum(sure[:, None], sure[None, :]))
    return doubts
