"""Find the lines that, joined in a reading order, come nearest to one expected text.

Dynamic programming: for every line the row of Levenshtein costs against all prefixes of the text continues from the
cheapest earlier line that it may be joined to. One pass, exact for the given order, without enumerating subsets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from qiltest.scoring.geometry import Place, gap, may_join, orders

#: One edit, in the units that chains are compared in; gaps between joined lines cost up to a tenth of it.
EDIT = 1000
#: the wrong case of a letter costs half an edit in matching, or "CPP" would be no better match for "cpp" than nothing.
CASE = 500
#: Share of a line that must be found in the text (or of the text in the line) for it to be considered, in percent.
RELEVANT = 50.0
#: Most lines that a text is looked for in; the most similar are kept.
MOST_LINES = 28
#: lines below this confidence are not joined to others: noise would complete missing text.
SURE = 0.3

Costs = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A line, or a part of a line that contains several texts."""

    text: str
    place: Place
    confidence: float
    #: index into the reading's lines.
    line: int


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Chain:
    """Pieces in the order joined, and the cost; no pieces: the text is not there."""

    cost: int
    pieces: tuple[int, ...]


def nothing(text: str) -> Chain:
    """Return the cost of a text without a match: every character deleted."""
    return Chain(cost=len(text) * EDIT, pieces=())


def relevant(text: str, pieces: Sequence[Piece]) -> list[int]:
    """Return indices of the pieces that share enough with the text to be part of it, in their own order."""
    folded = text.casefold()
    scored = [(fuzz.partial_ratio(folded, piece.text.casefold()), i) for i, piece in enumerate(pieces)]
    kept = sorted(((-score, i) for score, i in scored if score >= RELEVANT))[:MOST_LINES]
    return sorted(i for _, i in kept)


def cheapest_chain(text: str, pieces: Sequence[Piece], candidates: Sequence[int], free: Collection[str] = ()) -> Chain:
    """Return the cheapest chain for `text` among `candidates` (indices into `pieces`), or `nothing`.

    Characters in `free`, those of its optional marks, cost nothing where they are too many.
    Ties go to fewer pieces, then to lower indices. A chain that keeps less than a third of the text counts as nothing,
    unless it is one piece that contains the whole text, as "OPEN 24H" contains OPEN.
    """
    best = nothing(text)
    if not candidates or not text:
        return best
    target = _Target(text, free)
    for order in orders([pieces[i].place for i in candidates]):
        chain = _in_order(target, pieces, [candidates[k] for k in order])
        if _rank(chain) < _rank(best):
            best = chain
    if 3 * (len(text) * EDIT - best.cost) >= len(text) * EDIT:
        return best
    holding = (i for i in candidates if text in pieces[i].text)
    longer = [Chain(cost=(len(pieces[i].text) - len(text)) * EDIT, pieces=(i,)) for i in holding]
    return min([nothing(text), *longer], key=_rank)


class _Target:
    """The text sought, with the cost of meeting any character at each of its places."""

    def __init__(self, text: str, free: Collection[str]) -> None:
        self.length, self._free = len(text), free
        self._exact, self._folded = np.array(list(text)), np.array([char.casefold() for char in text])
        self._meets: dict[str, Costs] = {}

    def insert(self, char: str) -> int:
        """Cost of `char` where the text has none."""
        return 0 if char in self._free else EDIT

    def meet(self, char: str) -> Costs:
        """Cost, for each place of the text, of `char` standing there."""
        if char not in self._meets:
            other = np.where(self._folded == char.casefold(), CASE, EDIT)
            self._meets[char] = np.where(self._exact == char, 0, other).astype(np.int64)
        return self._meets[char]


def _rank(chain: Chain) -> tuple[int, int, tuple[int, ...]]:
    return chain.cost, len(chain.pieces), chain.pieces


def _in_order(target: _Target, pieces: Sequence[Piece], order: Sequence[int]) -> Chain:
    first = np.arange(target.length + 1, dtype=np.int64) * EDIT
    rows: list[Costs] = []
    froms: list[NDArray[np.int64]] = []
    starts: list[NDArray[np.int64]] = []
    for k, index in enumerate(order):
        row, came = first.copy(), np.full(len(first), -1, dtype=np.int64)
        for j in range(k):
            extra = _joint(pieces[order[j]], pieces[index])
            if extra is None:
                continue
            through = rows[j] + extra
            better = through < row
            row[better], came[better] = through[better], j
        row, start = _carry(row, pieces[index].text, target)
        rows.append(row)
        froms.append(came)
        starts.append(start)
    last = min(range(len(order)), key=lambda k: (int(rows[k][-1]), k))
    chosen, k, at = [], last, target.length
    while k >= 0:
        chosen.append(order[k])
        at = int(starts[k][at])
        k = int(froms[k][at])
    return Chain(cost=int(rows[last][-1]), pieces=tuple(reversed(chosen)))


def _joint(first: Piece, second: Piece) -> int | None:
    """Cost of joining two pieces; None where they cannot belong to one text."""
    if min(first.confidence, second.confidence) < SURE or not may_join(first.place, second.place):
        return None
    return int(gap(first.place, second.place) * EDIT / 50) + 1


def _carry(row: Costs, text: str, target: _Target) -> tuple[Costs, NDArray[np.int64]]:
    """Append `text` to what costs `row` for each prefix of the target; also where in the target it then began."""
    places = np.arange(len(row), dtype=np.int64)
    start = places.copy()
    for char in text:
        meet = row[:-1] + target.meet(char)
        insert = row + target.insert(char)
        better = meet < insert[1:]
        new_row, new_start = insert, start.copy()
        new_row[1:][better] = meet[better]
        new_start[1:][better] = start[:-1][better]
        row, start = _delete_forward(new_row, new_start, places)
    return row, start


def _delete_forward(row: Costs, start: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[Costs, NDArray[np.int64]]:
    """Let every prefix also be reached by deleting from a shorter one: a running minimum of cost less length."""
    relative = row - places * EDIT
    lowest = np.minimum.accumulate(relative)
    fresh = np.concatenate(([True], relative[1:] < lowest[:-1]))
    source = np.maximum.accumulate(np.where(fresh, places, 0))
    return lowest + places * EDIT, start[source]
