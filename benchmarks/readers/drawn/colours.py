"""Colours, luminance and contrast (WCAG 2.2)."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
#: of linear red, green and blue (ITU-R BT.709).
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def luminance(colour: Colour) -> float:
    """Relative luminance of a colour, 0 to 1 (WCAG 2.2)."""
    return float(_linear(np.asarray(colour, dtype=np.float64)) @ _WEIGHTS)


def contrast(first: float, second: float) -> float:
    """Contrast ratio of two luminances, 1 to 21 (WCAG 2.2)."""
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


def luminances(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative luminance of pixels, shape (..., 3), 0 to 255."""
    return np.asarray(_linear(pixels) @ _WEIGHTS)


def _linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    share = values / 255
    return np.asarray(np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return a colour by hue, saturation and value, each 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; `share` is that of the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def opposite(ink: Colour) -> Colour:
    """Return nearly black for light inks, nearly white for dark ones."""
    return (16, 14, 20) if luminance(ink) > 0.25 else (240, 238, 230)
