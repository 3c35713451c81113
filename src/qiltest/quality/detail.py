"""Fine detail of the scale of hair, outside text: few-step models lose it first.

The measure is the strength of diagonal structure at the two finest scales that *fills* a block, minus noise, divided by
the image's contrast. A block is filled if 12 of its 16 cells of 8 x 8 pixels have the structure: grass, fur, cloth and
hair do; a stroke, an outline or JPEG ringing crosses only a few cells. The second scale is needed because enlarging and
JPEG leave artefacts at the finest one. Only images of one prompt, seed and size are comparable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.noise import flattest
from qiltest.quality.planes import Plane, diagonal, halved
from qiltest.reading.records import Line

#: Side of a block, and the margin around a line of text, in pixels.
BLOCK, MARGIN = 32, 8
#: Cells along a block's side, and the rank (from 0) of the cell whose power is the block's: 11 of 16 have more.
CELLS, SPEAKS = 4, 4
#: That cell's mean power for normal values of variance 1: means of 16 squares (the finest scale) and of 4.
_FINE, _COARSE = 0.779, 0.543
#: Least ratio of a block's power to the noise's: below, it may be noise alone (3 standard errors of the coarse cell).
ABOVE_NOISE = 1.9
#: Variance that rounding three channels to 8 bits leaves in luma: (0.299^2 + 0.587^2 + 0.114^2) / 12.
ROUNDING = 0.0372
#: Fewest blocks outside text, and least contrast in grey levels, for the measure to be meaningful.
FEWEST, FLAT = 16, 4.0


@dataclass(frozen=True, kw_only=True)
class DetailMap:
    """Fine structure per block, kept until the reader has found the text."""

    #: amplitude in grey levels, (rows of blocks, columns of blocks); 0 where it is not above the noise.
    amplitude: NDArray[np.float32]
    #: standard deviation of the image's luma, in grey levels.
    contrast: float


def detail_map(plane: Plane) -> DetailMap:
    """Measure an image's luma: per block the amplitude of structure in periods of 2 to 4 and of 4 to 8 pixels.

    The noise of the flattest blocks is subtracted from each power. The coarser power (of a plane of half the size,
    where white noise of variance v has v / 4) is added with weight 1/4, so that finer structure counts more.
    """
    flat = flattest(plane)
    fine = _freed(_filled(diagonal(plane), BLOCK // 2) / np.float32(_FINE), flat, ROUNDING)
    coarse = _freed(_filled(diagonal(halved(plane)), BLOCK // 4) / np.float32(_COARSE), flat, ROUNDING / 4)
    return DetailMap(amplitude=np.sqrt(fine + coarse / 4), contrast=float(plane[::2, ::2].std()))


def _filled(band: Plane, side: int) -> NDArray[np.float32]:
    """Return the power that 12 of the 16 cells of each block of side x side values reach."""
    rows, columns, cell = band.shape[0] // side, band.shape[1] // side, side // CELLS
    whole = band[: rows * side, : columns * side]
    powers = (whole * whole).reshape(rows, CELLS, cell, columns, CELLS, cell).mean(axis=(2, 5))
    cells = powers.swapaxes(1, 2).reshape(rows, columns, CELLS * CELLS)
    found: NDArray[np.float32] = np.partition(cells, SPEAKS, axis=-1)[..., SPEAKS]
    return found


def _freed(power: NDArray[np.float32], flat: NDArray[np.intp], rounding: float) -> NDArray[np.float32]:
    """Subtract the noise of the flattest blocks, or of rounding; 0 where there is only noise."""
    floor = rounding
    if len(flat):
        rows, columns = np.minimum(flat[:, 0], power.shape[0] - 1), np.minimum(flat[:, 1], power.shape[1] - 1)
        floor = max(rounding, float(np.median(power[rows, columns])))
    freed: NDArray[np.float32] = np.maximum(power - np.float32(floor), 0) * (power > ABOVE_NOISE * floor)
    return freed


def free_of_text(shape: tuple[int, ...], lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Return the blocks that no line of a reading touches, each line's bounding box widened by the margin."""
    free = np.ones(shape, dtype=np.bool_)
    for line in lines:
        xs, ys = zip(*line.box, strict=True)
        top, bottom = _range(min(ys), max(ys))
        left, right = _range(min(xs), max(xs))
        free[top:bottom, left:right] = False
    return free


def detail_outside(found: DetailMap, lines: Sequence[Line]) -> float | None:
    """Return the mean amplitude over blocks that no line of text touches, in per cent of the image's contrast.

    None where text leaves too few blocks, or the image has too little contrast.
    """
    free = free_of_text(found.amplitude.shape, lines)
    if free.sum() < FEWEST or not found.contrast >= FLAT:
        return None
    return 100.0 * float(found.amplitude[free].mean()) / found.contrast


def _range(low: float, high: float) -> tuple[int, int]:
    return max(0, math.floor((low - MARGIN) / BLOCK)), max(0, math.ceil((high + MARGIN) / BLOCK))
