"""Geometry of lines: size, gap, and the orders in which lines of one text may be read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qiltest.reading import quad
from qiltest.reading.records import Line, Point

#: Two lines of one text differ in size at most this much, and are at most this many line heights apart. On the real
#: images nothing changes for 3 to 8 and for 1.2 to 5; at 2.5 a text there is lost (benchmarks/readers/thresholds.py).
SIZE_RATIO, GAP = 4.0, 2.5
#: Share of the smaller line's height that must overlap for two lines to stand in one row.
ROW_OVERLAP = 0.5


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


def gap(first: Place, second: Place) -> float:
    """Distance between two lines' bounding boxes in units of the larger writing; 0 where they touch."""
    dx = max(0.0, first.left - second.right, second.left - first.right)
    dy = max(0.0, first.top - second.bottom, second.top - first.bottom)
    return math.hypot(dx, dy) / max(first.size, second.size)


def may_join(first: Place, second: Place) -> bool:
    """Return whether two lines may belong to one text: of similar size and near each other."""
    small, large = sorted((first.size, second.size))
    return large <= SIZE_RATIO * small and gap(first, second) <= GAP


def encloses(block: Sequence[Place], other: Place) -> bool:
    """Return whether `other` is inside the bounding box of `block`, in a similar size."""
    x, y = other.centre
    inside = min(p.left for p in block) <= x <= max(p.right for p in block)
    inside = inside and min(p.top for p in block) <= y <= max(p.bottom for p in block)
    sizes = sorted(p.size for p in block)
    return inside and sizes[0] / 1.6 <= other.size <= sizes[-1] * 1.6


def orders(places: Sequence[Place]) -> Iterator[tuple[int, ...]]:
    """Yield the orders in which lines may be read (indices): all in rows, upright ones in columns from either side."""
    seen: set[tuple[int, ...]] = set()
    upright = [i for i, place in enumerate(places) if place.upright]
    for order in (_rows(places), _columns(places, upright, -1.0), _columns(places, upright, 1.0)):
        if order and order not in seen:
            seen.add(order)
            yield order


def _rows(places: Sequence[Place]) -> tuple[int, ...]:
    """Top to bottom, left to right within a row, along the lines' common tilt."""
    tilt = _tilt(places)
    turned = [_turned(place.centre, tilt) for place in places]
    heights = [place.size if not place.column else place.bottom - place.top for place in places]
    waiting = sorted(range(len(places)), key=lambda i: (turned[i][1], turned[i][0], i))
    found: list[int] = []
    while waiting:
        first = waiting[0]
        row = [i for i in waiting if _same_row(turned[first][1], heights[first], turned[i][1], heights[i])]
        found.extend(sorted(row, key=lambda i: (turned[i][0], i)))
        waiting = [i for i in waiting if i not in row]
    return tuple(found)


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


def _tilt(places: Sequence[Place]) -> float:
    """Tilt of the widest line: short lines' boxes are too coarse to tell."""
    widest = max(places, key=lambda place: (place.right - place.left) * (not place.column))
    return widest.angle


def _turned(point: Point, angle: float) -> Point:
    x, y = point
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)


def _same_row(y1: float, h1: float, y2: float, h2: float) -> bool:
    overlap = min(y1 + h1 / 2, y2 + h2 / 2) - max(y1 - h1 / 2, y2 - h2 / 2)
    return overlap >= ROW_OVERLAP * min(h1, h2)
