"""Draw a case's texts into an image, each in its own place, in styles typical of image models."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from qiltest.calibration.fonts import fonts_for, load
from qiltest.suite.cases import ExpectedText
from qiltest.text.normalise import is_decoration

Colour = tuple[int, int, int]
#: Side of the drawn images in pixels, and their margin.
SIDE, MARGIN = 800, 30
#: Writing sizes that are tried, largest first.
SIZES = (70, 60, 52, 46, 40, 35, 31, 28, 25, 22, 19)


class Style(StrEnum):
    """How an image is drawn."""

    CRISP = "crisp"
    SOFT = "soft"
    GLOW = "glow"
    CHALK = "chalk"
    TILTED = "tilted"
    SMALL = "small"


@dataclass(frozen=True, kw_only=True)
class Look:
    """Style and seed of a drawn image."""

    style: Style
    seed: int


_COLOURS: dict[Style, tuple[Colour, Colour]] = {
    Style.CRISP: ((250, 250, 246), (20, 20, 24)),
    Style.SOFT: ((214, 204, 184), (60, 40, 30)),
    Style.GLOW: ((14, 12, 34), (255, 120, 200)),
    Style.CHALK: ((36, 52, 46), (228, 228, 220)),
    Style.TILTED: ((120, 140, 160), (250, 250, 250)),
    Style.SMALL: ((255, 255, 255), (30, 30, 80)),
}


def draw(texts: Sequence[ExpectedText], look: Look) -> bytes:
    """Draw the texts, each apart from the others; PNG. The same arguments give the same bytes.

    Raises FontsMissingError where no font has a text's characters.
    """
    ground, ink = _COLOURS[look.style]
    mask = Image.new("L", (SIDE, SIDE), 0)
    for i, (text, box) in enumerate(zip(texts, _boxes(texts), strict=True)):
        # one generator per text, so that a change of another text does not move this one
        _write(mask, text, box, look.style, random.Random(f"{look.seed} {i}"))
    image = _finish(mask, ground, ink, look.style, np.random.default_rng(look.seed))
    data = io.BytesIO()
    image.save(data, format="PNG")
    return data.getvalue()


Box = tuple[int, int, int, int]


def _boxes(texts: Sequence[ExpectedText]) -> list[Box]:
    """Place columns from the right, all other texts in cells of a grid whose rows are higher for longer texts."""
    columns = [i for i, text in enumerate(texts) if text.vertical]
    others = [i for i in range(len(texts)) if i not in columns]
    boxes: dict[int, Box] = {}
    right = SIDE - MARGIN
    for i in columns:
        boxes[i] = (right - 80, MARGIN, right, SIDE - MARGIN)
        right -= 115
    across = 1 if len(others) <= 6 else 2 if len(others) <= 14 else 3
    rows = [others[k : k + across] for k in range(0, len(others), across)]
    weights = [max(2.0, max(len(texts[i].text) for i in row) ** 0.75) for row in rows]
    top, scale = float(MARGIN), (SIDE - 2 * MARGIN) / sum(weights) if weights else 0.0
    for row, weight in zip(rows, weights, strict=True):
        bottom = top + weight * scale
        width = (right - MARGIN) / across
        for k, i in enumerate(row):
            left = MARGIN + k * width
            boxes[i] = (int(left), int(top), int(left + width - 30), int(bottom - 26))
        top = bottom
    return [boxes[i] for i in range(len(texts))]


def _write(mask: Image.Image, text: ExpectedText, box: Box, style: Style, rng: random.Random) -> None:
    """Write one text as large as its box allows, at a random place in the box."""
    written = "".join(" " if is_decoration(char) else char for char in text.text)
    font = rng.choice(fonts_for(written))
    left, top, right, bottom = box
    for size in SIZES[5:] if style is Style.SMALL else SIZES[rng.randrange(3) :]:
        opened = load(font, size)
        if text.vertical:
            lines, step, width = list(written.replace(" ", "")), int(size * 1.15), size
        else:
            lines = wrapped(written, right - left, opened.getlength)
            step, width = int(size * 1.4), int(max(opened.getlength(line) for line in lines))
        if step * len(lines) <= bottom - top and width <= right - left:
            break
    x = left + rng.randint(0, max(0, right - left - width))
    y = top + rng.randint(0, max(0, bottom - top - step * len(lines)))
    pen = ImageDraw.Draw(mask)
    for k, line in enumerate(lines):
        pen.text((x, y + k * step), line, fill=255, font=opened)


def wrapped(text: str, width: float, measure: Callable[[str], float]) -> list[str]:
    """Break a text into lines of at most `width` by `measure(part)`: at spaces, after hyphens, between ideographs."""
    lines, line = [], ""
    for part in _parts(text):
        if line.strip() and measure((line + part).rstrip()) > width:
            lines.append(line.strip())
            line = ""
        line += part
    return [*lines, line.strip()] if line.strip() else lines


def _parts(text: str) -> list[str]:
    """Split where a line may break: behind a space or a hyphen, before an ideograph."""
    parts: list[str] = [""]
    for char in text:
        if ord(char) > 0x2E80 and char not in "，。、：；！？）】”’,.!?:;)":
            parts.append("")
        parts[-1] += char
        if char in " -":
            parts.append("")
    return [part for part in parts if part]


def _finish(mask: Image.Image, ground: Colour, ink: Colour, style: Style, rng: np.random.Generator) -> Image.Image:
    """Colour the mask and apply the style's effects."""
    if style is Style.TILTED:
        dx, dy = 46, 26
        corners = (-dx, -dy, 0, SIDE + dy, SIDE + dx, SIDE - dy, SIDE, dy)
        mask = mask.transform(mask.size, Image.Transform.QUAD, corners, resample=Image.Resampling.BICUBIC)
    if style is Style.CHALK:
        holes = rng.random((SIDE, SIDE)) > 0.16
        mask = ImageChops.multiply(mask, Image.fromarray((holes * 255).astype(np.uint8)))
        mask = mask.filter(ImageFilter.GaussianBlur(0.8))
    if style is Style.SOFT:
        mask = mask.filter(ImageFilter.GaussianBlur(1.2))
    canvas = Image.new("RGB", mask.size, ground)
    if style is Style.GLOW:
        halo = mask.filter(ImageFilter.GaussianBlur(12)).point([min(255, 2 * level) for level in range(256)])
        canvas.paste(Image.new("RGB", mask.size, (150, 40, 120)), mask=halo)
    canvas.paste(Image.new("RGB", mask.size, ink), mask=mask)
    if style is Style.CRISP:
        return canvas
    noise = rng.normal(0.0, 7.0, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(canvas, dtype=np.float64) + noise, 0, 255).astype(np.uint8))
