"""Geometry of lines: where they stand, and the orders in which lines of one text may be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qiltest.reading import quad
from qiltest.reading.records import Line, Point

#: Share of the smaller line's height that must overlap for two lines to stand in one row, of its width for two lines of
#: a row to stand above one another.
OVERLAP = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A line's place: centre, extent and tilt, in pixels and radians."""

    left: float
    top: float
    right: float
    bottom: float
    #: size of the writing: a row's height, a column's width.
    size: float
    angle: float
    column: bool

    @property
    def upright(self) -> bool:
        """True for a column, and for a single character, which may be part of one."""
        return self.column or self.right - self.left <= quad.COLUMN_RATIO * self.size

    @property
    def centre(self) -> Point:
        """Centre of the upright bounding box."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def place_of(line: Line, characters: int) -> Place:
    """Measure a line's quadrilateral; the number of characters separates a column from a tall letter."""
    xs, ys = [x for x, _ in line.box], [y for _, y in line.box]
    across, down = quad.extent(line.box)
    column = characters > 1 and quad.is_column(line.box)
    (ax, ay), (bx, by) = line.box[0], line.box[1]
    return Place(
        left=min(xs),
        top=min(ys),
        right=max(xs),
        bottom=max(ys),
        size=max(1.0, across if column else down if characters > 1 else max(across, down)),
        angle=0.0 if column or characters < 2 else math.atan2(by - ay, bx - ax),
        column=column,
    )


def encloses(block: Sequence[Place], other: Place) -> bool:
    """Return whether `other` is inside the bounding box of `block`, in a similar size."""
    x, y = other.centre
    inside = min(p.left for p in block) <= x <= max(p.right for p in block)
    inside = inside and min(p.top for p in block) <= y <= max(p.bottom for p in block)
    sizes = sorted(p.size for p in block)
    return inside and sizes[0] / 1.6 <= other.size <= sizes[-1] * 1.6


def orders(places: Sequence[Place], blocks: Sequence[Sequence[int]] = ()) -> Iterator[tuple[int, ...]]:
    """Yield the orders in which lines may be read (indices), none twice.

    All in rows; upright ones in columns from either side; block by block, each in rows, where `blocks` are the indices
    of lines that stand together; and cut where the gap is widest, across or down, and each part so again (XY-cut).
    """
    seen: set[tuple[int, ...]] = set()
    for order in _ways(places, blocks):
        if order and order not in seen:
            seen.add(order)
            yield order


def _ways(places: Sequence[Place], blocks: Sequence[Sequence[int]]) -> Iterator[tuple[int, ...]]:
    upright = [i for i, place in enumerate(places) if place.upright]
    yield _rows(places)
    yield _columns(places, upright, -1.0)
    yield _columns(places, upright, 1.0)
    yield _blocks(places, blocks)
    yield tuple(_cut(places, range(len(places))))


def _rows(places: Sequence[Place]) -> tuple[int, ...]:
    """Top to bottom, left to right within a row, along the lines' common tilt."""
    tilt = _tilt(places)
    turned = [_turned(place.centre, tilt) for place in places]
    heights = [place.size if not place.column else place.bottom - place.top for place in places]
    waiting = sorted(range(len(places)), key=lambda i: (turned[i][1], turned[i][0], i))
    found: list[int] = []
    while waiting:
        first = waiting[0]
        row = [i for i in waiting if _overlap(turned[first][1], heights[first], turned[i][1], heights[i])]
        found.extend(_along(row, turned, [place.right - place.left for place in places]))
        waiting = [i for i in waiting if i not in row]
    return tuple(found)


def _along(row: Sequence[int], centres: Sequence[Point], widths: Sequence[float]) -> Iterator[int]:
    """Yield a row's lines from left to right; those above one another, beside one large word, from top to bottom."""
    waiting = sorted(row, key=lambda i: (centres[i][0] - widths[i] / 2, i))
    while waiting:
        first = waiting[0]
        stack = [i for i in waiting if _overlap(centres[first][0], widths[first], centres[i][0], widths[i])]
        yield from sorted(stack, key=lambda i: (centres[i][1], i))
        waiting = [i for i in waiting if i not in stack]


def _columns(places: Sequence[Place], upright: Sequence[int], sign: float) -> tuple[int, ...]:
    """Column by column, top to bottom within each; `sign` is 1 from the left, -1 from the right."""
    waiting = sorted(upright, key=lambda i: (sign * places[i].centre[0], i))
    found: list[int] = []
    while waiting:
        first = places[waiting[0]]
        column = [
            i for i in waiting if abs(places[i].centre[0] - first.centre[0]) <= max(places[i].size, first.size) / 2
        ]
        found.extend(sorted(column, key=lambda i: (places[i].centre[1], i)))
        waiting = [i for i in waiting if i not in column]
    return tuple(found)


def _blocks(places: Sequence[Place], blocks: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Block by block, the blocks in rows as if each were a line."""
    if len(blocks) < 2:
        return ()
    boxes = [_box([places[i] for i in block]) for block in blocks]
    inside = [[block[k] for k in _rows([places[i] for i in block])] for block in blocks]
    return tuple(i for number in _rows(boxes) for i in inside[number])


def _cut(places: Sequence[Place], lines: Sequence[int]) -> Iterator[int]:
    """Yield lines part by part, cut at the widest gap that no line bridges, one in height before one as wide."""
    across, left = _widest_gap([(places[i].left, places[i].right) for i in lines])
    down, above = _widest_gap([(places[i].top, places[i].bottom) for i in lines])
    if max(across, down) <= 0:
        yield from (lines[k] for k in _rows([places[i] for i in lines]))
        return
    first = above if down >= across else left
    yield from _cut(places, [lines[k] for k in sorted(first)])
    yield from _cut(places, [i for k, i in enumerate(lines) if k not in first])


def _widest_gap(spans: Sequence[tuple[float, float]]) -> tuple[float, frozenset[int]]:
    """Return the widest gap between stretches, and the indices of those before it; not above 0 where there is none."""
    order = sorted(range(len(spans)), key=lambda k: spans[k])
    widest, before, end = 0.0, frozenset[int](), spans[order[0]][1]
    for number, k in enumerate(order):
        if spans[k][0] - end > widest:
            widest, before = spans[k][0] - end, frozenset(order[:number])
        end = max(end, spans[k][1])
    return widest, before


def _box(places: Sequence[Place]) -> Place:
    """Bounding box of a block, as high as a line would be."""
    top, bottom = min(place.top for place in places), max(place.bottom for place in places)
    return Place(
        left=min(place.left for place in places),
        top=top,
        right=max(place.right for place in places),
        bottom=bottom,
        size=bottom - top,
        angle=0.0,
        column=False,
    )


def _tilt(places: Sequence[Place]) -> float:
    """Tilt of the widest line: short lines' boxes are too coarse to tell."""
    widest = max(places, key=lambda place: (place.right - place.left) * (not place.column))
    return widest.angle


def _turned(point: Point, angle: float) -> Point:
    x, y = point
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _overlap(middle1: float, length1: float, middle2: float, length2: float) -> bool:
    """Return whether two stretches overlap by `OVERLAP` of the shorter one."""
    common = min(middle1 + length1 / 2, middle2 + length2 / 2) - max(middle1 - length1 / 2, middle2 - length2 / 2)
    return common >= OVERLAP * min(length1, length2)
