"""Measure what an edit changed outside the texts that it was to change (docs/reference/edits.md).

The input is laid over the output (`registration`), both are blurred a little in CIE Lab, a shift of all colours is
taken back, and blocks of 8 x 8 pixels of a small copy are compared, each with the best place within three pixels. A
block changed where its mean colour or its structure is another. Scattered blocks are what resampling, JPEG and a pass
through a VAE leave; a patch of them is something that was moved, removed or added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
_DECIMALS = 4

Lab = NDArray[np.float32]
Mask = NDArray[np.bool_]
Values = NDArray[np.float32]


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
        layout=_rounded(_layout(old, new, free)),
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
    weight = _means(free.astype(np.float32))
    compared = weight >= _LEAST
    least: Values | None = None
    for down in range(-NEAR, NEAR + 1):
        for right in range(-NEAR, NEAR + 1):
            found = _differences(np.roll(old, (down, right), (0, 1)), new, free, weight)
            least = found if least is None else np.minimum(least, found)
    assert least is not None
    changed: Mask = compared & ~(least <= 1.0)
    return compared, changed


def _differences(old: Lab, new: Lab, free: Mask, weight: Values) -> Values:
    """Return each block's difference: 1 where its colour or its structure is at its limit."""
    share = np.maximum(weight, np.float32(1e-3))

    def mean(values: Values) -> Values:
        found: Values = _means(values * free) / share
        return found

    apart = new - old
    colour = np.sqrt(sum(mean(apart[..., k]) ** 2 for k in range(3)))
    lightness = apart[..., 0]
    structure = np.sqrt(np.maximum(mean(lightness**2) - mean(lightness) ** 2, 0))
    there = [np.maximum(mean(side[..., 0] ** 2) - mean(side[..., 0]) ** 2, 0) for side in (old, new)]
    relative = structure / (np.sqrt((there[0] + there[1]) / 2) + _QUIET)
    worse: Values = np.maximum(colour / COLOUR, relative / STRUCTURE).astype(np.float32)
    return worse


def _means(plane: Values) -> Values:
    """Return means of whole blocks; a last row or column of blocks that is not whole is made up by repeating."""
    rows, columns = (-side % BLOCK for side in plane.shape)
    whole = np.pad(plane, ((0, rows), (0, columns)), mode="edge")
    shape = (whole.shape[0] // BLOCK, BLOCK, whole.shape[1] // BLOCK, BLOCK)
    means: Values = whole.reshape(shape).mean(axis=(1, 3))
    return means


def _largest(changed: Mask) -> int:
    """Return the number of blocks in the largest patch, whose blocks touch at sides or corners."""
    labels, number = ndimage.label(changed, structure=np.ones((3, 3)))
    return int(np.bincount(labels.ravel())[1:].max()) if number else 0


def _layout(old: Lab, new: Lab, free: Mask) -> float:
    """Return the correlation of the colours of the cells that are compared; 1 where there are too few or all alike."""
    cells = [cell for cell in _cells(free.shape) if free[cell].mean() > 1 - _LEAST]
    if len(cells) < _CELLS:
        return 1.0
    sides = [np.array([side[cell][free[cell]].mean(axis=0) for cell in cells]) for side in (old, new)]
    one, other = (side - side.mean(axis=0) for side in sides)
    spread = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / spread) if spread > len(cells) else 1.0


def _cells(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    tops, lefts = (np.linspace(0, side, _CELLS + 1).round().astype(int) for side in shape)
    for top, bottom in zip(tops, tops[1:], strict=False):
        yield from ((slice(top, bottom), slice(left, right)) for left, right in zip(lefts, lefts[1:], strict=False))


def _rows(compared: Mask, changed: Mask) -> Iterator[str]:
    for has, differs in zip(compared, changed, strict=True):
        yield "".join(FREE if not c else CHANGED if d else SAME for c, d in zip(has, differs, strict=True))


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS)


