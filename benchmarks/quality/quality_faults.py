"""Faults to plant in good images, each at three strengths, and the treatments that fine detail must fall under."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from qiltest.quality import Fault

Pixels = NDArray[np.uint8]
Plant = Callable[[Pixels, float], Pixels]


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A fault to plant."""

    name: str
    fault: Fault
    plant: Plant
    strengths: tuple[float, float, float]
    #: what a strength is.
    unit: str


def _eight_bit(values: NDArray[np.floating]) -> Pixels:
    pixels: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return pixels


def _noise(pixels: Pixels, sigma: float) -> Pixels:
    return _eight_bit(pixels + np.random.default_rng(1).normal(0, sigma, pixels.shape))


def _soft_noise(pixels: Pixels, sigma: float) -> Pixels:
    """Noise with the grain of latents' errors: smoothed by one pixel."""
    field = gaussian_filter(np.random.default_rng(2).normal(0, 1, pixels.shape), (1, 1, 0))
    return _eight_bit(pixels + field * (sigma / field.std()))


def _pattern(pixels: Pixels, strength: float, period: int) -> Pixels:
    """Add the same smooth pattern, of that root mean square, to every tile."""
    tile = gaussian_filter(np.random.default_rng(3).normal(0, 1, (period, period)), 1.0, mode="wrap")
    tile = (tile - tile.mean()) * (strength / tile.std())
    repeats = [-(-length // period) for length in pixels.shape[:2]]
    field = np.tile(tile, repeats)[: pixels.shape[0], : pixels.shape[1]]
    return _eight_bit(pixels + field[..., None])


def _patch_pattern(pixels: Pixels, strength: float) -> Pixels:
    return _pattern(pixels, strength, 16)


def _latent_pattern(pixels: Pixels, strength: float) -> Pixels:
    return _pattern(pixels, strength, 8)


def _offsets(pixels: Pixels, strength: float) -> Pixels:
    """Every patch of 16 pixels lighter or darker by chance: seams between patches."""
    rows, columns = (-(-length // 16) for length in pixels.shape[:2])
    field = np.random.default_rng(4).normal(0, strength, (rows, columns)).repeat(16, 0).repeat(16, 1)
    return _eight_bit(pixels + field[: pixels.shape[0], : pixels.shape[1], None])


def _lines(pixels: Pixels, strength: float) -> Pixels:
    """Every sixteenth row and column darker."""
    out = pixels.astype(np.float32)
    out[::16] -= strength
    out[:, ::16] -= strength
    return _eight_bit(out)


def _flatter(pixels: Pixels, share: float) -> Pixels:
    mean = pixels.reshape(-1, 3).mean(axis=0)
    return _eight_bit(mean + (pixels - mean) * share)


def _contrast(pixels: Pixels, times: float) -> Pixels:
    return _eight_bit(128 + (pixels - 128.0) * times)


def _saturate(pixels: Pixels, times: float) -> Pixels:
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return _eight_bit(grey[..., None] + (pixels - grey[..., None]) * times)


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """Gaussian blur."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def scaled(pixels: Pixels, share: float) -> Pixels:
    """Make smaller (Lanczos) and back (bicubic)."""
    image = Image.fromarray(pixels)
    small = image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.LANCZOS)
    return np.asarray(small.resize(image.size, Image.Resampling.BICUBIC))


def jpeg(pixels: Pixels, quality: float) -> Pixels:
    """Store as JPEG and open again."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(quality))
    return np.asarray(Image.open(buffer).convert("RGB"))


def denoised(pixels: Pixels, sigma: float) -> Pixels:
    """Sigma filter (Lee 1983): the mean of the 5 x 5 neighbours that differ by at most twice sigma; keeps edges."""
    source = pixels.astype(np.float32)
    padded = np.pad(source, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    total, count = np.zeros_like(source), np.zeros_like(source)
    for down in range(5):
        for across in range(5):
            near = padded[down : down + source.shape[0], across : across + source.shape[1]]
            close = np.abs(near - source) <= 2 * sigma
            total += near * close
            count += close
    return _eight_bit(total / count)


def median(pixels: Pixels, side: float) -> Pixels:
    """Median over side x side pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.MedianFilter(int(side))))


def sharpened(pixels: Pixels, per_cent: float) -> Pixels:
    """Unsharp mask of radius 1.5."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.UnsharpMask(1.5, int(per_cent), 0)))


FAULTS = (
    Planted(name="white noise", fault=Fault.NOISE, plant=_noise, strengths=(4, 8, 16), unit="σ per channel"),
    Planted(name="soft noise", fault=Fault.NOISE, plant=_soft_noise, strengths=(6, 12, 24), unit="σ per channel"),
    Planted(name="pattern, 16 px", fault=Fault.GRID, plant=_patch_pattern, strengths=(1, 2, 4), unit="RMS"),
    Planted(name="pattern, 8 px", fault=Fault.GRID, plant=_latent_pattern, strengths=(1, 2, 4), unit="RMS"),
    Planted(name="patch offsets", fault=Fault.GRID, plant=_offsets, strengths=(2, 4, 8), unit="σ of offsets"),
    Planted(name="lines, 16 px", fault=Fault.GRID, plant=_lines, strengths=(3, 6, 12), unit="grey levels"),
    Planted(name="blank", fault=Fault.BLANK, plant=_flatter, strengths=(0.01, 0.005, 0), unit="of the contrast"),
    Planted(
        name="near-uniform", fault=Fault.UNIFORM, plant=_flatter, strengths=(0.12, 0.08, 0.04), unit="of the contrast"
    ),
    Planted(name="blur", fault=Fault.BLUR, plant=blurred, strengths=(1, 2, 4), unit="σ, pixels"),
    Planted(name="clipping", fault=Fault.CLIPPED, plant=_contrast, strengths=(2, 4, 8), unit="× contrast"),
    Planted(name="over-saturation", fault=Fault.SATURATED, plant=_saturate, strengths=(1.5, 2, 3), unit="× chroma"),
)  # fmt: skip
#: (name, treatment, strengths in the order of loss, unit)
LOSSES: tuple[tuple[str, Plant, tuple[float, ...], str], ...] = (
    ("blur", blurred, (0.6, 1.0, 2.0), "σ, pixels"),
    ("downscaling", scaled, (0.75, 0.5, 0.33), "scale"),
    ("JPEG", jpeg, (85, 60, 30), "quality"),
    ("sigma filter", denoised, (5, 10, 20), "grey levels"),
    ("median", median, (3, 5, 7), "pixels"),
)
GAINS: tuple[tuple[str, Plant, tuple[float, ...], str], ...] = (
    ("white noise", _noise, (2, 4, 8, 16), "σ per channel"),
    ("unsharp mask", sharpened, (50, 100, 200), "per cent"),
)
CONTRASTS = (_contrast, (0.6, 0.8, 1.2))
