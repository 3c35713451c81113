"""One pass over lines in an order of reading: the chain of them that comes nearest to a text.

For every line the row of Levenshtein costs against all prefixes of the text goes on from the cheapest earlier line, to
which it is joined at the cost of that join. Exact for the given order, without enumerating subsets.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.scoring.characters import bits, mean_bits
from qiltest.scoring.evidence import EDIT, WRONG_BITS, Costs

#: the wrong case of a letter costs half an edit in matching, or "CPP" would be no better match for "cpp" than nothing.
CASE = 500
_Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """A line, normalised, with the places where a text may begin in it after other text, and end before other text."""

    text: str
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


def wrong_cost(char: str) -> int:
    """Return what it costs in a chain of several lines where a line has another character than `char`, or lacks it.

    In edits x `EDIT`: meeting the character would be worth its bits, and `WRONG_BITS` bits speak against a line that
    does not. Two edits at most.
    """
    return min(2 * EDIT, EDIT + int(EDIT * WRONG_BITS / bits(char)))


def gap_cost(text: str) -> int:
    """Return what it costs in a chain of several lines where the text is missing between two, beside its characters.

    In edits x `EDIT`: a line that goes on where another ends has one place in the text, any other as many as the text
    has characters, each of which it might have met by chance.
    """
    return int(EDIT * math.log2(len(text)) / mean_bits(text))


class Target:
    """The text sought, with the cost of meeting any character at each of its places."""

    def __init__(self, text: str, free: Collection[str] = (), *, strict: bool) -> None:
        """`free` characters cost nothing where the text has none; `strict`: errors cost what speaks against a line."""
        self._free = free
        self._wrong = np.array([wrong_cost(char) if strict else EDIT for char in text], dtype=np.int64)
        #: cost of a place's prefix where the text is missing in a line, and where it is missing between lines.
        self.inside = np.concatenate(([0], np.cumsum(self._wrong)))
        self.between = np.arange(len(text) + 1, dtype=np.int64) * EDIT
        #: cost of a gap in the text between lines, beside its characters.
        self.gap = gap_cost(text) if strict else 0
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


def alone(target: Target, line: Written, *, begin: int = 0) -> int:
    """Return the cost of one line for the text; `begin` is what every chain costs beforehand."""
    first = target.between + begin
    return _read(line, first, first, target).whole[0]


def cheapest_in_order(
    target: Target, lines: Sequence[Written], costs: Costs, *, begin: int = 0
) -> tuple[int, tuple[int, ...]]:
    """Return the cost of the cheapest chain of lines in their order, and which lines it takes.

    `costs` are those of joining two lines; `begin` is what every chain costs beforehand.
    """
    first = target.between + begin
    rows = np.empty((len(lines), len(first)), dtype=np.int64)
    froms: list[NDArray[np.int64]] = []
    read: list[_Read] = []
    for k, line in enumerate(lines):
        row, came = first.copy(), np.full(len(first), -1, dtype=np.int64)
        if k:
            joined = rows[:k] + costs[:k, k, None]
            nearest, least = joined.argmin(axis=0), joined.min(axis=0)
            row, came = np.where(least < row, least, row), np.where(least < row, nearest, came)
        read.append(_read(line, row, first, target))
        rows[k] = read[k].row
        froms.append(came)
    last = min(range(len(lines)), key=lambda k: (read[k].whole[0], k))
    return read[last].whole[0], _traced(last, read, froms)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """What a chain costs that ends with a line."""

    #: for each prefix of the text from which another line may go on.
    row: Costs
    #: for each prefix, where in the text the line's own part begins; -1 - the place for a line that begins the chain.
    start: _Places
    #: for the whole text: the cost, and where the line's part begins.
    whole: tuple[int, int]


def _traced(last: int, read: Sequence[_Read], froms: Sequence[_Places]) -> tuple[int, ...]:
    """Follow a chain back from its last line."""
    chosen, k, at = [last], last, read[last].whole[1]
    while at >= 0 and froms[k][at] >= 0:
        k = int(froms[k][at])
        at = int(read[k].start[at])
        chosen.append(k)
    return tuple(reversed(chosen))


def _read(line: Written, row: Costs, first: Costs, target: Target) -> _Read:
    """Append a line to what costs `row` for each prefix, or begin a chain with it, which costs `first`."""
    places = np.arange(len(row), dtype=np.int64)
    row, start, ended = _carry(row, places, line.text, target, line.ends)
    for at in line.starts:
        ends = [end - at for end in line.ends if end > at]
        fresh, begun, more = _carry(first + 1, -1 - places, line.text[at:], target, ends)
        better = fresh < row
        row, start = np.where(better, fresh, row), np.where(better, begun, start)
        ended.extend(more)
    later, begun = _delete_forward(row, start, target.between)
    whole = min([(int(later[-1]), int(begun[-1])), *ended])
    better = later + target.gap < row
    row, start = np.where(better, later + target.gap, row), np.where(better, begun, start)
    return _Read(row=row, start=start, whole=whole)


def _carry(
    row: Costs, start: _Places, text: str, target: Target, ends: Collection[int]
) -> tuple[Costs, _Places, list[tuple[int, int]]]:
    """Append `text`: the row, where its part begins, and (cost, beginning) of the whole text for each of its ends."""
    ended: list[tuple[int, int]] = []
    for count, char in enumerate(text, start=1):
        meet = row[:-1] + target.meet(char)
        insert = row + target.insert(char)
        better = meet < insert[1:]
        new_row, new_start = insert, start.copy()
        new_row[1:][better] = meet[better]
        new_start[1:][better] = start[:-1][better]
        row, start = _delete_forward(new_row, new_start, target.inside)
        if count in ends:
            last, begun = _delete_forward(row, start, target.between)
            ended.append((int(last[-1]) + 1, int(begun[-1])))
    return row, start, ended


def _delete_forward(row: Costs, start: _Places, missing: Costs) -> tuple[Costs, _Places]:
    """Let every prefix also be reached by deleting from a shorter one: a running minimum of cost less `missing`."""
    relative = row - missing
    lowest = np.minimum.accumulate(relative)
    fresh = np.concatenate(([True], relative[1:] < lowest[:-1]))
    source = np.maximum.accumulate(np.where(fresh, np.arange(len(row)), 0))
    return lowest + missing, start[source]
