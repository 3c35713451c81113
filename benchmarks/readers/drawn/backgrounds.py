"""Backgrounds: text-free parts of real model images, changed at random; gradients; plain colours."""

from __future__ import annotations

import functools
import random
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

HERE = Path(__file__).parent
#: Least side of a part that is cut out, in pixels of the source.
LEAST = 200
#: Shares of backgrounds that are photographs and gradients; the rest is plain.
PHOTOGRAPHS, GRADIENTS = 0.7, 0.18

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A real image and its parts without text."""

    file: str
    half: str
    parts: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, kw_only=True)
class Background:
    """A background and the name of what it was made of."""

    image: Image.Image
    source: str


@functools.cache
def sources(half: str) -> tuple[Source, ...]:
    """Return the images whose text-free parts a half uses."""
    listed = tomllib.loads((HERE / "backgrounds.toml").read_text(encoding="utf-8"))["sources"]
    found = (Source(file=s["file"], half=s["half"], parts=tuple(tuple(p) for p in s["parts"])) for s in listed)
    return tuple(source for source in found if source.half == half)


def background(half: str, size: tuple[int, int], images: Path, rng: random.Random) -> Background:
    """Make a background of a size in pixels."""
    choice = rng.random()
    if choice < PHOTOGRAPHS:
        return _photograph(half, size, images, rng)
    if choice < PHOTOGRAPHS + GRADIENTS:
        return Background(image=_gradient(size, rng), source="gradient")
    return Background(image=Image.new("RGB", size, _colour(rng)), source="plain")


def _photograph(half: str, size: tuple[int, int], images: Path, rng: random.Random) -> Background:
    source = rng.choice(sources(half))
    left, top, right, bottom = rng.choice(source.parts)
    # as large a crop of the page's aspect as the part holds, or a smaller one inside it
    aspect = size[0] / size[1]
    width = min(right - left, (bottom - top) * aspect)
    width = max(min(width, LEAST * max(1.0, aspect)), width * rng.uniform(0.7, 1.0))
    height = width / aspect
    x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
    part = _opened(images / source.file).crop((int(x), int(y), int(x + width), int(y + height)))
    return Background(image=_changed(part.resize(size, Image.Resampling.BICUBIC), rng), source=source.file)


@functools.lru_cache(maxsize=8)
def _opened(path: Path) -> Image.Image:
    if not path.is_file():
        sys.exit(f"{path}: not there\n  -> give the folder of the real images (--images)")
    with Image.open(path) as image:
        return image.convert("RGB")


def _changed(image: Image.Image, rng: random.Random) -> Image.Image:
    """Mirror, blur and recolour."""
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    image = image.filter(ImageFilter.GaussianBlur(rng.choice([0.0, 0.0, 1.5, 4.0, 9.0])))
    image = ImageEnhance.Color(image).enhance(rng.choice([0.0, 0.6, 1.0, 1.0, 1.4]))
    if rng.random() < 0.4:
        bands = list(image.split())
        rng.shuffle(bands)
        image = Image.merge("RGB", bands)
    return ImageEnhance.Brightness(image).enhance(rng.uniform(0.65, 1.15))


def _gradient(size: tuple[int, int], rng: random.Random) -> Image.Image:
    first, second = (np.array(_colour(rng), dtype=np.float64) for _ in range(2))
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    turn = rng.uniform(0, 1)
    share = (across * turn + down * (1 - turn))[:, :, None]
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 2.5, (size[1], size[0], 1))
    return Image.fromarray(np.clip(first + (second - first) * share + noise, 0, 255).astype(np.uint8))


def _colour(rng: random.Random) -> Colour:
    base = rng.choice([30, 60, 200, 235])
    red, green, blue = (max(0, min(255, base + rng.randint(-30, 30))) for _ in range(3))
    return red, green, blue
