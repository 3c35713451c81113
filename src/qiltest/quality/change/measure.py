"""Measure what an edit changed outside the texts that it was to change (docs/reference/edits.md).

The input is laid over the output (`registration`), both are blurred a little in CIE Lab, a shift of all colours is
taken back, and blocks of 8 x 8 pixels of a small copy are compared, each with the best place within three pixels. A
block changed where its mean colour or its structure is another. Scattered blocks are what resampling, JPEG and a pass
through a VAE leave; a patch of them is something that was moved, removed or added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from qiltest.quality.change.records import CHANGED, FREE, SAME, VERSION, Box, Change
from qiltest.quality.change.registration import laid_over, mask_of, registered, small_size
from qiltest.quality.planes import Pixels
from qiltest.quality.scene.small import to_lab

#: Longer side of the small copy, and the side of a block, in pixels of it.
LONG, BLOCK = 256, 8
#: Blur of the small copies, in its pixels: what is finer is detail that every edit draws anew.
_BLUR = 1.0
#: Margin around what may change, as a share of the longer side: an edit also changes what is beside a text.
MARGIN = 0.02
#: Difference of a block's mean colour from which on it changed, CIE Lab units.
COLOUR = 8.0
#: Structure that differs, over the structure there is (and `_QUIET`), from which on a block changed.
STRUCTURE = 0.7
#: Units of CIE L added to the structure there is: in a flat block a small difference is no change.
_QUIET = 4.0
#: Largest shift of all colours that is taken back, CIE Lab units per channel, and largest factor of contrast.
_MOST_COLOUR, _MOST_CONTRAST = 8.0, 1.15
#: Pixels of the small copy within which a block's place is looked for: edits move parts by up to one per cent.
NEAR = 3
#: Share of a block that must be compared for the block to count.
_LEAST = 0.6
#: Cells along each side of the grid of the layout.
_CELLS = 8
#: CIE Lab units (root mean square over the cells) below which an image is of one colour.
_FLAT = 1.0
_DECIMALS = 4

Lab = NDArray[np.float32]
Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def measure_change(before: Pixels, after: Pixels, may_change: Sequence[Box]) -> Change:
    """Measure an edit's output against its input; both are RGB pixels (height x width x 3, 8 bits) of any size.

    `may_change` are the parts of the output that may change, without a margin. Every number is finite.
    """
    size = small_size(after, LONG)
    fixed = mask_of(_parts(may_change, size), size)
    fit = registered(before, after, fixed)
    moved, shown = laid_over(before, fit, size)
    free = (np.asarray(fixed) > 127) & shown
    old = _blurred(moved)
    new = _blurred(np.asarray(Image.fromarray(after).resize(size, Image.Resampling.BOX)))
    old, colour = _recoloured(old, new, free)
    compared, changed = _compared(old, new, free)
    return Change(
        version=VERSION,
        share=_rounded(changed.sum() / max(1, compared.sum())),
        patch=_rounded(_largest(changed) / changed.size),
        compared=_rounded(compared.mean()),
        right=_rounded(fit.right),
        down=_rounded(fit.down),
        scale=_rounded(fit.scale),
        colour=_rounded(colour),
        layout=None if (layout := _layout(old, new, free)) is None else _rounded(layout),
        may_change=tuple(may_change),
        blocks=tuple(_rows(compared, changed)),
    )


def _parts(may_change: Sequence[Box], size: tuple[int, int]) -> Iterator[tuple[float, float, float, float]]:
    width, height = size
    margin = MARGIN * max(size)
    for box in may_change:
        yield (
            box.left * width - margin,
            box.top * height - margin,
            box.right * width + margin - 1,
            box.bottom * height + margin - 1,
        )


def _blurred(pixels: Pixels) -> Lab:
    blurred: Lab = ndimage.gaussian_filter(to_lab(pixels), (_BLUR, _BLUR, 0))
    return blurred


def _recoloured(old: Lab, new: Lab, free: Mask) -> tuple[Lab, float]:
    """Return the input with the output's colours as a whole, and how far they moved."""
    if not free.any():
        return old, 0.0
    low, middle, high = np.percentile(old[free], (25, 50, 75), axis=0)
    now_low, now, now_high = np.percentile(new[free], (25, 50, 75), axis=0)
    contrast = np.clip((now_high - now_low + 2) / (high - low + 2), 1 / _MOST_CONTRAST, _MOST_CONTRAST)
    shift = np.clip(now - middle, -_MOST_COLOUR, _MOST_COLOUR)
    moved: Lab = ((old - middle) * contrast + middle + shift).astype(np.float32)
    # what fewer than half of the pixels would agree with is a change of a part, not of all colours
    closer = np.linalg.norm(new - moved, axis=-1)[free] < np.linalg.norm(new - old, axis=-1)[free]
    if not closer.mean() > 0.5:
        return old, 0.0
    return moved, float(np.linalg.norm(shift))


