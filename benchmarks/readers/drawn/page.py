"""A page: a background on which texts are written, with what a person needs to read them.

Legibility is a rule here, not what a reader says: ink keeps a contrast ratio (WCAG 2.2, 1.4.3) to the lightest and the
darkest of what is behind it, or what is behind it is calmed until it does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from drawn.colours import Colour, contrast, hsv, luminance, luminances
from drawn.effects import EFFECTS, Effect
from drawn.faces import Face

#: left, top, right, bottom in pixels.
Box = tuple[int, int, int, int]
#: Contrast ratio of ink to its background: of small writing, and of writing from `LARGE` pixels on.
SMALL_RATIO, LARGE_RATIO, LARGE = 4.5, 3.2, 30


@dataclass(frozen=True, kw_only=True)
class Writing:
    """Rows of one text as they are to be written."""

    rows: tuple[str, ...]
    face: Face
    size: int
    left: float
    top: float
    align: str = "left"
    leading: float = 1.32
    #: added between letters, in units of the size.
    tracking: float = 0.0
    #: degrees, against the clock.
    turn: float = 0.0
    column: bool = False
    #: each letter is laid on its own, turned and sized a little, over the one before it.
    loose: bool = False
    effect: Effect = Effect.PLAIN
    ink: Colour | None = None


class Page:
    """An image that is being written on."""

    def __init__(self, background: Image.Image, rng: random.Random) -> None:
        self.image = background.convert("RGB")
        self.rng = rng
        #: ink of the text written last.
        self.ink: Colour = (0, 0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    def write(self, writing: Writing) -> list[Box]:
        """Write a text; returns the box of the ink of each row. The ink is that asked for, where it is legible."""
        masks = row_masks(writing, self.size)
        boxes = [box for mask in masks if (box := mask.getbbox()) is not None]
        if writing.effect in (Effect.NEON, Effect.TUBES):
            self.calm(_around(boxes, writing.size), dark=True, share=0.86)
        if writing.effect is Effect.EMBOSSED:
            self._plate(_around(boxes, writing.size * 0.5))
        self.ink = ink = self._ink(writing, _around(boxes, 4))
        lot = self.rng.random()
        for mask in masks if writing.loose else [_union(masks)]:
            # letters of one word have one light and one depth
            self.image = EFFECTS[writing.effect](self.image, mask, ink, writing.size, random.Random(lot))
        return [_around(boxes, 0)] if writing.loose else boxes

    def calm(self, box: Box, *, dark: bool, share: float) -> None:
        """Move what is inside a box towards black or white by a share, with soft borders."""
        mask = Image.new("L", self.size, 0)
        ImageDraw.Draw(mask).rounded_rectangle(box, radius=8, fill=round(255 * share))
        mask = mask.filter(ImageFilter.GaussianBlur(3))
        self.image.paste((8, 8, 14) if dark else (250, 249, 244), mask=mask)

    def panel(self, box: Box, colour: Colour, *, border: Colour | None = None, radius: int = 10) -> None:
        """Lay a plain panel, such as a sign or a bubble."""
        ImageDraw.Draw(self.image).rounded_rectangle(box, radius=radius, fill=colour, outline=border, width=3)

    def _plate(self, box: Box) -> None:
        """Lay a plate of one material, in the mean colour of what it covers, for letters that stand out of it."""
        mean = tuple(int(c) for c in np.asarray(self.image.crop(box)).reshape(-1, 3).mean(axis=0))
        level = sum(mean) / 3
        aim = min(165.0, max(90.0, level))
        colour = tuple(max(20, min(225, round(c * aim / max(1.0, level)))) for c in mean)
        self.panel(box, (colour[0], colour[1], colour[2]), radius=14)

    def _ink(self, writing: Writing, box: Box) -> Colour:
        wanted = SMALL_RATIO if writing.size < LARGE else LARGE_RATIO
        if writing.effect is Effect.EMBOSSED:
            return self._at(box)
        for attempt in range(4):
            behind = self._luminances(box)
            choices = [writing.ink] if writing.ink else self._colours()
            for ink in choices:
                if min(contrast(luminance(ink), each) for each in behind) >= wanted:
                    return ink
            dark = behind[1] < 0.35 if writing.ink is None else luminance(writing.ink) > 0.35
            self.calm(box, dark=dark, share=0.45 + 0.15 * attempt)
        return (255, 255, 255) if self._luminances(box)[1] < 0.3 else (10, 10, 12)

    def _at(self, box: Box) -> Colour:
        red, green, blue = self.image.getpixel(((box[0] + box[2]) // 2, max(0, box[1])))  # type: ignore[misc]
        return red, green, blue

    def _luminances(self, box: Box) -> tuple[float, float]:
        """Darkest and lightest of what is behind a box, without the outermost twentieths."""
        pixels = np.asarray(self.image.crop(_inside(box, self.size)), dtype=np.float64).reshape(-1, 3)
        low, high = np.percentile(luminances(pixels), (5, 95))
        return float(low), float(high)

    def _colours(self) -> list[Colour]:
        """Inks in random order: white, black, and coloured ones that are light or dark enough."""
        hue = self.rng.random()
        light = [hsv(hue, share, 1.0) for share in (0.75, 0.5, 0.25)]
        dark = [hsv(hue, 0.9, value) for value in (0.55, 0.4, 0.25)]
        plain: list[Colour] = [(255, 255, 255), (12, 12, 16)]
        self.rng.shuffle(plain)
        coloured = [*light, *dark]
        return [*coloured, *plain] if self.rng.random() < 0.55 else [*plain, *coloured]


def row_masks(writing: Writing, size: tuple[int, int]) -> list[Image.Image]:
    """Draw each row into a mask of the page's size. A column is one mask."""
    font = writing.face.at(writing.size)
    rows = list(writing.rows)
    masks = []
    if writing.loose:
        masks = _letters("".join(rows), writing, size)
    elif writing.column:
        mask = Image.new("L", size, 0)
        pen = ImageDraw.Draw(mask)
        for k, char in enumerate("".join(rows)):
            wide = font.getlength(char)
            pen.text((writing.left + (writing.size - wide) / 2, writing.top + k * writing.size * 1.14), char, 255, font)
        masks.append(mask)
    else:
        widths = [row_width(row, writing) for row in rows]
        for k, (row, width) in enumerate(zip(rows, widths, strict=True)):
            mask = Image.new("L", size, 0)
            share = {"left": 0.0, "centre": 0.5, "right": 1.0}[writing.align]
            x = writing.left + (max(widths) - width) * share
            _row(mask, row, x, writing.top + k * writing.size * writing.leading, writing)
            masks.append(mask)
    if writing.turn:
        middle = (writing.left + max((m.getbbox() or (0, 0, 0, 0))[2] for m in masks)) / 2, writing.top
        masks = [m.rotate(writing.turn, resample=Image.Resampling.BICUBIC, center=middle) for m in masks]
    return masks


