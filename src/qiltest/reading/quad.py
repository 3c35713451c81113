"""Geometry of a line's quadrilateral (clockwise from top left, pixels): extent, direction, parts."""

from __future__ import annotations

import math

from qiltest.reading.records import Point

Quad = tuple[Point, Point, Point, Point]
#: a box of several characters that is this many times higher than wide is a vertical column.
COLUMN_RATIO = 1.5


def extent(quad: Quad) -> tuple[float, float]:
    """Return the mean width and height of a quadrilateral, along its own sides."""
    a, b, c, d = quad
    return (math.dist(a, b) + math.dist(d, c)) / 2, (math.dist(a, d) + math.dist(b, c)) / 2


def is_column(quad: Quad) -> bool:
    """Return whether a quadrilateral of several characters is so high that they run downwards."""
    across, down = extent(quad)
    return down >= COLUMN_RATIO * across


def stretch(quad: Quad, start: float, end: float, *, column: bool) -> Quad:
    """Return the part of a line between two shares of its length, 0 to 1: of its height in a column, else its width."""
    a, b, c, d = quad
    if column:
        return _between(a, d, start), _between(b, c, start), _between(b, c, end), _between(a, d, end)
    return _between(a, b, start), _between(a, b, end), _between(d, c, end), _between(d, c, start)


def _between(first: Point, second: Point, share: float) -> Point:
    return first[0] + (second[0] - first[0]) * share, first[1] + (second[1] - first[1]) * share
