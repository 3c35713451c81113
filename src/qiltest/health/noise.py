"""Residual noise: what is left in a picture whose denoising did not end, as with a wrong scheduler.

Measured where the picture is flattest, so that fur, leaves and grain of a part of the picture do not count: noise of
the sampler is everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.health.planes import Plane, blocks, diagonal, filling_power, halved

#: Pixels of a block's side, and the share of all blocks that counts as the flattest.
BLOCK, FLATTEST = 32, 0.1
#: Fewest blocks that an estimate rests on.
FEWEST = 4
#: Luma outside of this is clipped here or there, and clipping hides noise.
_DARK, _BRIGHT = 4.0, 251.0


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Standard deviation of the noise in the flattest blocks, in grey levels of luma (0 to 255)."""

    #: in periods of 2 to 4 pixels, and of 4 to 8.
    fine: float
    coarse: float


def noise(plane: Plane) -> Noise:
    """Estimate the noise of a picture from its luma.

    The diagonal Haar band of each block of 32 x 32 pixels gives its noise (after Donoho and Johnstone 1994, by a
    trimmed variance); the median over the tenth of the blocks with the least variation at 4 pixels and coarser is the
    picture's. Blocks near black or white are left out where enough others remain.
    """
    half = halved(plane)
    flat = flattest(plane)
    return Noise(fine=_level(diagonal(plane), BLOCK // 2, flat), coarse=_level(diagonal(half), BLOCK // 4, flat))


def flattest(plane: Plane) -> NDArray[np.intp]:
    """Return (row, column) of the flattest blocks, an array of n x 2; empty for a picture of no whole block."""
    means = blocks(halved(halved(plane)), BLOCK // 4)
    least, most = means.min(axis=-1), means.max(axis=-1)
    spread = means.std(axis=-1)
    open_ = (least > _DARK) & (most < _BRIGHT)
    if open_.sum() >= FEWEST:
        spread = np.where(open_, spread, np.inf)
    count = max(FEWEST, int(FLATTEST * (open_.sum() or spread.size)))
    order = np.argsort(spread, axis=None, kind="stable")[:count]
    return np.stack(np.unravel_index(order, spread.shape), axis=-1)


def _level(band: Plane, side: int, flat: NDArray[np.intp]) -> float:
    cut = blocks(band, side)
    if not len(flat):
        return 0.0
    chosen = cut[np.minimum(flat[:, 0], cut.shape[0] - 1), np.minimum(flat[:, 1], cut.shape[1] - 1)]
    return float(np.sqrt(np.median(filling_power(chosen))))
