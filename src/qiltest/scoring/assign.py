"""Optimal assignment of chains to texts: every piece goes to at most one text, at the least total cost.

Best-first branch and bound. Each text first takes its cheapest chain. Where two claim a piece, one branch for each
claimant forbids it to the others; the sum of the texts' cheapest chains under their prohibitions is a lower bound, so
the first conflict-free state is optimal.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from qiltest.scoring.chains import Chain, Piece, cheapest_chain, relevant

#: States looked at before the search settles for a good answer; never reached on images seen so far.
MOST_STATES = 4000

_Bans = tuple[frozenset[int], ...]


def assign(texts: Sequence[str], pieces: Sequence[Piece]) -> tuple[Chain, ...]:
    """Return one chain for each text (normalised, without optional marks), no piece in two of them."""
    return _Search(texts, pieces).run()


class _Search:
    def __init__(self, texts: Sequence[str], pieces: Sequence[Piece]) -> None:
        self._texts, self._pieces = texts, pieces
        self._relevant = {text: relevant(text, pieces) for text in dict.fromkeys(texts)}
        self._known: dict[tuple[str, frozenset[int]], Chain] = {}

    def run(self) -> tuple[Chain, ...]:
        """Search; equal costs are searched depth first, so that a tie among many equal texts is a dive, not a flood."""
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
            self._known[key] = cheapest_chain(text, self._pieces, allowed)
        return self._known[key]

    def _children(self, bans: _Bans, piece: int, claimants: Sequence[int]) -> list[_Bans]:
        """One state for each claimant that keeps the piece; texts that are the same with the same bans only once."""
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
