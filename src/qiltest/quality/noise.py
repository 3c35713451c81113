"""Residual noise, left where denoising is incomplete, as with a wrong scheduler.

It is measured where the image is flattest, so that fur, leaves and film grain do not count: residual noise is
everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.planes import Plane, blocks, diagonal, filling_power, halved

#: Pixels of a block's side, and the share of all blocks that counts as the flattest.
BLOCK, FLATTEST = 32, 0.1
#: Fewest blocks for an estimate.
FEWEST = 4
#: Least share of blocks without text, black and white for specks: of fewer, the flattest are not flat.
ENOUGH = 0.1
#: Luma outside this range may be clipped, and clipping hides noise.
_DARK, _BRIGHT = 4.0, 251.0


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Standard deviation of the noise in the flattest blocks, in grey levels of luma (0 to 255)."""

    #: in periods of 2 to 4 pixels, and of 4 to 8.
    fine: float
    coarse: float


def noise(plane: Plane) -> Noise:
    """Estimate the noise of an image from its luma.

    The diagonal Haar band of each block of 32 x 32 pixels gives its noise (after Donoho and Johnstone 1994, by a
    trimmed variance); the median over the tenth of the blocks with the least variation at 4 pixels and coarser is the
    image's. Blocks near black or white are left out where enough others remain.
    """
    half = halved(plane)
    flat = flattest(plane)
    return Noise(fine=_level(diagonal(plane), BLOCK // 2, flat), coarse=_level(diagonal(half), BLOCK // 4, flat))


def flattest(plane: Plane) -> NDArray[np.intp]:
    """Return (row, column) of the flattest blocks, an array of n x 2; empty for an image smaller than a block."""
    return _first(_unevenness(plane))


def _unevenness(plane: Plane) -> NDArray[np.float32]:
    """Return the variation of each block at 4 pixels and coarser; infinite near black or white if enough remain."""
    means = blocks(halved(halved(plane)), BLOCK // 4)
    least, most = means.min(axis=-1), means.max(axis=-1)
    spread: NDArray[np.float32] = means.std(axis=-1)
    open_ = (least > _DARK) & (most < _BRIGHT)
    return np.where(open_, spread, np.float32(math.inf)) if open_.sum() >= FEWEST else spread


def _first(uneven: NDArray[np.float32]) -> NDArray[np.intp]:
    finite = int(np.isfinite(uneven).sum())
    count = max(FEWEST, int(FLATTEST * (finite or uneven.size)))
    order = np.argsort(uneven, axis=None, kind="stable")[:count]
    return np.stack(np.unravel_index(order, uneven.shape), axis=-1)


@dataclass(frozen=True, kw_only=True)
class SpeckMap:
    """What `specks_outside` needs, per block of 32 x 32 pixels."""

    #: mean square of the diagonal band of periods of 4 to 8 pixels, all of it.
    power: NDArray[np.float32]
    #: variation at 4 pixels and coarser.
    uneven: NDArray[np.float32]


def speck_map(plane: Plane) -> SpeckMap:
    """Measure specks: a VAE decodes noise left in the latents to isolated fragments of strokes, hardly to grain.

    They cover less than half of a block, so `noise` ignores them; here every value counts.
    """
    band = blocks(diagonal(halved(plane)), BLOCK // 4)
    return SpeckMap(power=np.square(band).mean(axis=-1), uneven=_unevenness(plane))


def specks_outside(found: SpeckMap, free: NDArray[np.bool_]) -> float | None:
    """Return the root mean square of the band in the flattest blocks without text; None for too few of them."""
    uneven = np.where(free, found.uneven, np.float32(math.inf))
    if np.isfinite(uneven).sum() < max(FEWEST, ENOUGH * uneven.size):
        return None
    chosen = _first(uneven)
    return float(np.sqrt(np.median(found.power[chosen[:, 0], chosen[:, 1]])))


def _level(band: Plane, side: int, flat: NDArray[np.intp]) -> float:
    cut = blocks(band, side)
    if not len(flat):
        return 0.0
    chosen = cut[np.minimum(flat[:, 0], cut.shape[0] - 1), np.minimum(flat[:, 1], cut.shape[1] - 1)]
    return float(np.sqrt(np.median(filling_power(chosen))))
