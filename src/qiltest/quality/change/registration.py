"""Lay an edit's input over its output: edit pipelines scale by area, crop to a multiple, and shift a little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qiltest.quality.planes import Pixels

#: Largest shift and enlargement that are looked for, as shares of the sides: edits zoom and shift by a few per cent.
MOST_SHIFT, MOST_SCALE = 0.04, 0.06
#: Longer sides on which shifts are looked for, from coarse to fine, and the steps of the scale there.
_LEVELS, _STEPS = (64, 128, 256), (0.02, 0.01, 0.005)
#: Grey levels beyond which a difference counts no more, so that what changed does not decide where the image lies.
_MOST_DIFFERENCE = 24.0
#: What a fit must be better than none to be taken, as a share: on flat images anything fits.
_BETTER = 0.995

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How the input lies in the output: shifts in shares of the sides, and the factor of its size."""

    right: float = 0.0
    down: float = 0.0
    scale: float = 1.0


def registered(before: Pixels, after: Pixels, fixed: Image.Image) -> Fit:
    """Return how `before` lies in `after`, given the part that may not change as a mask (mode L, any size).

    By the least mean difference of luma in that part, each difference bounded; coarse to fine. Ties go to no shift.
    """
    fit, none = Fit(), Fit()
    before = _reduced(before)
    for level, step in zip(_LEVELS, _STEPS, strict=True):
        size = small_size(after, level)
        target, free = _luma(after, size), np.asarray(fixed.resize(size, Image.Resampling.BOX)) > 127
        if not free.any():
            return none
        tried = _coarse(before, target, free, step) if level == _LEVELS[0] else _fine(before, target, free, step, fit)
        cost, found = min(tried, key=itemgetter(0))
        if cost < _BETTER * _cost(laid_over(before, none, size), target, free):
            fit = found
    return fit


def small_size(pixels: Pixels, long: int) -> tuple[int, int]:
    """Return the size (width, height) of a small copy whose longer side has `long` pixels."""
    height, width = pixels.shape[:2]
    scale = long / max(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def laid_over(before: Pixels, fit: Fit, size: tuple[int, int]) -> tuple[Pixels, Mask]:
    """Return the input as it lies in an output of `size`, and which pixels it shows."""
    height, width = before.shape[:2]
    left, top = (0.5 - (0.5 + fit.right) / fit.scale) * width, (0.5 - (0.5 + fit.down) / fit.scale) * height
    box = (left, top, left + width / fit.scale, top + height / fit.scale)
    pad = (max(0.0, -box[0], box[2] - width), max(0.0, -box[1], box[3] - height))
    columns, rows = int(np.ceil(pad[0])), int(np.ceil(pad[1]))
    padded = np.pad(before, ((rows, rows), (columns, columns), (0, 0)), mode="edge") if columns or rows else before
    moved = (box[0] + columns, box[1] + rows, box[2] + columns, box[3] + rows)
    image = Image.fromarray(padded).resize(size, Image.Resampling.BOX, box=moved)
    return np.asarray(image), _shown(box, (width, height), size)


def _shown(box: tuple[float, float, float, float], whole: tuple[int, int], size: tuple[int, int]) -> Mask:
    across = box[0] + (np.arange(size[0]) + 0.5) * (box[2] - box[0]) / size[0]
    down = box[1] + (np.arange(size[1]) + 0.5) * (box[3] - box[1]) / size[1]
    inside: Mask = ((down >= 0) & (down <= whole[1]))[:, None] & ((across >= 0) & (across <= whole[0]))[None, :]
    return inside


def _coarse(before: Pixels, target: Plane, free: Mask, step: float) -> Iterator[tuple[float, Fit]]:
    """Yield the cost of each scale and each shift by whole pixels."""
    rows, columns = target.shape
    reach = round(MOST_SHIFT * max(rows, columns))
    count = round(MOST_SCALE / step)
    for scale in (1 + step * k for k in sorted(range(-count, count + 1), key=abs)):
        moved, shown = laid_over(before, Fit(scale=scale), (columns, rows))
        for right, down in _places(reach):
            rolled = np.roll(moved, (down, right), (0, 1)), _rolled(shown, right, down)
            yield _cost(rolled, target, free), Fit(right=right / columns, down=down / rows, scale=scale)


def _fine(before: Pixels, target: Plane, free: Mask, step: float, fit: Fit) -> Iterator[tuple[float, Fit]]:
    """Yield the cost of each scale and shift next to a fit."""
    rows, columns = target.shape
    for scale in (fit.scale, fit.scale - step, fit.scale + step):
        for right, down in _places(1):
            one = Fit(right=fit.right + right / columns, down=fit.down + down / rows, scale=scale)
            yield _cost(laid_over(before, one, (columns, rows)), target, free), one


def _places(reach: int) -> Iterator[tuple[int, int]]:
    """Yield shifts, the smallest first."""
    side = range(-reach, reach + 1)
    yield from sorted(((x, y) for y in side for x in side), key=lambda place: abs(place[0]) + abs(place[1]))


def _rolled(shown: Mask, right: int, down: int) -> Mask:
    moved = np.roll(shown, (down, right), (0, 1))
    if down:
        moved[slice(0, down) if down > 0 else slice(down, None)] = False
    if right:
        moved[:, slice(0, right) if right > 0 else slice(right, None)] = False
    return moved


def _cost(laid: tuple[Pixels, Mask], target: Plane, free: Mask) -> float:
    moved, shown = laid
    compared = free & shown
    if not compared.any():
        return float("inf")
    found = np.abs(_grey(moved) - target)[compared]
    return float(np.minimum(found, np.float32(_MOST_DIFFERENCE)).mean())


def _reduced(pixels: Pixels) -> Pixels:
    """Return a copy of at most twice the finest level, from which all others are made."""
    if max(pixels.shape[:2]) <= 2 * _LEVELS[-1]:
        return pixels
    size = small_size(pixels, 2 * _LEVELS[-1])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _luma(pixels: Pixels, size: tuple[int, int]) -> Plane:
    return _grey(np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX)))


def _grey(pixels: Pixels) -> Plane:
    plane: Plane = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return plane


def mask_of(parts: Iterable[tuple[float, float, float, float]], size: tuple[int, int]) -> Image.Image:
    """Return a mask (mode L) that is black in each part, given in pixels of `size`, and white elsewhere."""
    from PIL import ImageDraw

    mask = Image.new("L", size, 255)
    pen = ImageDraw.Draw(mask)
    for left, top, right, bottom in parts:
        pen.rectangle((left, top, max(left, right), max(top, bottom)), fill=0)
    return mask
