"""Blur, measured at the sharpest edges: a soft background is fine, an image without any sharp edge is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.planes import Plane, parts

#: Standard deviation, in pixels, of the second blur.
AGAIN = 1.5
#: Least change of luma from pixel to pixel (grey levels) for an edge to count; rows and columns are taken in this step.
STEEP, STEP = 12.0, 4
#: Percentile of the edge widths that is the image's blur.
SHARPEST = 10.0
FEWEST = 30
#: Largest blur in pixels that the method can measure: above it, the second blur changes nothing.
MOST = 6.0


def blur(plane: Plane) -> float | None:
    """Return the standard deviation of the blur of the sharpest edges, in pixels; None where there is no edge.

    A step edge that was blurred by a Gaussian of width s has, after a second Gaussian of width s0, a gradient smaller
    by R = sqrt(1 + (s0 / s)^2) at its place, so s = s0 / sqrt(R^2 - 1) (Zhuo and Sim, Pattern Recognition 2011). Taken
    along every fourth row and column at the steepest places. Oblique edges seem wider, hence the lowest tenth.
    """
    found = np.concatenate([_along(plane[::STEP]), _along(plane.T[::STEP])])
    if len(found) < FEWEST:
        return None
    return float(np.percentile(found, SHARPEST))


def _along(lines: Plane) -> NDArray[np.float64]:
    """Return the width of each steep edge along the rows given."""
    if lines.shape[1] < 4 * _KERNEL.size:
        return np.empty(0)
    steps = np.diff(lines, axis=1)
    margin = _KERNEL.size // 2
    size = np.abs(steps)
    here = size[:, 1:-1]
    peak = (here >= STEEP) & (here > size[:, :-2]) & (here >= size[:, 2:])
    peak[:, :margin] = peak[:, -margin:] = False
    rows, columns = np.nonzero(peak)
    return np.concatenate([_widths(steps, *part) for part in parts(rows, columns + 1)])


def _widths(steps: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the width of each edge, given the steps from pixel to pixel and the places of the steepest."""
    margin = _KERNEL.size // 2
    around = steps[rows[:, None], columns[:, None] + np.arange(-margin, margin + 1)]
    again = np.abs(around @ _KERNEL)
    ratio = np.abs(steps[rows, columns]) / np.maximum(again, 1e-6)
    surplus = np.maximum(ratio.astype(np.float64) ** 2 - 1, (AGAIN / MOST) ** 2)
    return np.asarray(AGAIN / np.sqrt(surplus), dtype=np.float64)


def _gaussian(width: float, reach: int) -> Plane:
    places = np.arange(-reach, reach + 1)
    weights = np.exp(-(places**2) / (2 * width * width))
    return np.asarray(weights / weights.sum(), dtype=np.float32)


_KERNEL = _gaussian(AGAIN, 6)
