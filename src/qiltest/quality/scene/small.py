"""The small copy on which a scene is measured, and where text is on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from qiltest.quality.planes import Pixels
from qiltest.reading.records import Line

#: Longer side of the small copy in pixels. Fine enough for what fills an image, too coarse for noise, JPEG and detail.
LONG = 256
#: Margin around a line of text: a share of its height, and at least so many pixels of the small copy.
MARGIN, LEAST_MARGIN = 0.3, 1.5

Lab = NDArray[np.float32]
Free = NDArray[np.bool_]

#: sRGB to CIE XYZ, D65 (IEC 61966-2-1), each row divided by the white's X, Y or Z.
_TO_XYZ = np.array(
    [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ],
    dtype=np.float32,
)
#: Where the cube root of CIE Lab becomes a line, and the line's slope (CIE 15:2004).
_DARK, _SLOPE = 216 / 24389, 24389 / 27


@dataclass(frozen=True, kw_only=True)
class SmallCopy:
    """A small copy of an image in CIE Lab (height x width x 3), and the size of the image in pixels."""

    lab: Lab
    width: int
    height: int

    @classmethod
    def of(cls, pixels: Pixels) -> SmallCopy:
        """Shrink RGB pixels (height x width x 3, 8 bits) by averaging, so that the longer side has at most `LONG`."""
        height, width = pixels.shape[:2]
        scale = min(1.0, LONG / max(width, height))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = Image.fromarray(pixels)
        small = image if size == image.size else image.resize(size, Image.Resampling.BOX)
        return cls(lab=to_lab(np.asarray(small)), width=width, height=height)

    def outside(self, lines: Sequence[Line]) -> Free:
        """Return which pixels of the copy no line of text covers, given the lines of a reading of the image."""
        rows, columns = self.lab.shape[:2]
        scale = np.array([columns / self.width, rows / self.height])
        covered = Image.new("1", (columns, rows))
        pen = ImageDraw.Draw(covered)
        for line in lines:
            _cover(pen, np.asarray(line.box, dtype=np.float64) * scale)
        return ~np.asarray(covered)


def to_lab(pixels: Pixels) -> Lab:
    """Return sRGB pixels as CIE Lab, D65: L from 0 to 100."""
    value = np.arange(256) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)
    xyz = linear[pixels] @ _TO_XYZ.T
    root = np.where(xyz > _DARK, np.cbrt(xyz), (np.float32(_SLOPE) * xyz + 16) / 116)
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def _cover(pen: ImageDraw.ImageDraw, corners: NDArray[np.float64]) -> None:
    """Draw a line's quadrilateral with its margin."""
    sides = np.hypot(*(corners - np.roll(corners, -1, axis=0)).T)
    height = min((sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2)
    radius = max(LEAST_MARGIN, MARGIN * float(height))
    points = [(float(x), float(y)) for x, y in corners]
    pen.polygon(points, fill=1)
    pen.line([*points, points[0]], fill=1, width=round(2 * radius))
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
