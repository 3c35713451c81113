"""Images that keep a text and lose its scene, for `scene.py`: the same text on another ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from qiltest.calibration.fonts import FontsMissingError, fonts_for, load
from qiltest.reading.images import Pixels
from qiltest.reading.records import Line

#: How far a line's box is widened where its pixels are cut out, as a share of its height.
MARGIN = 0.15
#: Radius of the blurred ground, as a share of the longer side.
BLUR = 0.06
#: Standard deviation of the noisy ground per channel, grey levels.
NOISE = 40.0
#: Side of the places from which a missing pixel is filled, in pixels.
FILL = 5
Ground = Callable[[Pixels, Pixels], Pixels]


def _white(pixels: Pixels, _bare: Pixels) -> Pixels:
    return np.full_like(pixels, 255)


def _mean(pixels: Pixels, bare: Pixels) -> Pixels:
    return np.broadcast_to(bare.reshape(-1, 3).mean(axis=0).round(), pixels.shape).astype(np.uint8)


def _gradient(pixels: Pixels, bare: Pixels) -> Pixels:
    """Run from the mean colour of the upper quarter to that of the lower one."""
    quarter = max(1, len(bare) // 4)
    ends = [part.reshape(-1, 3).mean(axis=0) for part in (bare[:quarter], bare[-quarter:])]
    steps = np.linspace(0, 1, len(bare))[:, None, None]
    return np.broadcast_to((ends[0] * (1 - steps) + ends[1] * steps).round(), pixels.shape).astype(np.uint8)


def _blurred(_pixels: Pixels, bare: Pixels) -> Pixels:
    image = Image.fromarray(bare)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(BLUR * max(image.size))))


def _noisy(pixels: Pixels, bare: Pixels) -> Pixels:
    grain = np.random.default_rng(1).normal(0, NOISE, pixels.shape)
    return np.clip(_mean(pixels, bare) + grain, 0, 255).astype(np.uint8)


def _clouds(pixels: Pixels, bare: Pixels) -> Pixels:
    """Noise whose amplitude falls with the frequency, as that of photographs does, in the image's own colours."""
    height, width = pixels.shape[:2]
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width))
    rng = np.random.default_rng(1)
    grains = (rng.normal(size=(height, width)) for _ in range(3))
    planes = np.stack([np.fft.irfft2(fall * np.fft.rfft2(grain), (height, width)) for grain in grains], axis=-1)
    planes = (planes - planes.mean((0, 1))) / planes.std((0, 1))
    values, vectors = np.linalg.eigh(np.cov(bare.reshape(-1, 3).T.astype(np.float64)))
    coloured: NDArray[np.float64] = planes @ (vectors * np.sqrt(np.maximum(values, 0))).T + bare.reshape(-1, 3).mean(
        axis=0
    )
    found: Pixels = np.clip(coloured, 0, 255).astype(np.uint8)
    return found


#: Grounds made of the image itself; "another image" comes from `on_others`.
GROUNDS: dict[str, Ground] = {
    "white": _white,
    "mean colour": _mean,
    "gradient": _gradient,
    "own ground, blurred": _blurred,
    "noise": _noisy,
    "clouds in its colours": _clouds,
}


def without_text(pixels: Pixels, lines: Sequence[Line]) -> Pixels:
    """Fill the places of all lines from around them (Telea 2004), as found on a copy of at most 512 pixels."""
    hole = text_mask(pixels.shape[:2], lines, margin=0.3)
    if not hole.any():
        return pixels
    height, width = hole.shape
    scale = min(1.0, 512 / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    little = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    holes = cv2.resize(hole.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    holes = cv2.dilate(holes, np.ones((3, 3), np.uint8))
    filled = cv2.resize(cv2.inpaint(little, holes, FILL, cv2.INPAINT_TELEA), (width, height))
    whole: Pixels = np.where(hole[..., None], filled, pixels).astype(np.uint8)
    return whole


def text_mask(shape: tuple[int, ...], lines: Sequence[Line], *, margin: float = MARGIN) -> NDArray[np.bool_]:
    """Mark the pixels of all lines' boxes, widened by a share of their height."""
    image = Image.new("1", (shape[1], shape[0]))
    pen = ImageDraw.Draw(image)
    for line in lines:
        radius = max(1.0, margin * _height(line))
        points = [(float(x), float(y)) for x, y in line.box]
        pen.polygon(points, fill=1)
        pen.line([*points, *points[:2]], fill=1, width=round(2 * radius), joint="curve")
    return np.asarray(image)


def cut_out(pixels: Pixels, lines: Sequence[Line], ground: Pixels) -> Pixels:
    """Put the image's own text, boxes and all, on another ground."""
    return np.where(text_mask(pixels.shape[:2], lines)[..., None], pixels, ground).astype(np.uint8)


def drawn(lines: Sequence[Line], ground: Pixels) -> Pixels:
    """Draw the lines at their places in a font, black on a light place and white on a dark one."""
    image = Image.fromarray(ground)
    for line in lines:
        _draw(image, line)
    return np.asarray(image)


def _draw(image: Image.Image, line: Line) -> None:
    xs, ys = zip(*line.box, strict=True)
    left, top, right, bottom = (round(value) for value in (min(xs), min(ys), max(xs), max(ys)))
    width, height = right - left, bottom - top
    text = line.text.replace("\n", " ").strip()
    if min(width, height) < 4 or not text:
        return
    upright = height > 1.5 * width and len(text) > 1
    try:
        font = load(fonts_for(text)[0], 64)
    except FontsMissingError:
        return
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    shown = "\n".join(text) if upright else text
    box = pen.multiline_textbbox((0, 0), shown, font=font, align="center")
    tile = Image.new("L", (max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))))
    ImageDraw.Draw(tile).multiline_text((-box[0], -box[1]), shown, font=font, fill=255, align="center")
    tile = tile.resize((width, height), Image.Resampling.LANCZOS)
    place = (left, top, left + width, top + height)
    light = float(np.asarray(image.crop(place).convert("L")).mean()) > 110
    image.paste((0, 0, 0) if light else (255, 255, 255), place[:2], tile)


def attacks(
    pixels: Pixels, lines: Sequence[Line], others: Sequence[tuple[str, Pixels]]
) -> Iterator[tuple[str, str, str, Pixels]]:
    """Yield (ground, way, other image's name, image); `others` are text-free images that serve as grounds."""
    bare = without_text(pixels, lines)
    grounds = [(name, "", make(pixels, bare)) for name, make in GROUNDS.items()]
    size = (pixels.shape[1], pixels.shape[0])
    grounds += [("another image", name, fitted(other, size)) for name, other in others]
    for name, other, ground in grounds:
        for way, made in drawn_and_cut(pixels, lines, ground):
            yield name, way, other, made


def drawn_and_cut(pixels: Pixels, lines: Sequence[Line], ground: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Yield (way, image): the text drawn anew on a ground, and cut out of its image."""
    yield "drawn", drawn(lines, ground)
    yield "cut out", cut_out(pixels, lines, ground)


def fitted(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Cut the largest part of the shape asked for from an image's middle, and scale it to that size."""
    image = Image.fromarray(pixels)
    scale = min(image.width / size[0], image.height / size[1])
    width, height = scale * size[0], scale * size[1]
    left, top = (image.width - width) / 2, (image.height - height) / 2
    box = (left, top, left + width, top + height)
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC, box=box))


def _height(line: Line) -> float:
    corners = np.asarray(line.box)
    sides = np.hypot(*(corners - np.roll(corners, -1, axis=0)).T)
    return float(min((sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2))
