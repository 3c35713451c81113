"""Turn the colours around one character into how much ink there is, 0 to 1, whatever the colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.images import Pixels

Ink = NDArray[np.float32]
#: Least separation of ink and ground (between-class variance by total variance, Otsu 1979). Plain noise has 0.64.
CONTRAST = 0.64
#: Least distance of the two colours, of 255: below it they are shades of one.
DISTANCE = 20.0
#: Half the width of what decides on a character's colours, in the height of its line: what stands beside it, such as
#: the edge of a sign, does not.
CELL = 0.55
#: What the surroundings say of the ground counts so much, what the line itself says 1.
NEXT = 0.25


@dataclass(frozen=True, kw_only=True)
class Inked:
    """A window's colours, projected on the line between its two colours."""

    #: 0 at the darker colour, 1 at the brighter one.
    level: Ink
    #: whether the brighter colour is the ink: above 0 it is, the surer the larger; at most 1.25.
    bright: float
    #: from the darker to the brighter colour, RGB, of length 1.
    axis: NDArray[np.float64]

    def ink(self, *, bright: bool) -> Ink:
        """Return the ink: about 0 on the ground, 1 in strokes."""
        return self.level if bright else np.asarray(1 - self.level, dtype=np.float32)


def inked(window: Pixels, inside: slice, near: NDArray[np.intp]) -> Inked | None:
    """Find the two colours of a window, RGB; None where no two stand out from each other.

    `inside`: the rows of the line's box; their middle, where the character is, decides on the colours. `near`: the rows
    just above and below it. Ink covers less than half of the square around the character, and less than half of what is
    next to it.

    The colours are projected on the line between the means of the two classes that Otsu's threshold makes of the
    channel with the best separation, so that red on green of equal brightness is seen.
    """
    middle, half = window.shape[1] // 2, round(CELL * (inside.stop - inside.start))
    cell = slice(middle - half, middle + half)
    some = np.ascontiguousarray(window[inside, cell])
    channels = [cv2.cvtColor(some, cv2.COLOR_RGB2GRAY), *cv2.split(some)]
    parted = [_parted(np.ascontiguousarray(channel, dtype=np.uint8)) for channel in channels]
    best = max(range(len(parted)), key=lambda i: parted[i][0])
    contrast, mask = parted[best]
    if contrast < CONTRAST:
        return None
    low = np.array(cv2.mean(some, np.asarray(1 - mask, dtype=np.uint8))[:3])
    axis = np.array(cv2.mean(some, mask)[:3]) - low
    if float(np.abs(axis).max()) < DISTANCE:
        return None
    weights = axis / float(axis @ axis)
    turn = np.array([[*weights, -float(low @ weights)]])
    level = np.asarray(cv2.transform(window.astype(np.float32), turn), dtype=np.float32)
    above = level[:, cell] > 0.5
    bright = 1.0 - 2.0 * float(above[inside].mean()) + NEXT * (1.0 - 2.0 * float(above[near].mean()))
    return Inked(level=level, bright=bright, axis=axis / float(np.linalg.norm(axis)))


def normalised(ink: Ink) -> Ink:
    """Stretch ink so that the ground is 0 and strokes are 1: the 5th and 97th percentile, as in training."""
    low, high = np.percentile(ink, (5, 97))
    return np.asarray(np.clip((ink - low) / (high - low + 1e-3), -0.2, 1.2), dtype=np.float32)


def _parted(channel: NDArray[np.uint8]) -> tuple[float, NDArray[np.uint8]]:
    """Return how well the best threshold separates a channel, and what is brighter (1)."""
    _, mask = cv2.threshold(channel, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright = np.asarray(mask, dtype=np.uint8)
    total, share = float(channel.var()), float(bright.mean())
    if total == 0 or share in (0.0, 1.0):
        return 0.0, bright
    apart = cv2.mean(channel, bright)[0] - cv2.mean(channel, np.asarray(1 - bright, dtype=np.uint8))[0]
    return share * (1 - share) * apart * apart / total, bright
