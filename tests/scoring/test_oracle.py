"""The assignment against brute force over every way to give disjoint sets of lines to texts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import accumulate, combinations, pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders import line
from qiltest.scoring.assign import assign
from qiltest.scoring.chains import KEPT, STRICTLY_KEPT, cheapest_chain, nothing, relevant
from qiltest.scoring.evidence import EDIT, Piece, joints
from qiltest.scoring.geometry import place_of
from qiltest.scoring.passes import CASE, gap_cost, wrong_cost

TEXT = st.text(alphabet="abcABC1", min_size=1, max_size=6)
#: Three characters or more, so that a line is no part of a column.
LINE = st.text(alphabet="abcABC1", min_size=3, max_size=7)
#: A line, and how many heights it stands below the one before.
PLACED = st.tuples(LINE, st.sampled_from([0.2, 2, 4, 9]))


def pieces_of(lines: Sequence[str | tuple[str, float]]) -> list[Piece]:
    """Lines one under another; they have one order of reading, top to bottom."""
    found, top = [], 100.0
    for i, item in enumerate(lines):
        text, gap = (item, 0.4) if isinstance(item, str) else item
        top += 40 * (1 + gap)
        where = place_of(line(text, 100, top, 24 * len(text), 40), len(text))
        found.append(Piece(text=text, place=where, confidence=0.9, line=i, raw=text))
    return found


def slow_cost(text: str, lines: Sequence[str], *, strict: bool) -> int:
    """Levenshtein by its definition, with the wrong case at half an edit.

    Strictly, a character that is wrong or missing in a line costs more, and so does a gap between lines.
    """
    read = "".join(lines)
    ends = {0, *accumulate(map(len, lines))}

    def wrong(char: str) -> int:
        return wrong_cost(char) if strict else EDIT

    @functools.cache
    def gap(i: int, j: int) -> int:
        """Least cost with a gap that ends here; one before the first line or after the last is free."""
        if not i:
            return 1 << 40
        return EDIT + min(gap(i - 1, j), cost(i - 1, j) + gap_cost(text) * (strict and 0 < j < len(read)))

    @functools.cache
    def cost(i: int, j: int) -> int:
        if i == j == 0:
            return 0
        ways = [gap(i, j)] if j in ends else []
        if i:
            ways.append(cost(i - 1, j) + wrong(text[i - 1]))
        if j:
            ways.append(cost(i, j - 1) + EDIT)
        if i and j:
            a, b = text[i - 1], read[j - 1]
            other = CASE if a.casefold() == b.casefold() else wrong(a)
            ways.append(cost(i - 1, j - 1) + (0 if a == b else other))
        return min(ways)

    return cost(len(text), len(read))


def chain_cost(text: str, chosen: Sequence[int], pieces: Sequence[Piece]) -> int | None:
    """Cost of a chain; None for one that keeps too little of the text."""
    costs = joints(pieces)
    lines, whole = [pieces[i].text for i in chosen], len(text) * EDIT
    strict = slow_cost(text, lines, strict=True) + sum(int(costs[pair]) for pair in pairwise(chosen))
    enough = STRICTLY_KEPT * (whole - strict) >= whole
    if len(chosen) > 1:
        return strict if enough else None
    cost = slow_cost(text, lines, strict=False)
    return cost if enough or KEPT * (whole - cost) >= whole or text in lines[0] else None


def brute_force(texts: Sequence[str], pieces: Sequence[Piece]) -> int:
    """Least total cost over all disjoint choices."""

    def options(text: str) -> list[tuple[frozenset[int], int]]:
        found = [(frozenset[int](), nothing(text).cost)]
        candidates = relevant(text, pieces)
        for size in range(1, len(candidates) + 1):
            for subset in combinations(candidates, size):
                cost = chain_cost(text, subset, pieces)
                if cost is not None:
                    found.append((frozenset(subset), cost))
        return found

    every = [options(text) for text in texts]

    @functools.cache
    def best(k: int, used: frozenset[int]) -> int:
        if k == len(texts):
            return 0
        return min(cost + best(k + 1, used | subset) for subset, cost in every[k] if not subset & used)

    return best(0, frozenset())


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6), st.lists(PLACED, min_size=1, max_size=6))
@example(["abca"], ["a", "abcabbb"])
@example(["abca", "bc"], ["c", "abcabbb", "ba"])
@example(["abcabc", "abc1"], [("abc", 0.2), ("abc", 4), ("1cb", 9)])
def test_the_assignment_is_the_same_every_time_and_costs_what_brute_force_finds(texts, lines):
    pieces = pieces_of(lines)
    chains = assign(texts, pieces)
    assert assign(texts, pieces_of(lines)) == chains
    used = [i for chain in chains for i in chain.pieces]
    assert len(used) == len(set(used))
    assert sum(chain.cost for chain in chains) == brute_force(texts, pieces)


@settings(max_examples=150, deadline=None)
@given(TEXT, st.lists(PLACED, min_size=1, max_size=6))
@example("abcabcabc", [("abc", 4), ("abc", 9), ("abc", 4)])
def test_a_chain_costs_what_it_is_said_to(text, lines):
    pieces = pieces_of(lines)
    chain = cheapest_chain(text, pieces, range(len(pieces)), joints(pieces))
    expected = chain_cost(text, chain.pieces, pieces) if chain.pieces else nothing(text).cost
    assert chain.cost == expected
