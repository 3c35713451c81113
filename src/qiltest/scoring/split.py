"""Cut lines that contain several expected texts where one ends and the next begins."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product

from rapidfuzz import fuzz

from qiltest.reading.quad import is_column, stretch
from qiltest.reading.records import Line
from qiltest.scoring.distance import distance
from qiltest.scoring.evidence import Piece
from qiltest.scoring.geometry import OVERLAP, Place, place_of
from qiltest.scoring.leaders import Segment
from qiltest.text.normalise import normalise

#: share of a text's characters that may be wrong in a part of a line.
WRONG = 1 / 3
#: shorter texts are not searched inside lines: they are found everywhere.
SHORTEST = 2
#: What sets two texts of one line apart and belongs to neither of them, normalised.
SEPARATORS = frozenset("|/\u2014\u2015\u2192:\u00b7")
#: A bar as readers return it: in most faces it and a capital I are the same stroke.
STROKES = frozenset("Il\u4e28")
#: Such a stroke between two words.
LONE_STROKE = re.compile(r"(?<=\S )[Il\u4e28](?= \S)")
#: Lines of one row are items of it up to this gap, in the larger one's size, and this ratio of sizes.
FAR, SIZES = 6.0, 1.5
#: ways to cover a line up to one place that are gone on with.
WAYS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """Where a line (normalised) is cut: one piece ends at `end`, the next begins at `start`, behind a separator."""

    end: int
    start: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Separators:
    """What may part two asked texts of one line: marks, normalised, and whether a lone stroke may."""

    marks: frozenset[str] = frozenset()
    strokes: bool = False

    def places(self, line: str) -> frozenset[int]:
        """Return where a line, as read, has them: their places in its normalised form."""
        found = {stroke.start() for stroke in LONE_STROKE.finditer(line)} if self.strokes else set[int]()
        found |= {at for at, char in enumerate(line) if _plain(char) in self.marks}
        return frozenset(len(normalise(line[:at])) for at in found)


def separators_of(expected: Sequence[str]) -> Separators:
    """Return what may part the texts, as asked for: a mark or stroke with which one begins or ends is part of it."""
    words = [word for text in expected if (parts := text.split()) for word in (parts[0], parts[-1])]
    edges = {char for word in words if (text := normalise(word)) for char in (text[0], text[-1])}
    return Separators(marks=SEPARATORS - edges, strokes=STROKES.isdisjoint(map(normalise, words)))


NO_SEPARATORS = Separators()


@lru_cache(maxsize=4096)
def _plain(char: str) -> str:
    return normalise(char)


def pieces_of(line: Line, text: str, index: int, cuts: Sequence[Cut]) -> Iterator[Piece]:
    """Cut a line (normalised `text`) at some of its places into pieces; mostly there are none."""
    starts, ends = [0, *(cut.start for cut in cuts)], [*(cut.end for cut in cuts), len(text)]
    for start, end in zip(starts, ends, strict=True):
        part = _part(line, start / max(1, len(text)), end / max(1, len(text))) if cuts else line
        yield Piece(
            text=text[start:end],
            place=place_of(part, end - start),
            confidence=line.confidence,
            line=index,
            raw=_raw(line.text, text, start, end),
            part=bool(cuts),
        )


def _raw(line: str, text: str, start: int, end: int) -> str:
    """Return a part of a line as read; in its normalised form where the line cannot be cut there."""
    line = line.replace("\n", " ")
    if (start, end) == (0, len(text)):
        return line
    first, last = (next((at for at in range(len(line) + 1) if _cut_at(line, at, text, k)), None) for k in (start, end))
    return text[start:end] if first is None or last is None else line[first:last].strip()


def _cut_at(line: str, at: int, text: str, place: int) -> bool:
    return normalise(line[:at]) == text[:place] and normalise(line[at:]) == text[place:]


def cuts_of(text: str, expected: Sequence[str], line: str = "", separators: Separators = NO_SEPARATORS) -> list[Cut]:
    """Return where a line is cut into one piece per expected text that it contains.

    `text`: the line, normalised; `line`: the same as read, in which `separators` may stand between two of the texts.
    """
    inside = [wanted for wanted in dict.fromkeys(expected) if len(wanted) >= SHORTEST and _within(wanted, text)]
    if len(inside) < 2:
        return []
    whole = min(distance(wanted, text) for wanted in expected)
    best = _cover(text, inside, separators.places(line))
    if best is None or len(best.parts) < 2 or best.cost >= whole:
        return []
    return [Cut(end=one[1], start=other[0]) for one, other in pairwise(best.parts)]


def _within(wanted: str, text: str) -> bool:
    return len(wanted) < len(text) and fuzz.partial_ratio(wanted, text) >= 100 * (1 - WRONG)


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class _Cover:
    """A beginning of the line covered with parts, each a different expected text."""

    cost: int = 0
    #: separators between the parts: of two ways that cost the same, a mark is part of a text.
    skipped: int = 0
    #: from where to where the parts reach.
    parts: tuple[tuple[int, int], ...] = ()


def _cover(text: str, inside: Sequence[str], separators: Collection[int]) -> _Cover | None:
    """Cover the line with parts, each a different expected text; None where that is impossible.

    Texts that resemble one another, as the years of a table do, fit in as many ways as there are subsets of them: of
    the ways to one place only the `WAYS` cheapest go on.
    """
    ways: dict[int, dict[frozenset[int], _Cover]] = {0: {frozenset(): _Cover()}}
    for at in range(len(text)):
        here = sorted(ways.pop(at, {}).items(), key=lambda item: (item[1], sorted(item[0])))[:WAYS]
        starts = _beginnings(text, at, separators) if here else ()
        steps = [(start, *step) for start in starts for step in _steps(text, start, inside)]
        for (used, cover), (start, k, end, wrong) in product(here, steps):
            if k in used:
                continue
            skipped = cover.skipped + start - at
            more = _Cover(cost=cover.cost + wrong, skipped=skipped, parts=(*cover.parts, (start, end)))
            known = ways.setdefault(end, {})
            known[used | {k}] = min(known.get(used | {k}, more), more)
    return min(ways.get(len(text), {}).values(), default=None)


def _beginnings(text: str, at: int, separators: Collection[int]) -> Iterator[int]:
    """Yield where the part that follows another may begin: there, or behind one separator, or two that are equal."""
    yield at
    if at and at in separators and at + 1 < len(text):
        yield at + 1
        if at + 1 in separators and text[at] == text[at + 1] and at + 2 < len(text):
            yield at + 2


def _steps(text: str, at: int, inside: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Yield which texts may begin at a place, where each ends, and how much of it is wrong."""
    for k, wanted in enumerate(inside):
        slack = int(len(wanted) * WRONG)
        for end in range(max(at + 1, at + len(wanted) - slack), min(len(text), at + len(wanted) + slack) + 1):
            wrong = distance(wanted, text[at:end])
            if wrong <= slack:
                yield k, end, wrong


