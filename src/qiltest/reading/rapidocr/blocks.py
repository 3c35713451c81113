"""Turn grids of characters that the detector took for columns into rows.

Where characters are as far apart along the rows as down the columns, the detector finds columns, but people read rows.
So neighbouring columns are cut into rows, unless they are further apart than the characters within them. The expected
text plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qiltest.reading.rapidocr.crops import Quad, is_column

#: Columns further apart, in pitches of the characters within, stay columns.
APART = 1.05
#: largest distance of neighbours, in widths, and largest ratio of their widths.
NEAR, ALIKE = 2.0, 1.4
#: largest difference of the columns' tops in one grid, in pitches.
LEVEL = 0.3


@dataclass(frozen=True, kw_only=True)
class Column:
    """A vertical line: its extent in pixels and how many characters were read in it."""

    index: int
    left: float
    top: float
    right: float
    bottom: float
    characters: int

    @property
    def width(self) -> float:
        """Width in pixels: about the size of its characters."""
        return self.right - self.left

    @property
    def pitch(self) -> float:
        """Distance of two characters' centres."""
        return (self.bottom - self.top - self.width) / (self.characters - 1)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A grid: the indices of its columns among the lines, and the boxes of its rows, top to bottom."""

    columns: tuple[int, ...]
    rows: tuple[Quad, ...]


def blocks(quads: Sequence[Quad], characters: Sequence[int]) -> tuple[Block, ...]:
    """Find the grids among an image's lines; `characters` is the number of characters of each line."""
    columns = [
        _column(i, quad, count)
        for i, (quad, count) in enumerate(zip(quads, characters, strict=True))
        if count > 1 and is_column(quad)
    ]
    return tuple(_block(grid) for grid in _grids(sorted(columns, key=lambda c: (c.left, c.top))) if len(grid) > 1)


def _column(index: int, quad: Quad, characters: int) -> Column:
    xs, ys = quad[:, 0], quad[:, 1]
    return Column(
        index=index,
        left=float(xs.min()),
        top=float(ys.min()),
        right=float(xs.max()),
        bottom=float(ys.max()),
        characters=characters,
    )


def _grids(columns: Sequence[Column]) -> list[list[Column]]:
    """Group neighbours, left to right, that stand in one grid."""
    found: list[list[Column]] = []
    for column in columns:
        grid = next((grid for grid in found if _neighbours(grid[-1], column)), None)
        if grid is None:
            found.append([column])
        else:
            grid.append(column)
    return found


def _neighbours(first: Column, second: Column) -> bool:
    """Return whether the second column is right of the first, no further than the characters within."""
    narrow, wide = sorted((first.width, second.width))
    pitch = (first.pitch + second.pitch) / 2
    across = (second.left + second.right - first.left - first.right) / 2
    return (
        wide <= ALIKE * narrow
        and 0.5 * narrow <= across <= min(APART * pitch, NEAR * wide)
        and abs(first.top - second.top) <= LEVEL * pitch
        and abs(first.pitch - second.pitch) <= LEVEL * pitch
    )


def _block(grid: Sequence[Column]) -> Block:
    pitch = float(np.median([column.pitch for column in grid]))
    top, size = float(np.median([column.top for column in grid])), float(np.median([column.width for column in grid]))
    rows = []
    for row in range(max(column.characters for column in grid)):
        held = [column for column in grid if column.characters > row]
        middle = top + size / 2 + row * pitch
        upper, lower = middle - min(size, pitch) / 2, middle + min(size, pitch) / 2
        left, right = held[0].left, held[-1].right
        rows.append(np.array([[left, upper], [right, upper], [right, lower], [left, lower]], dtype=np.float32))
    return Block(columns=tuple(column.index for column in grid), rows=tuple(rows))
