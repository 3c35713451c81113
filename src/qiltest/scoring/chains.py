"""Find the lines that, joined in a reading order, come nearest to one expected text.

Dynamic programming: for every line the row of Levenshtein costs against all prefixes of the text continues from the
cheapest earlier line, to which it is joined at the cost of that join (`evidence`). One pass, exact for the given order,
without enumerating subsets; a second one, strict, for chains with a doubtful join.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from qiltest.scoring.beside import WRONG, own_part
from qiltest.scoring.evidence import EDIT, Costs, Piece
from qiltest.scoring.geometry import orders

#: the wrong case of a letter costs half an edit in matching, or "CPP" would be no better match for "cpp" than nothing.
CASE = 500
#: a wrong character costs this in a chain with a doubtful join.
STRICT = 2 * EDIT
#: what a join costs more in each further order of reading, so that rows are preferred.
ORDER = 100
#: other text beside a text costs this part of the text at most.
BESIDE = 3
#: Share of a line that must be found in the text (or of the text in the line) for it to be considered, in percent.
RELEVANT = 50.0
#: Most lines that a text is looked for in; the most similar are kept.
MOST_LINES = 28


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


def cheapest_chain(
    text: str,
    pieces: Sequence[Piece],
    candidates: Sequence[int],
    costs: Costs,
    free: Collection[str] = (),
    expected: Sequence[str] = (),
) -> Chain:
    """Return the cheapest chain for `text` among `candidates` (indices into `pieces`), or `nothing`.

    `costs` are those of joining pieces (`evidence.joints`). Characters in `free`, those of its optional marks, cost
    nothing where they are too many. Orders of reading are tried until one gives the text without an edit. Ties go to
    fewer pieces, then to lower indices. A chain that keeps less than a third of the text counts as nothing, unless it
    is one piece that contains the whole text, as "OPEN 24H" contains OPEN. Where `expected`, all texts of the image,
    are given, other text beside the text costs a third of it at most (`beside`).
    """
    best = nothing(text)
    if not candidates or not text:
        return best
    exact = next((i for i in candidates if pieces[i].text == text), None)
    if exact is not None:
        return Chain(cost=0, pieces=(exact,))
    for number, order in enumerate(orders([pieces[i].place for i in candidates], blocks(candidates, costs))):
        lines = [candidates[k] for k in order]
        best = min(best, _in_order(text, pieces, lines, costs[np.ix_(lines, lines)] + number * ORDER, free), key=_rank)
        if best.cost < EDIT:
            break
    if best.cost > len(text) * EDIT // BESIDE:
        best = min([best, *_beside(text, pieces, candidates, expected)], key=_rank)
    if 3 * (len(text) * EDIT - best.cost) >= len(text) * EDIT:
        return best
    holding = (i for i in candidates if text in pieces[i].text)
    longer = [Chain(cost=(len(pieces[i].text) - len(text)) * EDIT, pieces=(i,)) for i in holding]
    return min([nothing(text), *longer], key=_rank)


def _beside(text: str, pieces: Sequence[Piece], candidates: Sequence[int], expected: Sequence[str]) -> Iterator[Chain]:
    """Yield the lines that hold the text beside other text. A line with a typo less than a third of it is preferred."""
    if not expected:
        return
    for i in candidates:
        if len(pieces[i].text) > len(text) and fuzz.partial_ratio(text, pieces[i].text) >= 100 * (1 - WRONG):
            own = own_part(text, [pieces[i].raw], expected)
            if own.beside:
                yield Chain(cost=own.wrong * EDIT + len(text) * EDIT // BESIDE, pieces=(i,))


def blocks(candidates: Sequence[int], costs: Costs) -> list[list[int]]:
    """Return groups of candidates (their places in the list) that joins without doubt connect."""
    waiting, found = list(range(len(candidates))), []
    near = costs[np.ix_(candidates, candidates)] < EDIT
    while waiting:
        block = [waiting.pop(0)]
        for k in block:
            joined = [i for i in waiting if near[k, i]]
            block.extend(joined)
            waiting = [i for i in waiting if i not in joined]
        found.append(sorted(block))
    return found


def _rank(chain: Chain) -> tuple[int, int, tuple[int, ...]]:
    return chain.cost, len(chain.pieces), chain.pieces


def _in_order(text: str, pieces: Sequence[Piece], order: Sequence[int], costs: Costs, free: Collection[str]) -> Chain:
    """Return the cheapest chain in one order of reading; `costs` are those of joining lines, in that order."""
    lines = [pieces[i].text for i in order]
    sure = np.where(costs < EDIT, costs, _NEVER)
    cost, chosen = _pass(_Target(text, free, wrong=EDIT), lines, sure)
    found = [Chain(cost=cost, pieces=tuple(order[k] for k in chosen))]
    doubtful = costs[np.triu_indices(len(order), 1)]
    if np.any((doubtful >= EDIT) & (doubtful < cost)):
        cost, chosen = _pass(_Target(text, free, wrong=STRICT), lines, costs)
        found.append(Chain(cost=cost, pieces=tuple(order[k] for k in chosen)))
    return min(found, key=_rank)


#: more than any chain costs.
_NEVER = 1 << 40


class _Target:
    """The text sought, with the cost of meeting any character at each of its places."""

    def __init__(self, text: str, free: Collection[str], *, wrong: int) -> None:
        self.length, self._free, self._wrong = len(text), free, wrong
        self._exact, self._folded = np.array(list(text)), np.array([char.casefold() for char in text])
        self._meets: dict[str, Costs] = {}

    def insert(self, char: str) -> int:
        """Cost of `char` where the text has none."""
        return 0 if char in self._free else EDIT

    def meet(self, char: str) -> Costs:
        """Cost, for each place of the text, of `char` standing there."""
        if char not in self._meets:
            other = np.where(self._folded == char.casefold(), CASE, self._wrong)
            self._meets[char] = np.where(self._exact == char, 0, other).astype(np.int64)
        return self._meets[char]


def _pass(target: _Target, lines: Sequence[str], costs: Costs) -> tuple[int, tuple[int, ...]]:
    """Return the cost of the cheapest chain of lines in their order, and which lines it takes."""
    first = np.arange(target.length + 1, dtype=np.int64) * EDIT
    rows: list[Costs] = []
    froms: list[NDArray[np.int64]] = []
    starts: list[NDArray[np.int64]] = []
    for k, line in enumerate(lines):
        row, came = first.copy(), np.full(len(first), -1, dtype=np.int64)
        for j in np.flatnonzero(costs[:k, k] < _NEVER):
            through = rows[j] + costs[j, k]
            better = through < row
            row[better], came[better] = through[better], j
        row, start = _carry(row, line, target)
        rows.append(row)
        froms.append(came)
        starts.append(start)
    last = min(range(len(lines)), key=lambda k: (int(rows[k][-1]), k))
    chosen, k, at = [], last, target.length
    while k >= 0:
        chosen.append(k)
        at = int(starts[k][at])
        k = int(froms[k][at])
    return int(rows[last][-1]), tuple(reversed(chosen))


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
