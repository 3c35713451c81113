"""Separate the ink of a line of writing from its background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.images import Pixels

#: Least separation of ink and ground (between-class variance by total variance, Otsu 1979) to measure anything. Noise
#: of a normal distribution has 0.64, writing above 0.7.
CONTRAST = 0.68

Mask = NDArray[np.uint8]
Channel = NDArray[np.uint8]


def ink(bgr: Pixels, inside: tuple[slice, slice] = (slice(None), slice(None))) -> Mask | None:
    """Return a mask of the ink (1), from the channel that separates it best (Otsu 1979); None where none does.

    `inside`: the part of the cut-out (rows, columns) that decides, where the writing is. Ink covers less than half of
    it, however bold.
    """
    channels = [np.asarray(each, dtype=np.uint8) for each in (cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), *cv2.split(bgr))]
    found = [(*_parted(np.ascontiguousarray(channel[inside])), channel) for channel in channels]
    contrast, threshold, channel = max(found, key=lambda item: item[0])
    if contrast < CONTRAST:
        return None
    bright = np.asarray(channel > threshold, dtype=np.uint8)
    return bright if bright[inside].mean() < 0.5 else np.asarray(1 - bright, dtype=np.uint8)


def _parted(channel: Channel) -> tuple[float, float]:
    """Return how well the best threshold separates a channel, and that threshold."""
    if not channel.size:
        return 0.0, 0.0
    threshold, mask = cv2.threshold(channel, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright = mask.astype(bool)
    total, share = float(channel.var()), float(bright.mean())
    if total == 0 or share in (0.0, 1.0):
        return 0.0, threshold
    apart = float(channel[bright].mean()) - float(channel[~bright].mean())
    return share * (1 - share) * apart * apart / total, threshold