def _compared(old: Lab, new: Lab, free: Mask) -> tuple[Mask, Mask]:
    """Return which blocks are compared, and which of them changed."""
    weight = _means(free.astype(np.float64)[..., None])[..., 0]
    compared: Mask = weight >= _LEAST
    now = _Moments.of(new, free, weight)
    least = np.full(weight.shape, np.inf)
    for down in range(-NEAR, NEAR + 1):
        for right in range(-NEAR, NEAR + 1):
            moved = np.roll(old, (down, right), (0, 1))
            before = _Moments.of(moved, free, weight)
            both = _within(moved[..., :1] * new[..., :1], free, weight)[..., 0]
            np.minimum(least, _difference(before, now, both), out=least)
    return compared, compared & ~(least <= 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Moments:
    """Of each block, where it is compared: the mean colour, and the mean square of the lightness."""

    colour: Values
    square: Values

    @classmethod
    def of(cls, lab: Lab, free: Mask, weight: Values) -> _Moments:
        found = _within(np.concatenate([lab, lab[..., :1] ** 2], axis=-1), free, weight)
        return cls(colour=found[..., :3], square=found[..., 3])

    @property
    def spread(self) -> Values:
        """Variance of the lightness."""
        found: Values = np.maximum(self.square - self.colour[..., 0] ** 2, 0)
        return found


def _difference(before: _Moments, now: _Moments, both: Values) -> Values:
    """Return each block's difference: 1 where its colour or its structure is at its limit.

    `both` is the mean product of the two lightnesses.
    """
    apart = now.colour - before.colour
    colour = np.sqrt((apart**2).sum(axis=-1))
    structure = np.sqrt(np.maximum(now.square - 2 * both + before.square - apart[..., 0] ** 2, 0))
    relative = structure / (np.sqrt((before.spread + now.spread) / 2) + _QUIET)
    worse: Values = np.maximum(colour / COLOUR, relative / STRUCTURE)
    return worse


def _within(planes: Lab, free: Mask, weight: Values) -> Values:
    """Return the means of planes over the compared part of each block."""
    found: Values = _means(planes * free[..., None]) / np.maximum(weight, 1e-3)[..., None]
    return found


def _means(planes: Values | Lab) -> Values:
    """Return means of whole blocks; a last row or column of blocks that is not whole is made up by repeating."""
    rows, columns = (-side % BLOCK for side in planes.shape[:2])
    whole = np.pad(planes, ((0, rows), (0, columns), (0, 0)), mode="edge")
    down = np.add.reduceat(whole, range(0, whole.shape[0], BLOCK), axis=0, dtype=np.float64)
    means: Values = np.add.reduceat(down, range(0, whole.shape[1], BLOCK), axis=1) / BLOCK**2
    return means


def _largest(changed: Mask) -> int:
    """Return the number of blocks in the largest patch, whose blocks touch at sides or corners."""
    labels, number = ndimage.label(changed, structure=np.ones((3, 3)))
    return int(np.bincount(labels.ravel())[1:].max()) if number else 0


def _layout(old: Lab, new: Lab, free: Mask) -> float | None:
    """Return the correlation of the colours of the cells that are compared; None where it is not defined.

    That is where there are too few of them, or an image is (almost) of one colour, which lies nowhere.
    """
    cells = [cell for cell in _cells(free.shape) if free[cell].mean() > 1 - _LEAST]
    if len(cells) < _CELLS:
        return None
    sides = [np.array([side[cell][free[cell]].mean(axis=0) for cell in cells]) for side in (old, new)]
    one, other = (side - side.mean(axis=0) for side in sides)
    spreads = [float(np.sqrt((side**2).sum() / len(cells))) for side in (one, other)]
    if not min(spreads) >= _FLAT:
        return None
    return float((one * other).sum()) / (len(cells) * spreads[0] * spreads[1])


def _cells(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    tops, lefts = (np.linspace(0, side, _CELLS + 1).round().astype(int) for side in shape)
    for top, bottom in pairwise(tops):
        yield from ((slice(top, bottom), slice(left, right)) for left, right in pairwise(lefts))


def _rows(compared: Mask, changed: Mask) -> Iterator[str]:
    for has, differs in zip(compared, changed, strict=True):
        yield "".join(FREE if not c else CHANGED if d else SAME for c, d in zip(has, differs, strict=True))


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS)
