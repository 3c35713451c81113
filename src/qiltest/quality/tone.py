"""Contrast, clipping and saturation of an image, to find blank, near-uniform, clipped and over-saturated ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qiltest.quality.planes import Pixels

#: Step between the rows and columns that are measured: enough for shares and means.
STEP = 3


@dataclass(frozen=True, kw_only=True)
class Tone:
    """Statistics of an image's values."""

    #: largest standard deviation of a colour channel, in 8-bit units.
    spread: float
    #: share of channel values that are 0 or 255.
    clipped: float
    #: mean chroma: largest less smallest channel of a pixel, as a share of 255.
    saturation: float


def tone(pixels: Pixels) -> Tone:
    """Measure RGB pixels (height x width x 3, 8 bits), every third in both directions."""
    red, green, blue = (np.ascontiguousarray(pixels[::STEP, ::STEP, channel]) for channel in range(3))
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    channels = (red, green, blue)
    return Tone(
        spread=max(float(channel.std(dtype=np.float32)) for channel in channels),
        clipped=float(np.mean([np.mean((channel == 0) | (channel == 255)) for channel in channels])),
        saturation=float(chroma.mean()) / 255.0,
    )
