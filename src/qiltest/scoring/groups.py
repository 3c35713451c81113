"""The lines of each text: its chain, and the lines inside its block that nobody took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qiltest.scoring.chains import Chain, blocks
from qiltest.scoring.characters import weight
from qiltest.scoring.distance import distance
from qiltest.scoring.evidence import EDIT, Costs, Piece
from qiltest.scoring.geometry import encloses, orders

#: an unmatched line inside a block belongs to the block's text from this weight and confidence on.
ABSORBED_WEIGHT, ABSORBED_CONFIDENCE = 2.0, 0.6


def groups_of(
    texts: Sequence[str], chains: Sequence[Chain], pieces: Sequence[Piece], costs: Costs
) -> list[tuple[int, ...]]:
    """Return each text's pieces, with the unmatched lines inside its block, such as a phrase generated twice.

    A line that stands where the text is missing, and would make its distance less, is none of it. `costs` are those of
    joining pieces (`evidence.joints`).
    """
    free = set(range(len(pieces))) - {i for chain in chains for i in chain.pieces}
    groups = []
    for text, chain in zip(texts, chains, strict=True):
        group = chain.pieces
        for i in [i for i in sorted(free) if _belongs(i, chain.pieces, pieces, costs)]:
            more = _merged(group, [i], pieces, costs)
            if _distance(text, more, pieces) > _distance(text, group, pieces):
                group = more
        groups.append(group)
        free.difference_update(group)
    return groups


def _distance(text: str, group: Sequence[int], pieces: Sequence[Piece]) -> int:
    return distance(text, "".join(pieces[i].text for i in group))


def _belongs(line: int, group: Sequence[int], pieces: Sequence[Piece], costs: Costs) -> bool:
    piece = pieces[line]
    if piece.confidence < ABSORBED_CONFIDENCE or weight(piece.text) < ABSORBED_WEIGHT:
        return False
    return any(encloses([pieces[i].place for i in run], piece.place) for run in _runs(group, costs) if len(run) > 1)


def _runs(group: Sequence[int], costs: Costs) -> Iterator[list[int]]:
    """Yield the parts of a chain between doubtful joins: what stands between those is none of its lines."""
    run = list(group[:1])
    for i in group[1:]:
        if costs[run[-1], i] < EDIT:
            run.append(i)
        else:
            yield run
            run = [i]
    yield run


def _merged(group: tuple[int, ...], inside: Sequence[int], pieces: Sequence[Piece], costs: Costs) -> tuple[int, ...]:
    """Insert the lines of a block that stand between its first and last one, keeping their reading order."""
    together = sorted({*group, *inside})
    for order in orders([pieces[i].place for i in together], blocks(together, costs)):
        merged = tuple(together[k] for k in order)
        if tuple(i for i in merged if i in group) == group:
            return merged[merged.index(group[0]) : merged.index(group[-1]) + 1]
    return group
