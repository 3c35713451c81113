"""What `change.py` compares: an image with one text replaced, drawn again faithfully, and with the rest changed."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from scipy import ndimage

from qiltest.quality.change import Box
from qiltest.reading.images import Pixels
from qiltest.reading.records import Line

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"
#: lines of an image that the edit replaces: the largest ones.
EDITED = 2
#: sides of patches, as shares of the longer side.
PATCHES = (0.08, 0.12, 0.2)
_LETTERS = "ABCDEFGHKLMNPRSTUVXYZ"

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An input, and the output of an edit that replaced its largest texts and nothing else."""

    before: Pixels
    after: Pixels
    may_change: tuple[Box, ...]
    #: pixels of texts, which nothing below touches.
    text: Mask


def edit_of(pixels: Pixels, lines: Sequence[Line], rng: np.random.Generator) -> Edit:
    """Replace the largest lines of an image by other letters on the colour around them."""
    height, width = pixels.shape[:2]
    boxes = [_bounds(line, width, height) for line in lines]
    largest = sorted(boxes, key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))[:EDITED]
    image = Image.fromarray(pixels)
    text = np.zeros((height, width), dtype=bool)
    for left, top, right, bottom in boxes:
        text[top:bottom, left:right] = True
    for left, top, right, bottom in largest:
        around = pixels[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4].reshape(-1, 3)
        ground = tuple(int(value) for value in np.median(around, axis=0))
        ink = (0, 0, 0) if sum(ground) > 380 else (255, 255, 255)
        sign = Image.new("RGB", (right - left, bottom - top), ground)
        size = max(8, round((bottom - top) * 0.8))
        words = "".join(rng.choice([*_LETTERS], max(2, round((right - left) / size / 0.75))))
        ImageDraw.Draw(sign).text((0, 0), words, fill=ink, font=ImageFont.truetype(FONT, size))
        image.paste(sign, (left, top))
    may = tuple(
        Box(left=left / width, top=top / height, right=right / width, bottom=bottom / height)
        for left, top, right, bottom in largest
    )
    return Edit(before=pixels, after=np.asarray(image), may_change=may, text=text)


