"""How letters are made: each effect lays a mask of letters on an image in an ink."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from drawn.colours import Colour, hsv, luminance, mixed, opposite

#: Least luminance of glowing letters, whose surroundings are dark: blue alone has 0.07.
LIT = 0.35


class Effect(StrEnum):
    """How letters are made."""

    PLAIN = "plain"
    SOFT = "soft"
    OUTLINE = "outline"
    SHADOW = "shadow"
    DOUBLED = "doubled"
    NEON = "neon"
    TUBES = "tubes"
    CHALK = "chalk"
    EMBOSSED = "embossed"
    SOLID = "solid"


def _plain(image: Image.Image, mask: Image.Image, ink: Colour, _s: int, _r: random.Random) -> Image.Image:
    image.paste(ink, mask=mask)
    return image


def _soft(image: Image.Image, mask: Image.Image, ink: Colour, size: int, _r: random.Random) -> Image.Image:
    image.paste(ink, mask=mask.filter(ImageFilter.GaussianBlur(min(1.1, size / 40))))
    return image


def _outline(image: Image.Image, mask: Image.Image, ink: Colour, size: int, _r: random.Random) -> Image.Image:
    wide = max(1, round(size / 24))
    image.paste(opposite(ink), mask=_grown(mask, wide))
    image.paste(ink, mask=mask)
    return image


def _shadow(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    step = max(2, round(size * rng.uniform(0.05, 0.13)))
    cast = ImageChops.offset(mask, step, step).filter(ImageFilter.GaussianBlur(step * rng.choice([0.0, 0.5])))
    image.paste(opposite(ink), mask=cast.point([round(level * 0.75) for level in range(256)]))
    image.paste(ink, mask=mask)
    return image


def _doubled(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    """Print the letters a second time beside themselves, in another colour, as a misprint or a glitch does."""
    step = max(2, round(size * rng.uniform(0.06, 0.12)))
    ghost = mixed(ink, opposite(ink), rng.uniform(0.4, 0.6))
    image.paste(ghost, mask=ImageChops.offset(mask, rng.choice([-step, step]), rng.choice([0, step // 2])))
    image.paste(ink, mask=mask)
    return image


def _tubes(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    """Bend glowing tubes along the outlines of the letters."""
    wall = max(1, round(size / 40))
    inner = _ranked(mask, ImageFilter.MinFilter(2 * wall + 1), wall)
    return _neon(image, ImageChops.subtract(mask, inner), ink, size, rng)


def _neon(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    glow = hsv(rng.random(), 0.85, 1.0)
    whiteness = rng.uniform(0.35, 0.8)
    while luminance(light := mixed(glow, (255, 255, 255), whiteness)) < LIT:
        whiteness += 0.05
    for wide, share in ((size / 4, 0.9), (size / 9, 0.9)):
        halo = mask.filter(ImageFilter.GaussianBlur(wide)).point(
            [min(255, round(level * 1.6 * share)) for level in range(256)]
        )
        image.paste(mixed(glow, (0, 0, 0), 0.25), mask=halo.point([round(level * 0.6) for level in range(256)]))
    core = mask.filter(ImageFilter.GaussianBlur(max(0.6, size / 60)))
    image.paste(light, mask=core)
    return image


def _chalk(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    grain = np.random.default_rng(rng.randrange(1 << 30)).random((image.height, image.width))
    coarse = Image.fromarray(((grain > 0.22) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
    image.paste(ink, mask=ImageChops.multiply(mask, coarse).filter(ImageFilter.GaussianBlur(0.5)))
    return image


def _embossed(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    """Letters of the plate's own colour, lit from the upper left."""
    step = max(2, round(size / 22))
    light, dark = ImageChops.offset(mask, -step, -step), ImageChops.offset(mask, step, step)
    soft = ImageFilter.GaussianBlur(step / 3)
    depth = rng.uniform(0.45, 0.75)
    image.paste(mixed(ink, (255, 255, 255), depth), mask=light.filter(soft))
    image.paste(mixed(ink, (0, 0, 0), depth), mask=dark.filter(soft))
    image.paste(mixed(ink, (255, 255, 255), rng.uniform(0.05, 0.2)), mask=mask)
    return image


def _solid(image: Image.Image, mask: Image.Image, ink: Colour, size: int, rng: random.Random) -> Image.Image:
    """Letters with depth: their sides are drawn behind them, step by step."""
    depth = max(3, round(size * rng.uniform(0.06, 0.12)))
    side, across = mixed(ink, (0, 0, 0), 0.6), rng.choice([-1, 1])
    for step in range(depth, 0, -1):
        image.paste(side, mask=ImageChops.offset(mask, across * step, step))
    image.paste((10, 10, 12) if luminance(ink) > 0.2 else (250, 250, 250), mask=_grown(mask, max(1, size // 40)))
    image.paste(ink, mask=mask)
    return image


#: Each effect takes the image, the mask, the ink, the size of the writing in pixels and a source of chance.
EFFECTS: Mapping[Effect, Callable[[Image.Image, Image.Image, Colour, int, random.Random], Image.Image]] = {
    Effect.PLAIN: _plain,
    Effect.SOFT: _soft,
    Effect.OUTLINE: _outline,
    Effect.SHADOW: _shadow,
    Effect.DOUBLED: _doubled,
    Effect.NEON: _neon,
    Effect.TUBES: _tubes,
    Effect.CHALK: _chalk,
    Effect.EMBOSSED: _embossed,
    Effect.SOLID: _solid,
}


def _grown(mask: Image.Image, pixels: int) -> Image.Image:
    return _ranked(mask, ImageFilter.MaxFilter(2 * pixels + 1), pixels)


def _ranked(mask: Image.Image, rank: ImageFilter.RankFilter, pixels: int) -> Image.Image:
    """Filter what is in a mask, not all of the page: these filters take a second for a megapixel."""
    box = mask.getbbox()
    if box is None:
        return mask
    step = 2 * pixels + 2
    around = (
        max(0, box[0] - step),
        max(0, box[1] - step),
        min(mask.width, box[2] + step),
        min(mask.height, box[3] + step),
    )
    found = Image.new("L", mask.size, 0)
    found.paste(mask.crop(around).filter(rank), around)
    return found
