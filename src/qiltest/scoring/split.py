"""Cut lines that contain several expected texts where one ends and the next begins."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from rapidfuzz import fuzz

from qiltest.reading.quad import is_column, stretch
from qiltest.reading.records import Line
from qiltest.scoring.distance import distance
from qiltest.scoring.evidence import Piece
from qiltest.scoring.geometry import place_of
from qiltest.scoring.leaders import Segment
from qiltest.text.normalise import normalise

#: share of a text's characters that may be wrong in a part of a line.
WRONG = 1 / 3
#: shorter texts are not searched inside lines: they are found everywhere.
SHORTEST = 2
#: What sets two texts of one line apart and belongs to neither of them, normalised.
SEPARATORS = frozenset("|/\u2014\u2015\u2192:\u00b7")


def separators_of(expected: Sequence[str]) -> frozenset[str]:
    """Return the marks between two texts that are part of neither; `expected` are normalised, none is empty."""
    return SEPARATORS - {char for text in expected for char in (text[0], text[-1])}


def pieces_of(
    line: Line, text: str, index: int, cuts: Sequence[int], separators: Collection[str] = ()
) -> Iterator[Piece]:
    """Cut a line (normalised `text`) at some of its places into pieces, without separators; mostly there are none."""
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        while start and start < end - 1 and text[start] in separators:
            start += 1
        while end < len(text) and start < end - 1 and text[end - 1] in separators:
            end -= 1
        part = _part(line, start / max(1, len(text)), end / max(1, len(text))) if cuts else line
        yield Piece(
            text=text[start:end],
            place=place_of(part, end - start),
            confidence=line.confidence,
            line=index,
            raw=_raw(line.text, text, start, end),
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


def cuts_of(text: str, expected: Sequence[str], separators: Collection[str] = ()) -> list[int]:
    """Return where a line (normalised) is cut into one piece per expected text that it contains.

    A separator between two of them is where the one ends, and costs nothing.
    """
    inside = [wanted for wanted in dict.fromkeys(expected) if len(wanted) >= SHORTEST and _within(wanted, text)]
    if len(inside) < 2:
        return []
    whole = min(distance(wanted, text) for wanted in expected)
    best = _cover(text, inside, separators)
    if best is None or len(best[1]) < 2 or best[0] >= whole:
        return []
    return list(best[1][:-1])


def _within(wanted: str, text: str) -> bool:
    return len(wanted) < len(text) and fuzz.partial_ratio(wanted, text) >= 100 * (1 - WRONG)


def _cover(text: str, inside: Sequence[str], separators: Collection[str]) -> tuple[int, tuple[int, ...]] | None:
    """Cover the line with parts, each a different expected text: (cost, ends); None where that is impossible."""
    states: dict[tuple[int, frozenset[int]], tuple[int, tuple[int, ...]]] = {(0, frozenset()): (0, ())}
    complete: list[tuple[int, tuple[int, ...]]] = []
    while states:
        (at, used), (cost, ends) = min(states.items(), key=lambda item: (item[0][0], sorted(item[0][1])))
        del states[(at, used)]
        if at == len(text):
            complete.append((cost, ends))
            continue
        while at and at < len(text) - 1 and text[at] in separators:
            at += 1
        for k, end, more in _steps(text, at, inside, used):
            key, value = (end, used | {k}), (cost + more, (*ends, end))
            states[key] = min(states.get(key, value), value)
    return min(complete, default=None)


def _steps(text: str, at: int, inside: Sequence[str], used: frozenset[int]) -> Iterator[tuple[int, int, int]]:
    for k, wanted in enumerate(inside):
        if k in used:
            continue
        slack = int(len(wanted) * WRONG)
        for end in range(max(at + 1, at + len(wanted) - slack), min(len(text), at + len(wanted) + slack) + 1):
            wrong = distance(wanted, text[at:end])
            if wrong <= slack:
                yield k, end, wrong


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