@dataclass(frozen=True, kw_only=True, slots=True)
class Edges:
    """How many characters, normalised, at the beginning and the end of a text's lines are separators."""

    start: int = 0
    end: int = 0


def edges_of(pieces: Sequence[Piece], groups: Sequence[Sequence[int]], separators: Separators) -> list[Edges]:
    """Return where each text's lines begin or end with a mark beyond which a line of another text comes next in a row.

    `groups` are the indices of each text's pieces, in order. What separates the items of a row belongs to none of them.
    """
    owner = {i: number for number, group in enumerate(groups) for i in group}

    def parted(i: int, sign: int) -> bool:
        other = _next_in_row(pieces, i, sign)
        return owner.get(other, owner[i]) != owner[i] and pieces[other].line != pieces[i].line

    found = []
    for group in groups:
        start = _marks_at(pieces[group[0]].text, separators) if group else 0
        end = _marks_at(pieces[group[-1]].text[::-1], separators) if group else 0
        found.append(
            Edges(
                start=start if start and parted(group[0], -1) else 0,
                end=end if end and parted(group[-1], 1) else 0,
            )
        )
    return found


def _marks_at(text: str, separators: Separators) -> int:
    """Return how many characters of a text's beginning are a separator: one, or two that are equal, or none."""
    if len(text) < 2 or text[0] not in separators.marks:
        return 0
    size = 2 if text[0] == text[1] else 1
    return size if len(text) > size and text[size] not in separators.marks else 0


def _next_in_row(pieces: Sequence[Piece], index: int, sign: int) -> int:
    """Return the index of the line that comes next in a row, `sign` 1: behind, -1: before; -1 for none.

    None where it is far or of another size, or where a column stands there.
    """
    own = pieces[index].place
    if own.column:
        return -1
    row = [(sign * (o.place.centre[0] - own.centre[0]), o.place.top, o.text, k) for k, o in enumerate(pieces)]
    row = [item for item in row if item[0] > 0 and _in_row(own, pieces[item[3]].place)]
    if not row:
        return -1
    nearest = min(row)[3]
    other = pieces[nearest].place
    gap = other.left - own.right if sign > 0 else own.left - other.right
    near = gap <= FAR * max(own.size, other.size) and max(own.size, other.size) <= SIZES * min(own.size, other.size)
    return nearest if near and not other.column else -1


def _in_row(one: Place, other: Place) -> bool:
    common = min(one.bottom, other.bottom) - max(one.top, other.top)
    return common >= OVERLAP * min(one.bottom - one.top, other.bottom - other.top)


def without_edges(lines: Sequence[str], edges: Edges) -> tuple[tuple[str, ...], str, str]:
    """Return a text's lines, as read, without the separators at their ends, and these two."""
    kept = [*lines]
    last, end = _cut_behind(kept[-1], edges.end)
    kept[-1] = last
    first, start = _cut_behind(kept[0][::-1], edges.start)
    kept[0] = first[::-1]
    return tuple(line.strip() for line in kept), start[::-1].strip(), end.strip()


def _cut_behind(line: str, size: int) -> tuple[str, str]:
    """Cut a line, as read, before its last `size` characters that count."""
    at = len(line)
    while size > 0 and at > 0:
        at -= 1
        size -= len(normalise(line[at]))
    return line[:at], line[at:]


def part_of(line: Line, segment: Segment) -> Line:
    """Return what stands between leader dots as a line of its own; its box reaches over the dots behind it.

    So what the dots lead to is near.
    """
    whole = max(1, len(line.text))
    part = _part(line, segment.start / whole, min(whole, segment.end + len(segment.led)) / whole)
    a, (right, top), (below, bottom), d = part.box
    box = a, (max(right, segment.reach), top), (max(below, segment.reach), bottom), d
    return replace(part, text=line.text[segment.start : segment.end].strip(), box=box)


def _part(line: Line, start: float, end: float) -> Line:
    box = stretch(line.box, start, end, column=is_column(line.box))
    return Line(text=line.text, box=box, confidence=line.confidence)
