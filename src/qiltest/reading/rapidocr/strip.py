"""A line cut out anew to settle a doubt: with a margin measured in the writing's height, and its ink in parts.

All measures of a strip are in units of the writing's size, the shorter side of its box: x runs along the line from the
side where the box begins, y down from its upper side. What lies in the margin has an x below 0 or above `length`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr.crops import Quad, cut, extent, grown
from qiltest.reading.rapidocr.ink import Mask, ink

#: Height that the box has in a strip, pixels.
SIZE = 64
#: Margins along and across the writing, in its size. Along: a bullet stands up to 0.9 before its line.
ALONG, ACROSS = 1.0, 0.15
#: A longer line, in its size, is not measured: 200 characters of print have 120.
LONGEST = 150.0
#: Parts are no specks if they are this long one way, and cover this area.
LEAST, LEAST_AREA = 0.05, 0.003
#: Parts of less height than this are no glyph of their own: dots, quotation marks.
SPECK = 0.21
#: Parts that overlap along the line by this share of the narrower one are one glyph, as an i and its dot.
OVERLAP = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Glyph:
    """Extent of ink that belongs together."""

    left: float
    right: float
    top: float
    bottom: float
    #: what is inked of it, in the size of the writing squared; 0: not known.
    area: float = 0.0
    #: length and width of the smallest rectangle around it, in whatever direction; 0: not known, or not in one piece.
    long: float = 0.0
    thick: float = 0.0

    @property
    def centre(self) -> float:
        """Middle along the line."""
        return (self.left + self.right) / 2

    @property
    def width(self) -> float:
        """Extent along the line."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent across the line."""
        return self.bottom - self.top

    @property
    def filled(self) -> float:
        """Share of its rectangle that is ink, of the smallest in whatever direction if that is known; 0: not known."""
        return self.area / max(self.long * self.thick or self.width * self.height, 1e-9)

    @property
    def slender(self) -> float:
        """Width by height, or by length where the smallest rectangle is known: a slanted stem is no wider."""
        return self.thick / self.long if self.long else self.width / max(self.height, 1e-9)

    def mirrored(self, length: float) -> Glyph:
        """Return the same ink on a line of this length that runs the other way."""
        return replace(self, left=length - self.right, right=length - self.left)

    def overlaps(self, other: Glyph) -> bool:
        """Return whether the narrower of the two lies over or under the other."""
        shared = min(self.right, other.right) - max(self.left, other.left)
        return shared >= OVERLAP * min(self.width, other.width)


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The ink of one line and its surroundings."""

    #: extent of the box along the line, in its size.
    length: float
    #: connected ink by its left edge, without specks and what reaches beyond the strip.
    parts: tuple[Glyph, ...]

    @property
    def glyphs(self) -> tuple[Glyph, ...]:
        """The ink within the box, left to right, an i and its dot as one, without small marks."""
        return joined([part for part in self.parts if part.height >= SPECK and 0 <= part.centre <= self.length])


def strip(bgr: Pixels, quad: Quad) -> Strip | None:
    """Cut a row of writing out of an image (BGR); None where its ink does not stand out or it is too long."""
    width, height = extent(quad)
    size = min(width, height)
    if width > LONGEST * size:
        return None
    crop = cut(bgr, grown(quad, ALONG, ACROSS))
    scale = SIZE / size
    shape = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    scaled = cv2.resize(crop, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    along, across = round(ALONG * SIZE), round(ACROSS * SIZE)
    # What lies around the box, such as the edge of a sign, does not decide what is ink.
    mask = ink(np.asarray(scaled, dtype=np.uint8), (slice(across, -across), slice(along, -along)))
    if mask is None:
        return None
    return Strip(length=width / size, parts=_parts(mask, along, across))


def _parts(mask: Mask, along: int, across: int) -> tuple[Glyph, ...]:
    height, width = mask.shape
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found: list[Glyph] = []
    for label, (left, top, wide, high, area) in enumerate(boxes[1:count].tolist(), start=1):
        whole = left > 0 and top > 0 and left + wide < width and top + high < height
        if whole and max(wide, high) >= LEAST * SIZE and area >= LEAST_AREA * SIZE * SIZE:
            x, y = left - along, top - across
            sides = {"left": x / SIZE, "right": (x + wide) / SIZE, "top": y / SIZE, "bottom": (y + high) / SIZE}
            long, thick = _smallest(labels[top : top + high, left : left + wide] == label) if high > wide else (0, 0)
            found.append(Glyph(**sides, area=area / SIZE**2, long=long / SIZE, thick=thick / SIZE))
    return tuple(sorted(found, key=lambda part: (part.left, part.top)))


def _smallest(part: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the length and width of the smallest rectangle around the pixels of one part."""
    _, (one, other), _ = cv2.minAreaRect(np.argwhere(part).astype(np.float32))
    # a rectangle through the pixels' centres is one pixel short either way
    return max(one, other) + 1, min(one, other) + 1


def joined(parts: Sequence[Glyph]) -> tuple[Glyph, ...]:
    """Join parts, left to right, that stand over each other."""
    found: list[Glyph] = []
    for part in parts:
        if found and found[-1].overlaps(part):
            last = found.pop()
            part = Glyph(
                left=min(last.left, part.left),
                right=max(last.right, part.right),
                top=min(last.top, part.top),
                bottom=max(last.bottom, part.bottom),
                area=last.area + part.area,
            )
        found.append(part)
    return tuple(found)