def faithful(pixels: Pixels, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Yield the same image as edit pipelines and files leave it."""
    image = Image.fromarray(pixels)
    unit = max(image.size) / 1024
    yield "as it is", pixels
    yield "JPEG, quality 75", jpeg(pixels, 75)
    yield "JPEG, quality 40", jpeg(pixels, 40)
    yield "half size and back", _resized(_resized(pixels, 0.5), size=image.size)
    yield "scaled by area", by_area(pixels)
    for shift in (1, 2, 4, 8):
        x, y = rng.choice([-1, 1], 2) * shift * unit
        yield f"shifted by {shift} px of 1024", moved(pixels, x, y)
    yield "enlarged by 2 %", moved(pixels, 0, 0, 1.02)
    yield "enlarged by 4 %", moved(pixels, 0, 0, 1.04)
    yield "warmer", _bytes(pixels * np.array([1.04, 1.0, 0.95]) + np.array([3, 0, -3]))
    yield "lighter", _bytes(pixels * 1.05 + 4.0)
    yield "less contrast", _bytes((pixels - 128.0) * 0.9 + 128)
    yield "more saturated", np.asarray(ImageEnhance.Color(image).enhance(1.15))
    yield "sharpened", np.asarray(image.filter(ImageFilter.UnsharpMask(2, 80)))
    yield "noise of 5 grey levels", _bytes(pixels + rng.normal(0, 5, pixels.shape))
    yield "wobbled by 2 px of 1024", wobbled(pixels, 2 * unit, rng)
    x, y = rng.choice([-1, 1], 2) * 4 * unit
    together = by_area(moved(_bytes(pixels * 1.03 + 3.0), x, y, 1.01))
    yield "all together", jpeg(wobbled(together, 1.5 * unit, rng), 75)


def changed(edit: Edit, other: Pixels, rng: np.random.Generator) -> Iterator[tuple[str, Pixels]]:
    """Yield the edit with the rest changed, each drawn again as a pipeline does (by area, JPEG)."""
    pixels = edit.after
    long = max(pixels.shape[:2])
    other = np.asarray(Image.fromarray(other).resize((pixels.shape[1], pixels.shape[0])))
    ways: list[tuple[str, Pixels | None]] = []
    for share in PATCHES:
        side = round(share * long)
        place = busiest(edit, side)
        if place is not None:
            ways.append((f"object of {share:.0%} removed", removed(pixels, place)))
            ways.append((f"object of {share:.0%} moved", _swapped(edit, place, side)))
            ways.append((f"object of {share:.0%} recoloured", recoloured(pixels, place)))
            ways.append((f"object of {share:.0%} is another", _pasted(pixels, other, place)))
    ways.append(("another background", _background(pixels, other)))
    ways.append(("turned left for right", pixels[:, ::-1]))
    ways.append(("shifted by an eighth", moved(pixels, pixels.shape[1] / 8, 0)))
    ways.append(("enlarged by a quarter", moved(pixels, 0, 0, 1.25)))
    ways.append(("another image", other))
    ways.append(("blurred", _bytes(ndimage.gaussian_filter(pixels.astype(np.float32), (long / 60, long / 60, 0)))))
    for name, made in ways:
        if made is not None:
            yield name, jpeg(by_area(np.ascontiguousarray(made)), 85)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Return an image as JPEG leaves it."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality)
    return np.asarray(Image.open(data).convert("RGB"))


def by_area(pixels: Pixels, area: int = 768 * 768, multiple: int = 32) -> Pixels:
    """Scale an image to an area, both sides floored to a multiple: the aspect changes a little."""
    height, width = pixels.shape[:2]
    scale = (area / (width * height)) ** 0.5
    size = (
        max(multiple, int(width * scale) // multiple * multiple),
        max(multiple, int(height * scale) // multiple * multiple),
    )
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def moved(pixels: Pixels, right: float, down: float, scale: float = 1.0) -> Pixels:
    """Shift and enlarge an image about its centre; what comes in from outside repeats the edge."""
    height, width = pixels.shape[:2]
    x, y = (width / 2 * (1 - 1 / scale) - right / scale), (height / 2 * (1 - 1 / scale) - down / scale)
    inverse = (np.array([1 / scale, 1 / scale]), np.array([y, x]))
    planes = [
        ndimage.affine_transform(pixels[..., k].astype(np.float32), inverse[0], inverse[1], order=1, mode="nearest")
        for k in range(3)
    ]
    return _bytes(np.stack(planes, axis=-1))


def wobbled(pixels: Pixels, most: float, rng: np.random.Generator) -> Pixels:
    """Move each place of an image smoothly by up to `most` pixels, as models do that draw it anew."""
    height, width = pixels.shape[:2]
    fields = [ndimage.zoom(rng.uniform(-most, most, (5, 5)), (height / 5, width / 5), order=3) for _ in range(2)]
    down, across = (field[:height, :width] for field in fields)
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [
        ndimage.map_coordinates(
            pixels[..., k].astype(np.float32), (rows + down, columns + across), order=1, mode="nearest"
        )
        for k in range(3)
    ]
    return _bytes(np.stack(planes, axis=-1))


Place = tuple[slice, slice]


def busiest(edit: Edit, side: int) -> Place | None:
    """Return the square with the most structure that has no text, None where there is none."""
    grey = edit.after.astype(np.float32).mean(axis=-1)
    energy = np.hypot(ndimage.sobel(grey, 0), ndimage.sobel(grey, 1))
    mean, text = ndimage.uniform_filter(energy, side), ndimage.maximum_filter(edit.text, side + 8)
    half = side // 2
    inside = np.zeros_like(text)
    inside[half : -half - 1, half : -half - 1] = True
    score = np.where(inside & ~text, mean, -1)
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    if score[row, column] < 8:
        return None
    return slice(int(row) - half, int(row) - half + side), slice(int(column) - half, int(column) - half + side)


def removed(pixels: Pixels, place: Place) -> Pixels:
    """Fill a place smoothly from what is around it."""
    hole = np.zeros(pixels.shape[:2], dtype=np.float32)
    hole[place] = 1
    known, values = 1 - hole, pixels.astype(np.float32)
    side = place[0].stop - place[0].start
    weight = ndimage.gaussian_filter(known, side / 3) + 1e-4
    filled = np.stack([ndimage.gaussian_filter(values[..., k] * known, side / 3) / weight for k in range(3)], axis=-1)
    soft = ndimage.gaussian_filter(hole, max(1, side / 40))[..., None]
    return _bytes(values * (1 - soft) + filled * soft)


def recoloured(pixels: Pixels, place: Place) -> Pixels:
    """Turn the colours of a place and make it a little lighter."""
    made = pixels.copy()
    part = pixels[place].astype(np.float32)
    made[place] = _bytes(part[..., [2, 0, 1]] * 0.75 + np.array([50, 10, 20]))
    return made


def _swapped(edit: Edit, place: Place, side: int) -> Pixels | None:
    """Move a place by one and a half of its sides, where no text is in the way."""
    rows, columns = place
    height, width = edit.text.shape
    for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        top, left = rows.start + round(1.5 * side * down), columns.start + round(1.5 * side * across)
        target = (slice(top, top + side), slice(left, left + side))
        inside = min(top, left) >= 0 and top + side <= height and left + side <= width
        if inside and not edit.text[target].any():
            made = removed(edit.after, place).copy()
            made[target] = edit.after[place]
            return made
    return None


def _pasted(pixels: Pixels, other: Pixels, place: Place) -> Pixels:
    made = pixels.copy()
    made[place] = other[place]
    return made


def _background(pixels: Pixels, other: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    inside = ((rows / height - 0.5) / 0.35) ** 2 + ((columns / width - 0.5) / 0.35) ** 2 < 1
    return np.where(inside[..., None], pixels, other)


def _bounds(line: Line, width: int, height: int) -> tuple[int, int, int, int]:
    xs, ys = [x for x, _ in line.box], [y for _, y in line.box]
    left, top = max(0, int(min(xs))), max(0, int(min(ys)))
    return left, top, min(width, max(left + 1, int(max(xs)))), min(height, max(top + 1, int(max(ys))))


def _resized(pixels: Pixels, scale: float = 1.0, size: tuple[int, int] | None = None) -> Pixels:
    image = Image.fromarray(pixels)
    size = size or (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def _bytes(values: NDArray[np.floating]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
