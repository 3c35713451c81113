"""Fine detail of the scale of hair, outside text: what few-step models lose first (report, table 3).

The measure is the strength of the finest diagonal structure that *fills* a block, freed of noise and divided by the
picture's contrast. Strokes, outlines and edges stand in less than half of a block and do not count; grass, fur, cloth
and hair do. It compares pictures of one prompt, seed and size; between different scenes it says which scene has fur.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.health.noise import flattest
from qiltest.health.planes import Plane, blocks, diagonal, filling_power
from qiltest.reading.records import Line

#: Pixels of a block's side; the margin in pixels that a line of text is widened by.
BLOCK, MARGIN = 32, 8
#: A block counts where its power is so many times that of the noise: below, it may be noise alone (3 standard errors
#: of the trimmed variance of 256 values).
ABOVE_NOISE = 1.6
#: Variance that rounding three channels to 8 bits leaves in luma: (0.299^2 + 0.587^2 + 0.114^2) / 12.
ROUNDING = 0.0372
#: Fewest blocks outside text, and least contrast in grey levels, for a figure to mean anything.
FEWEST, FLAT = 16, 4.0


@dataclass(frozen=True, kw_only=True)
class DetailMap:
    """Fine structure block by block, kept until the reader says where text stands."""

    #: amplitude in grey levels, (rows of blocks, columns of blocks); 0 where it is not above the noise.
    amplitude: NDArray[np.float32]
    #: standard deviation of the picture's luma, in grey levels.
    contrast: float


def detail_map(plane: Plane) -> DetailMap:
    """Measure a picture's luma: per block the standard deviation of the finest diagonal structure, less the noise."""
    power = filling_power(blocks(diagonal(plane), BLOCK // 2))
    floor = max(ROUNDING, _noise_power(power, plane))
    amplitude = np.sqrt(np.maximum(power - floor, 0.0)) * (power > ABOVE_NOISE * floor)
    return DetailMap(amplitude=amplitude, contrast=float(plane[::2, ::2].std()))


def detail_outside(found: DetailMap, lines: Sequence[Line]) -> float | None:
    """Return the mean amplitude over blocks that no line of text touches, in per cent of the picture's contrast.

    None where text leaves too few blocks, or the picture has too little contrast to divide by.
    """
    free = ~_touched(found.amplitude.shape, lines)
    if free.sum() < FEWEST or not found.contrast >= FLAT:
        return None
    return 100.0 * float(found.amplitude[free].mean()) / found.contrast


def _noise_power(power: NDArray[np.float32], plane: Plane) -> float:
    flat = flattest(plane)
    if not len(flat):
        return 0.0
    rows, columns = np.minimum(flat[:, 0], power.shape[0] - 1), np.minimum(flat[:, 1], power.shape[1] - 1)
    return float(np.median(power[rows, columns]))


def _touched(shape: tuple[int, ...], lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Mark the blocks that the upright bounding box of a line overlaps, widened by the margin."""
    touched = np.zeros(shape, dtype=np.bool_)
    for line in lines:
        xs, ys = [x for x, _ in line.box], [y for _, y in line.box]
        top, bottom = _range(min(ys), max(ys))
        left, right = _range(min(xs), max(xs))
        touched[top:bottom, left:right] = True
    return touched


def _range(low: float, high: float) -> tuple[int, int]:
    return max(0, math.floor((low - MARGIN) / BLOCK)), max(0, math.ceil((high + MARGIN) / BLOCK))
