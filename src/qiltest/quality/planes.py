"""Luma of an image, its Haar bands, and blocks of both: the input of the measures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Blocks = NDArray[np.float32]

#: Most edges whose surroundings are gathered at once: noise of 80 million pixels would take gigabytes.
MOST_EDGES = 1 << 20
#: ITU-R BT.601 luma, the weights that JPEG and most image measures use.
_RED, _GREEN, _BLUE = np.float32(0.299), np.float32(0.587), np.float32(0.114)
#: Mean square of the smaller half (by magnitude) of normal values of variance 1: 1 - 4 q φ(q) with q = 0.6745.
_LOWER_HALF = 0.14262


def luma(pixels: Pixels) -> Plane:
    """Return the luma of RGB pixels (height x width x 3), 0 to 255, not rounded."""
    plane: Plane = pixels[..., 0] * _RED
    plane += pixels[..., 1] * _GREEN
    plane += pixels[..., 2] * _BLUE
    return plane


def halved(plane: Plane) -> Plane:
    """Return means of 2 x 2 pixels; an odd last row or column is ignored."""
    even = _even(plane)
    pairs = even[::2] + even[1::2]
    means: Plane = (pairs[:, ::2] + pairs[:, 1::2]) * np.float32(0.25)
    return means


def diagonal(plane: Plane) -> Plane:
    """Return the diagonal band of one Haar step (Mallat 1989), half the size: checkers of 1 pixel, periods of 2 to 4.

    Orthonormal: white noise has the standard deviation here that it has in the plane. Straight edges leave little.
    """
    even = _even(plane)
    pairs = even[::2] - even[1::2]
    band: Plane = (pairs[:, ::2] - pairs[:, 1::2]) * np.float32(0.5)
    return band


def blocks(plane: Plane, side: int) -> Blocks:
    """Return whole blocks of side x side: an array of (rows of blocks, columns of blocks, side * side)."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    whole = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.ascontiguousarray(whole.swapaxes(1, 2)).reshape(rows, columns, side * side)


def filling_power(band: Blocks) -> NDArray[np.float32]:
    """Return the variance of what fills each block; structure in less than half of it, such as an edge, is ignored.

    The mean square of the smaller half of the values, scaled to be the variance where they are normal: a trimmed
    variance, less granular on 8-bit images than the median absolute deviation (Donoho and Johnstone 1994).
    """
    half = band.shape[-1] // 2
    squares = np.partition(band * band, half, axis=-1)[..., :half]
    power: NDArray[np.float32] = squares.mean(axis=-1) / np.float32(_LOWER_HALF)
    return power


def parts(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield the places of edges, at most `MOST_EDGES` at a time, and none at least once."""
    for first in range(0, max(1, len(rows)), MOST_EDGES):
        yield rows[first : first + MOST_EDGES], columns[first : first + MOST_EDGES]


def _even(plane: Plane) -> Plane:
    return plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
