"""Separate the ink of a line of writing from its background, and measure its glyphs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.images import Pixels

#: Height that lines are scaled to before they are measured, in pixels.
HEIGHT = 96
#: Specks of a smaller height than this share of the line's are no ink.
SPECK = 0.15
#: Parts that overlap along the line by this share of the narrower one are one glyph, as an i and its dot.
OVERLAP = 0.5
#: Least separation of ink and ground (between-class variance by total variance, Otsu 1979) to measure anything.
CONTRAST = 0.6

Mask = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Glyph:
    """Extent of connected ink, in pixels of the line's crop."""

    left: float
    right: float
    top: float
    bottom: float

    @property
    def centre(self) -> float:
        """Middle along the line."""
        return (self.left + self.right) / 2


def glyphs(crop: Pixels) -> tuple[Glyph, ...]:
    """Return the glyphs of a row of writing (BGR), left to right, without those that touch the upper or lower edge."""
    scale = HEIGHT / crop.shape[0]
    size = (max(1, round(crop.shape[1] * scale)), HEIGHT)
    scaled = cv2.resize(crop, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    mask = ink(np.asarray(scaled, dtype=np.uint8))
    if mask is None:
        return ()
    count, _, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts: list[Glyph] = []
    for left, top, width, height, _ in boxes[1:count]:
        if height >= SPECK * HEIGHT and top > 0 and top + height < HEIGHT:
            edges = (left / scale, (left + width) / scale, top / scale, (top + height) / scale)
            parts.append(Glyph(left=edges[0], right=edges[1], top=edges[2], bottom=edges[3]))
    return _joined(sorted(parts, key=lambda part: (part.left, part.top)))


def ink(bgr: Pixels) -> Mask | None:
    """Return a mask of the ink (1), from the channel that separates it best (Otsu 1979); None where none does.

    Ink covers less than half of a line, however bold.
    """
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    channels = [grey, *cv2.split(bgr)]
    found = [_parted(np.asarray(channel, dtype=np.uint8)) for channel in channels]
    contrast, mask = max(found, key=lambda item: item[0])
    if contrast < CONTRAST:
        return None
    return mask if mask.mean() < 0.5 else np.asarray(1 - mask, dtype=np.uint8)


def _parted(channel: NDArray[np.uint8]) -> tuple[float, Mask]:
    """Return how well a threshold separates a channel, and the mask of its bright part."""
    _, mask = cv2.threshold(channel, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright = mask.astype(bool)
    total, share = float(channel.var()), float(bright.mean())
    if total == 0 or share in (0.0, 1.0):
        return 0.0, np.asarray(mask, dtype=np.uint8)
    apart = float(channel[bright].mean()) - float(channel[~bright].mean())
    return share * (1 - share) * apart * apart / total, np.asarray(mask, dtype=np.uint8)


def _joined(parts: list[Glyph]) -> tuple[Glyph, ...]:
    found: list[Glyph] = []
    for part in parts:
        if found and _overlap(found[-1], part):
            last = found.pop()
            part = Glyph(
                left=min(last.left, part.left),
                right=max(last.right, part.right),
                top=min(last.top, part.top),
                bottom=max(last.bottom, part.bottom),
            )
        found.append(part)
    return tuple(found)


def _overlap(first: Glyph, second: Glyph) -> bool:
    shared = min(first.right, second.right) - max(first.left, second.left)
    return shared >= OVERLAP * min(first.right - first.left, second.right - second.left)
