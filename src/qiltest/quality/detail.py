"""Fine detail of the scale of hair, outside text: what few-step models lose first.

The measure is the strength of diagonal structure of the two finest scales that *fills* a block, freed of noise and
divided by the image's contrast. A block is filled where the structure stands in 12 of its 16 cells of 8 x 8 pixels:
a stroke, an outline or JPEG's ripple beside one crosses a few of them and does not count; grass, fur, cloth and hair
stand in all. The second scale is there because the finest alone is also what enlarging and JPEG leave in the place of
what they take away. It compares images of one prompt, seed and size; between different scenes it says which scene
has fur.
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

#: Pixels of a block's side; the margin in pixels that a line of text is widened by.
BLOCK, MARGIN = 32, 8
#: Cells along a block's side, and the rank (from 0, by power) of the one that speaks for the block: 11 of 16 have more.
CELLS, SPEAKS = 4, 4
#: Its mean power where all cells hold normal values of variance 1: means of 16 squares (the finest scale) and of 4.
_FINE, _COARSE = 0.779, 0.543
#: A block counts where its power is so many times that of the noise: below, it may be noise alone (3 standard errors
#: of the coarse cell's power).
ABOVE_NOISE = 1.9
#: Variance that rounding three channels to 8 bits leaves in luma: (0.299^2 + 0.587^2 + 0.114^2) / 12.
ROUNDING = 0.0372
#: Fewest blocks outside text, and least contrast in grey levels, for a figure to mean anything.
FEWEST, FLAT = 16, 4.0


@dataclass(frozen=True, kw_only=True)
class DetailMap:
    """Fine structure block by block, kept until the reader says where text stands."""

    #: amplitude in grey levels, (rows of blocks, columns of blocks); 0 where it is not above the noise.
    amplitude: NDArray[np.float32]
    #: standard deviation of the image's luma, in grey levels.
    contrast: float


def detail_map(plane: Plane) -> DetailMap:
    """Measure an image's luma: per block the amplitude of structure in periods of 2 to 4 and of 4 to 8 pixels.

    The powers are added, the coarser one (of a plane of half the size, where white noise of variance v has v / 4) by a
    fourth: finer structure counts more. From each the noise of the flattest blocks is taken off.
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
    """Take off the noise of the flattest blocks, or rounding's; 0 where no more than noise is there."""
    floor = rounding
    if len(flat):
        rows, columns = np.minimum(flat[:, 0], power.shape[0] - 1), np.minimum(flat[:, 1], power.shape[1] - 1)
        floor = max(rounding, float(np.median(power[rows, columns])))
    freed: NDArray[np.float32] = np.maximum(power - np.float32(floor), 0) * (power > ABOVE_NOISE * floor)
    return freed


def free_of_text(shape: tuple[int, ...], lines: Sequence[Line]) -> NDArray[np.bool_]:
    """Return which blocks no line of a reading touches."""
    free: NDArray[np.bool_] = ~_touched(shape, lines)
    return free


def detail_outside(found: DetailMap, lines: Sequence[Line]) -> float | None:
    """Return the mean amplitude over blocks that no line of text touches, in per cent of the image's contrast.

    None where text leaves too few blocks, or the image has too little contrast to divide by.
    """
    free = free_of_text(found.amplitude.shape, lines)
    if free.sum() < FEWEST or not found.contrast >= FLAT:
        return None
    return 100.0 * float(found.amplitude[free].mean()) / found.contrast


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
