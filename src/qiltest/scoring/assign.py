"""Assign chains of lines to texts at the least total cost, so that no line is used twice.

Best-first branch and bound: each text takes its cheapest chain; where several claim a piece, one branch per claimant
forbids it to the others. The sum of the cheapest chains is a lower bound, so a state without conflict is optimal.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from qiltest.scoring.chains import Chain, cheapest_chain, relevant
from qiltest.scoring.evidence import Costs, Piece, joints

#: states after which the search settles for a good answer; never reached so far.
MOST_STATES = 4000

_Bans = tuple[frozenset[int], ...]


def assign(
    texts: Sequence[str],
    pieces: Sequence[Piece],
    marks: Mapping[str, Collection[str]] | None = None,
    costs: Costs | None = None,
    *,
    alone: bool = False,
) -> tuple[Chain, ...]:
    """Return one chain for each text (normalised, without optional marks), no piece in two of them.

    `marks` are the characters of a text's optional marks, by the text; `costs` those of joining pieces, if the caller
    has them already. `alone`: no other text may stand beside a text in its line.
    """
    costs = joints(pieces) if costs is None else costs
    return _Search(texts, pieces, marks or {}, costs, () if alone else texts).run()


class _Search:
    def __init__(
        self,
        texts: Sequence[str],
        pieces: Sequence[Piece],
        marks: Mapping[str, Collection[str]],
        costs: Costs,
        expected: Sequence[str],
    ) -> None:
        self._texts, self._pieces, self._marks, self._costs = texts, pieces, marks, costs
        self._expected = expected
        self._relevant = {text: relevant(text, pieces) for text in dict.fromkeys(texts)}
        self._known: dict[tuple[str, frozenset[int]], Chain] = {}

    def run(self) -> tuple[Chain, ...]:
        """Search, equal costs depth first, because many equal texts would otherwise flood the heap."""
        bans: _Bans = tuple(frozenset() for _ in self._texts)
        chains = self._chains(bans)
        heap = [(_total(chains), 0, bans, chains)]
        seen = {bans}
        while True:
            _, _, bans, chains = heapq.heappop(heap)
            conflict = _conflict(chains)
            if conflict is None:
                return chains
            if len(seen) > MOST_STATES:
                return self._dive(bans)
            for child in self._children(bans, *conflict):
                if child not in seen:
                    seen.add(child)
                    new = self._chains(child)
                    heapq.heappush(heap, (_total(new), -len(seen), child, new))

    def _dive(self, bans: _Bans) -> tuple[Chain, ...]:
        """Give every contested piece to its first claimant: feasible, not necessarily optimal."""
        while True:
            chains = self._chains(bans)
            conflict = _conflict(chains)
            if conflict is None:
                return chains
            bans = self._children(bans, *conflict)[0]

    def _chains(self, bans: _Bans) -> tuple[Chain, ...]:
        return tuple(self._best(text, banned) for text, banned in zip(self._texts, bans, strict=True))

    def _best(self, text: str, banned: frozenset[int]) -> Chain:
        key = (text, banned)
        if key not in self._known:
            allowed = [i for i in self._relevant[text] if i not in banned]
            self._known[key] = cheapest_chain(
                text, self._pieces, allowed, self._costs, self._marks.get(text, ()), self._expected
            )
        return self._known[key]

    def _children(self, bans: _Bans, piece: int, claimants: Sequence[int]) -> list[_Bans]:
        """Return one state per claimant that keeps the piece; equal texts with equal bans count once."""
        children: list[_Bans] = []
        kept: set[tuple[str, frozenset[int]]] = set()
        for keeper in claimants:
            alike = (self._texts[keeper], bans[keeper])
            if alike in kept:
                continue
            kept.add(alike)
            others = set(claimants) - {keeper}
            children.append(tuple(ban | {piece} if i in others else ban for i, ban in enumerate(bans)))
        return children


def _total(chains: Sequence[Chain]) -> int:
    return sum(chain.cost for chain in chains)


def _conflict(chains: Sequence[Chain]) -> tuple[int, list[int]] | None:
    claims: dict[int, list[int]] = {}
    for text, chain in enumerate(chains):
        for piece in chain.pieces:
            claims.setdefault(piece, []).append(text)
    contested = [(piece, owners) for piece, owners in claims.items() if len(owners) > 1]
    return min(contested, default=None)
