"""Find the lines that, joined in a reading order, come nearest to one expected text."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz

from qiltest.scoring.beside import ends_of, starts_of
from qiltest.scoring.characters import weight
from qiltest.scoring.evidence import EDIT, Costs, Piece
from qiltest.scoring.geometry import orders
from qiltest.scoring.passes import Target, Written, alone, cheapest_in_order

#: what a join costs more in each further order of reading, so that rows are preferred.
ORDER = 100
#: Other text beside a text costs this part of the text: a sign with a typo less than that is preferred.
BESIDE = 3
#: Of a text are kept at least one of three characters, or one of six where it is matched strictly.
KEPT, STRICTLY_KEPT = 3, 6
#: Weight from which on a text that is found whole in a line is no chance, however long the line is.
WHOLE = 4.0
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
    nothing where they are too many. Where `expected`, all texts of the image, are given, other text before the first
    line's part and after the last one's costs a third of the text at most (`beside`). Several lines are matched
    strictly (`passes.wrong_cost`). Orders of reading are tried until one gives the text without an edit. Ties go to
    fewer pieces, then to lower indices. A chain that keeps too little of the text counts as nothing, unless it is one
    piece that contains the whole text, as "OPEN 24H" contains OPEN.
    """
    exact = next((i for i in candidates if pieces[i].text == text), None)
    if exact is not None:
        return Chain(cost=0, pieces=(exact,))
    best = nothing(text)
    if not candidates:
        return best
    lines = {i: Written(text=pieces[i].text) for i in candidates}
    best = min([best, *_chains(text, lines, pieces, costs, free)], key=_rank)
    extra = len(text) * EDIT // BESIDE
    if expected and best.cost > extra:
        lines = {i: _cut(text, pieces[i], expected) for i in candidates}
        if any(line.starts or line.ends for line in lines.values()):
            best = min([best, *_chains(text, lines, pieces, costs, free, begin=extra)], key=_rank)
    holding = (i for i in candidates if text in pieces[i].text)
    return min([best, *(_longer(text, pieces[i].text, i) for i in holding)], key=_rank)


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


def _chains(
    text: str,
    lines: dict[int, Written],
    pieces: Sequence[Piece],
    costs: Costs,
    free: Collection[str],
    *,
    begin: int = 0,
) -> Iterator[Chain]:
    """Yield chains that keep enough of the text: each line alone, and the cheapest of several in each order of reading.

    `lines` are those of the candidates. Orders are tried until one has no edit.
    """
    candidates, whole = list(lines), len(text) * EDIT
    one, several = Target(text, free, strict=False), Target(text, free, strict=True)
    singles = [Chain(cost=alone(one, line, begin=begin), pieces=(i,)) for i, line in lines.items()]
    for chain in singles:
        if KEPT * (whole - chain.cost) >= whole or _enough(alone(several, lines[chain.pieces[0]], begin=begin), whole):
            yield chain
    least = min(chain.cost for chain in singles)
    for number, order in enumerate(orders([pieces[i].place for i in candidates], blocks(candidates, costs))):
        if least - begin < EDIT:
            return
        way = [candidates[k] for k in order]
        joins = costs[np.ix_(way, way)] + number * ORDER
        cost, taken = cheapest_in_order(several, [lines[i] for i in way], joins, begin=begin)
        if len(taken) > 1 and _enough(cost, whole):
            yield Chain(cost=cost, pieces=tuple(way[k] for k in taken))
            least = min(least, cost)


def _enough(cost: int, whole: int) -> bool:
    return STRICTLY_KEPT * (whole - cost) >= whole


def _cut(text: str, piece: Piece, expected: Sequence[str]) -> Written:
    """Return a line with the places where the text may begin and end beside other text."""
    starts, ends = starts_of(text, piece.raw, expected), ends_of(text, piece.raw, expected)
    return Written(text=piece.text, starts=starts, ends=ends)


def _longer(text: str, line: str, piece: int) -> Chain:
    """Return the cost of a line that goes on: below nothing's, however long, for a text that is nowhere by chance."""
    cost = (len(line) - len(text)) * EDIT
    return Chain(cost=min(cost, nothing(text).cost - 1) if weight(text) >= WHOLE else cost, pieces=(piece,))
