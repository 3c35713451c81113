"""Estimates where in the image a character of a line is, from the line's box.

Readers give boxes of lines. A character's place is interpolated by typical widths: near enough to look there, and never
used to judge.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence

from qiltest.reading.quad import Quad, extent, is_column, stretch
from qiltest.reading.records import Line, Point
from qiltest.scoring.records import TextScore

Box = tuple[float, float, float, float]

#: places of one text that are told, lines that it may be joined from, and characters of a line.
MOST_QUADS, MOST_PARTS, _LONGEST = 300, 64, 500
_NARROW = frozenset("iIjl1.,:;|!'`·-()[]{} ")
_BROAD = frozenset("mwMW@%")


def character_quad(line: Line, start: int, end: int) -> Quad:
    """Return the estimated quadrilateral of characters `start` to `end` of a line, in pixels.

    An empty range (a missing character) gives a narrow strip at its place.
    """
    widths = [_width(char) for char in line.text] or [1.0]
    total = sum(widths)
    low, high = sum(widths[:start]) / total, sum(widths[:end]) / total
    if high - low < 0.01:
        low, high = max(0.0, low - 0.01), min(1.0, high + 0.01)
    return stretch(line.box, low, high, column=len(line.text) > 1 and is_column(line.box))


def square_at(line: Line, place: Point) -> Quad:
    """Return a square as high as a line around a place in it, along the line's sides."""
    (ax, ay), (bx, by), _, (dx, dy) = line.box
    height = min(extent(line.box)) / 2
    across, down = math.hypot(bx - ax, by - ay) or 1.0, math.hypot(dx - ax, dy - ay) or 1.0
    ux, uy = (bx - ax) / across * height, (by - ay) / across * height
    vx, vy = (dx - ax) / down * height, (dy - ay) / down * height
    x, y = place
    return (
        (x - ux - vx, y - uy - vy),
        (x + ux - vx, y + uy - vy),
        (x + ux + vx, y + uy + vy),
        (x - ux + vx, y - uy + vy),
    )


def wrong_quads(
    score: TextScore, lines: Sequence[Line], positions: Iterable[int], gaps: Iterable[int] = ()
) -> tuple[Quad, ...]:
    """Return where the differing characters of a text are, neighbours in one piece.

    `positions` and `gaps` are indices into `score.read`; characters are missing before a gap.
    """
    wanted = [*_runs(positions), *((gap, gap) for gap in gaps)][:MOST_QUADS]
    quads: list[Quad] = []
    if score.read.count("\n") > MOST_PARTS:
        return ()
    start = 0
    for part, line in _parts(score, lines):
        end = start + len(part)
        for first, last in wanted:
            low, high = max(first, start), min(last, end)
            if line is not None and (low < high or first == last == low == high):
                shift = line.text.index(part) - start
                quads.append(character_quad(line, low + shift, high + shift))
        start = end + 1
    return tuple(quads)


def _runs(positions: Iterable[int]) -> list[tuple[int, int]]:
    """Return consecutive positions as (first, one after the last)."""
    runs: list[tuple[int, int]] = []
    for position in sorted(positions):
        if runs and runs[-1][1] == position:
            runs[-1] = (runs[-1][0], position + 1)
        else:
            runs.append((position, position + 1))
    return runs


def _parts(score: TextScore, lines: Sequence[Line]) -> Iterable[tuple[str, Line | None]]:
    """Yield the parts that were joined, each with its line; None where a part is not literally in a line.

    A line with two texts was cut; its parts are in normalised form, which need not occur in the raw line.
    """
    mine = [lines[index] for index in score.lines[:MOST_PARTS] if 0 <= index < len(lines)]
    mine = [line for line in mine if len(line.text) <= _LONGEST]
    at = 0
    for part in score.read.split("\n"):
        found = next((number for number in range(at, len(mine)) if part and part in mine[number].text), None)
        yield part, None if found is None else mine[found]
        at = at if found is None else found


def bounds(quads: Iterable[Sequence[Point]]) -> Box | None:
    """Return left, top, right, bottom of all corners; None for no corners."""
    points = [point for quad in quads for point in quad]
    if not points:
        return None
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return min(xs), min(ys), max(xs), max(ys)


def polygon(quad: Sequence[Point]) -> str:
    """Return the `points` attribute of an SVG polygon."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in quad)


def _width(char: str) -> float:
    if unicodedata.east_asian_width(char) in {"W", "F"}:
        return 1.0
    if char in _NARROW:
        return 0.32
    return 0.85 if char in _BROAD else 0.56