def row_width(row: str, writing: Writing) -> float:
    """Width of a row in pixels, with its tracking."""
    return float(writing.face.at(writing.size).getlength(row)) + writing.tracking * writing.size * max(0, len(row) - 1)


def _union(masks: Sequence[Image.Image]) -> Image.Image:
    whole = masks[0]
    for mask in masks[1:]:
        whole = ImageChops.lighter(whole, mask)
    return whole


def _letters(row: str, writing: Writing, size: tuple[int, int]) -> list[Image.Image]:
    """Draw each letter of a row into a mask of its own, turned and sized a little."""
    rng, masks, x = random.Random(f"{row} {writing.size}"), [], writing.left
    for char in row:
        own = round(writing.size * rng.uniform(0.92, 1.08))
        font = writing.face.at(own)
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).text((x, writing.top + writing.size - own), char, fill=255, font=font)
        middle = (x + font.getlength(char) / 2, writing.top + writing.size / 2)
        masks.append(mask.rotate(rng.uniform(-6, 6), resample=Image.Resampling.BICUBIC, center=middle))
        x += font.getlength(char) + writing.tracking * writing.size
    return masks


def _row(mask: Image.Image, row: str, x: float, y: float, writing: Writing) -> None:
    pen, font = ImageDraw.Draw(mask), writing.face.at(writing.size)
    if not writing.tracking:
        pen.text((x, y), row, fill=255, font=font)
        return
    for char in row:
        pen.text((x, y), char, fill=255, font=font)
        x += font.getlength(char) + writing.tracking * writing.size


def _around(boxes: Sequence[Box], margin: float) -> Box:
    step = round(margin)
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
    return left - step, top - step, right + step, bottom + step


def _inside(box: Box, size: tuple[int, int]) -> Box:
    left, top = max(0, min(box[0], size[0] - 1)), max(0, min(box[1], size[1] - 1))
    return left, top, max(left + 1, min(box[2], size[0])), max(top + 1, min(box[3], size[1]))
