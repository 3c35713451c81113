"""The assignment against brute force over every way to give disjoint sets of lines to texts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import combinations, pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from qiltest.scoring.assign import assign
from qiltest.scoring.chains import CASE, EDIT, Piece, cheapest_chain, nothing, relevant
from qiltest.scoring.geometry import gap, may_join, place_of
from readings import stack

TEXT = st.text(alphabet="abcABC1", min_size=1, max_size=6)
#: Three characters or more, so that a line is no part of a column.
LINE = st.text(alphabet="abcABC1", min_size=3, max_size=7)


def pieces_of(lines: Sequence[str]) -> list[Piece]:
    return [
        Piece(text=item.text, place=place_of(item, len(item.text)), confidence=0.9, line=i)
        for i, item in enumerate(stack(*lines))
    ]


def slow_cost(text: str, read: str) -> int:
    """Levenshtein by its definition, with the wrong case at half an edit."""

    @functools.cache
    def cost(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return (i + j) * EDIT
        a, b = text[i - 1], read[j - 1]
        meet = 0 if a == b else CASE if a.casefold() == b.casefold() else EDIT
        return min(cost(i - 1, j - 1) + meet, cost(i - 1, j) + EDIT, cost(i, j - 1) + EDIT)

    return cost(len(text), len(read))


def chain_cost(text: str, chosen: Sequence[Piece]) -> int | None:
    joined = "".join(piece.text for piece in chosen)
    total = slow_cost(text, joined)
    for first, second in pairwise(chosen):
        if not may_join(first.place, second.place):
            return None
        total += int(gap(first.place, second.place) * EDIT / 50) + 1
    whole = len(chosen) == 1 and text in joined
    return total if whole or 3 * (len(text) * EDIT - total) >= len(text) * EDIT else None


def brute_force(texts: Sequence[str], pieces: Sequence[Piece]) -> int:
    """Least total cost over all disjoint choices; lines of a stack have one reading order, top to bottom."""

    def options(text: str) -> list[tuple[frozenset[int], int]]:
        found = [(frozenset[int](), nothing(text).cost)]
        candidates = relevant(text, pieces)
        for size in range(1, len(candidates) + 1):
            for subset in combinations(candidates, size):
                cost = chain_cost(text, [pieces[i] for i in subset])
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


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6), st.lists(LINE, min_size=1, max_size=6))
@example(["abca"], ["a", "abcabbb"])
@example(["abca", "bc"], ["c", "abcabbb", "ba"])
def test_the_assignment_costs_what_brute_force_finds(texts, lines):
    pieces = pieces_of(lines)
    chains = assign(texts, pieces)
    used = [i for chain in chains for i in chain.pieces]
    assert len(used) == len(set(used))
    assert sum(chain.cost for chain in chains) == brute_force(texts, pieces)


@settings(max_examples=300, deadline=None)
@given(TEXT, st.lists(LINE, min_size=1, max_size=6))
def test_a_chain_costs_what_it_is_said_to(text, lines):
    pieces = pieces_of(lines)
    chain = cheapest_chain(text, pieces, range(len(pieces)))
    expected = chain_cost(text, [pieces[i] for i in chain.pieces]) if chain.pieces else nothing(text).cost
    assert chain.cost == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6), st.lists(LINE, min_size=1, max_size=6))
def test_the_assignment_is_the_same_every_time(texts, lines):
    assert assign(texts, pieces_of(lines)) == assign(texts, pieces_of(lines))
