"""Sharpening halos: overshoot beside strong edges, which makes an image look finer than it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.planes import Plane, parts

#: Half length of an edge's profile in pixels; its ends, beyond `NEAR`, are the plateaus on both sides.
REACH, NEAR = 8, 5
#: Grey levels that an edge must rise, and share of the rise that its plateaus may vary by.
RISE, LEVEL = 20.0, 0.15
FEWEST = 20
STEP = 4


def halo(plane: Plane) -> float | None:
    """Return the mean overshoot beside strong edges, as a share of the edge's rise; None without such edges.

    For edges between two level plateaus along rows and columns: how far the 5 pixels beside the edge go beyond the
    plateau on their side. Unsharp masking by an amount a overshoots by up to a/2; an edge from a camera or a VAE by a
    few per cent. Noise and edge-preserving denoising add a little.
    """
    found = np.concatenate([_overshoot(plane[::STEP]), _overshoot(plane.T[::STEP])])
    return float(found.mean()) if len(found) >= FEWEST else None


def _overshoot(lines: Plane) -> NDArray[np.float32]:
    """Return both overshoots of each edge along the rows given."""
    if lines.shape[1] < 4 * REACH:
        return np.empty(0, dtype=np.float32)
    slope = lines[:, 2:] - lines[:, :-2]
    size = np.abs(slope)
    here = size[:, REACH:-REACH]
    peak = (here >= RISE) & (here >= size[:, REACH - 1 : -REACH - 1]) & (here > size[:, REACH + 1 : -REACH + 1])
    rows, columns = np.nonzero(peak)
    return np.concatenate([_beyond(lines, slope, *part) for part in parts(rows, columns + REACH + 1)])


def _beyond(lines: Plane, slope: Plane, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return both overshoots of the edges at these places that lie between plateaus."""
    profiles = lines[rows[:, None], columns[:, None] + np.arange(-REACH, REACH + 1)]
    profiles = profiles * np.sign(slope[rows, columns - 1])[:, None]
    below, above = profiles[:, : REACH - NEAR], profiles[:, REACH + NEAR + 1 :]
    low, high = below.mean(axis=1), above.mean(axis=1)
    rise = high - low
    level = np.maximum(np.ptp(below, axis=1), np.ptp(above, axis=1)) < LEVEL * rise
    good = level & (rise > RISE)
    low, high, rise, profiles = low[good], high[good], rise[good], profiles[good]
    over = (profiles[:, REACH + 1 : REACH + NEAR + 1].max(axis=1) - high) / rise
    under = (low - profiles[:, REACH - NEAR : REACH].min(axis=1)) / rise
    return np.concatenate([over, under])
