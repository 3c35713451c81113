"""Measure a scene: structure by scale, and the colour and texture of 8 x 8 cells, outside text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.scene.records import GRID, NO_CELL, SCALES, VERSION, Cell, Scene
from qiltest.quality.scene.small import Free, Lab, SmallCopy
from qiltest.reading.records import Line

#: Grey levels of lightness beyond which a second difference counts no more, so that a few strokes that the reader did
#: not find do not make a plain page look full.
MOST = 24.0
#: Grey levels in one unit of CIE L.
LEVELS = 2.55
#: Fewest second differences for a scale's structure.
FEWEST = 64
#: Least share of a cell outside text for its colour, and fewest second differences for its texture.
CELL_FREE, CELL_FEWEST = 0.2, 4
#: Decimals that are stored.
_DECIMALS = 3

Plane = NDArray[np.float32]


def scene_of(copy: SmallCopy, lines: Sequence[Line]) -> Scene:
    """Measure an image's small copy, given the lines of a reading of the same image. Every number is finite."""
    free = copy.outside(lines)
    return Scene(
        version=VERSION,
        text=round(1.0 - float(free.mean()), _DECIMALS),
        structure=tuple(_structure(copy.lab[..., 0] * np.float32(LEVELS), free)),
        cells=tuple(_rows(copy.lab, free)),
    )


def _structure(plane: Plane, free: Free) -> Iterator[float | None]:
    """Yield the mean second difference at each scale; from one to the next, 2 x 2 pixels become their mean.

    Means are of what is outside text, so that no text bleeds into a coarser scale. A shading, however steep, has no
    second difference; neither has a blur much wider than the scale.
    """
    weights = free.astype(np.float32)
    for _ in range(SCALES):
        found = second_differences(plane, weights > 0.5)
        yield round(float(found.mean()), _DECIMALS) if len(found) >= FEWEST else None
        plane, weights = _halved(plane, weights)


def second_differences(plane: Plane, free: Free) -> Plane:
    """Return the sizes of all second differences across and down, halved, at most `MOST`, that lie outside text."""
    found = []
    for values, outside in ((plane, free), (plane.T, free.T)):
        bends = np.abs(values[2:] + values[:-2] - 2 * values[1:-1]) / 2
        found.append(bends[outside[2:] & outside[1:-1] & outside[:-2]])
    capped: Plane = np.minimum(np.concatenate(found), np.float32(MOST))
    return capped


def _halved(plane: Plane, weights: Plane) -> tuple[Plane, Plane]:
    """Return means of 2 x 2 pixels by their weights, and the mean weights; an odd last row or column is ignored."""
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    shape = (rows, 2, columns, 2)
    whole, parts = plane[: 2 * rows, : 2 * columns], weights[: 2 * rows, : 2 * columns]
    total = (whole * parts).reshape(shape).sum(axis=(1, 3))
    weight = parts.reshape(shape).sum(axis=(1, 3))
    return total / np.maximum(weight, np.float32(1e-6)), weight / 4


def _rows(lab: Lab, free: Free) -> Iterator[str]:
    tops, lefts = (np.linspace(0, length, GRID + 1).round().astype(int) for length in free.shape)
    for top, bottom in pairwise(tops):
        places = ((slice(top, bottom), slice(left, right)) for left, right in pairwise(lefts))
        yield " ".join(_cell(lab[place], free[place]) for place in places)


def _cell(lab: Lab, free: Free) -> str:
    """Return the code of a cell, `NO_CELL` where text or the image's size leaves too little of it."""
    if free.size == 0 or not free.mean() > CELL_FREE:
        return NO_CELL
    bends = second_differences(lab[..., 0] * np.float32(LEVELS), free)
    if len(bends) < CELL_FEWEST:
        return NO_CELL
    lightness, a, b = (float(value) for value in lab[free].mean(axis=0))
    return Cell(lightness=lightness, a=a, b=b, texture=float(bends.mean())).code()
