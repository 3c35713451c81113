"""Grid artefacts with the period of latents or patches, as from a LoRA trained on bf16 over an fp8 base.

Qwen-Image's VAE decodes one latent to 8 x 8 pixels, and a patch of its transformer is 2 x 2 latents, 16 pixels wide.
Faulty weights give the same error in every patch, so it repeats with these periods all over the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiltest.quality.planes import Plane

LATENT, PATCH = 8, 16
#: Periods that no part of the model has, for comparison.
OTHERS = {LATENT: (7, 9, 11, 13), PATCH: (13, 15, 17, 19)}
#: Side of the square in the middle that is measured, in pixels; a grid covers the whole image.
WINDOW = 640
#: Grey levels of luma: a pixel is calm if the `PATCH` pixels around it, in both directions, vary by at most this.
#: Walls, sky and paper are calm; text, which a model may align to a lattice, is not.
CALM = 48.0
#: Least share of calm pixels in the window.
ENOUGH = 0.04

_Folded = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Strength of what repeats with a period, in grey levels of luma: root mean square over one period.

    0 where the image is too small or too busy to tell.
    """

    #: with 8 pixels; minus the chance level of other periods.
    latent: float
    #: with 16 pixels, without what also repeats with 8; minus the chance level of other periods.
    patch: float


def grid(plane: Plane) -> Grid:
    """Measure both periods in the calm parts of an image's middle.

    The stronger of two views counts: the residual after a moving mean (a pattern in every tile), and the size of second
    differences across and down (seams between tiles, of either sign; after the blockiness measure of Wang, Bovik and
    Evan, ICIP 2000). Each is averaged over all tiles at equal phase. The same average at periods that no part of the
    model has is the chance level, and is subtracted. A pattern of period 4 also has period 8, and one of 12 or 24 does
    in part.
    """
    # imported here because it takes long to load
    from scipy.ndimage import uniform_filter

    middle = _middle(plane)
    if min(middle.shape) < 4 * max(OTHERS[PATCH]):
        return Grid(latent=0.0, patch=0.0)
    calm = _calm(middle)
    if not calm.mean() >= ENOUGH:
        return Grid(latent=0.0, patch=0.0)
    weights = calm.astype(np.float32)
    views = (
        _View(
            values=(middle - uniform_filter(middle, PATCH + 1, mode="nearest")) * weights, weights=weights, axis=None
        ),
        _View(values=_seams(middle, 1) * weights, weights=weights, axis=0),
        _View(values=_seams(middle, 0) * weights, weights=weights, axis=1),
    )
    return Grid(latent=max(_excess(view, LATENT) for view in views), patch=max(_excess(view, PATCH) for view in views))


@dataclass(frozen=True, kw_only=True)
class _View:
    """Values to fold, 0 where not calm, with their weights; `axis` is averaged over, None for none."""

    values: Plane
    weights: Plane
    axis: int | None

    def fold(self, period: int) -> _Folded:
        """Return the mean over all tiles at equal phase: (period, period), or (period,) without an axis."""
        total, count = _folded(self.values, period), _folded(self.weights, period)
        if self.axis is not None:
            total, count = total.sum(axis=self.axis), count.sum(axis=self.axis)
        return total / np.maximum(count, 1.0)


def _excess(view: _View, period: int) -> float:
    """Return the strength at a period above the strongest of the other periods, subtracted in quadrature.

    The chance level of a fold over n tiles varies as 1 / sqrt(n), and n falls with the period: the others are scaled.
    """
    folded = view.fold(period)
    if period == PATCH:
        folded = _without_half(folded)
    power = folded.ndim / 2
    chance = max(float(view.fold(other).std()) * (period / other) ** power for other in OTHERS[period])
    return float(np.sqrt(max(0.0, float(folded.std()) ** 2 - chance**2)))


def _folded(plane: Plane, period: int) -> _Folded:
    """Return sums over all tiles of period x period pixels."""
    rows, columns = plane.shape[0] // period, plane.shape[1] // period
    lanes = plane[: rows * period, : columns * period].reshape(rows, period * columns * period)
    summed = lanes.sum(axis=0, dtype=np.float64).reshape(period, columns, period)
    total: _Folded = summed.sum(axis=1)
    return total


def _calm(plane: Plane) -> NDArray[np.bool_]:
    """Mark pixels whose surroundings vary by at most `CALM`, judged on means of 4 x 4 pixels and their neighbours."""
    low, high = _reduced(plane, np.minimum, 4), _reduced(plane, np.maximum, 4)
    for axis in (0, 1):
        low, high = _spread(low, np.minimum, axis), _spread(high, np.maximum, axis)
    calm = np.repeat(np.repeat(high - low <= CALM, 4, axis=0), 4, axis=1)
    whole = np.zeros(plane.shape, dtype=np.bool_)
    whole[: calm.shape[0], : calm.shape[1]] = calm
    return whole


def _reduced(plane: Plane, least: np.ufunc, side: int) -> Plane:
    """Return the extreme of each side x side pixels."""
    rows, columns = plane.shape[0] // side * side, plane.shape[1] // side * side
    down = plane[0:rows:side]
    for offset in range(1, side):
        down = least(down, plane[offset:rows:side])
    across = down[:, 0:columns:side]
    for offset in range(1, side):
        across = least(across, down[:, offset:columns:side])
    return np.asarray(across, dtype=np.float32)


def _spread(plane: Plane, least: np.ufunc, axis: int) -> Plane:
    """Return the extreme over each cell and the two on either side along an axis."""
    padded = np.pad(plane, [(2, 2) if k == axis else (0, 0) for k in (0, 1)], mode="edge")
    size, found = plane.shape[axis], plane
    for offset in range(5):
        found = least(found, padded[offset : offset + size] if axis == 0 else padded[:, offset : offset + size])
    return found


def _seams(plane: Plane, axis: int) -> Plane:
    """Return the size of the second difference along an axis; 0 at the two borders."""
    size = np.zeros_like(plane)
    if axis == 0:
        size[1:-1] = np.abs(plane[2:] + plane[:-2] - 2 * plane[1:-1])
    else:
        size[:, 1:-1] = np.abs(plane[:, 2:] + plane[:, :-2] - 2 * plane[:, 1:-1])
    return size


def _without_half(folded: _Folded) -> _Folded:
    """Remove the part that also repeats with half the period, along every axis."""
    half, mean = folded.shape[0] // 2, folded
    for axis in range(folded.ndim):
        first, second = np.split(mean, [half], axis=axis)
        mean = np.concatenate([(first + second) / 2] * 2, axis=axis)
    return folded - mean


def _middle(plane: Plane) -> Plane:
    top, left = (max(0, (length - WINDOW) // 2) for length in plane.shape)
    return plane[top : top + WINDOW, left : left + WINDOW]
