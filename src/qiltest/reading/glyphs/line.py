"""A line of writing cut out of an image: straight, of a fixed height, a column turned so that it runs along columns."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.images import Pixels
from qiltest.reading.quad import Quad, extent, is_column

#: Height that a line's box has when it is cut out, and the margin around it, pixels.
LINE, MARGIN = 64, 24
#: A longer line, in its height, is not cut: 200 characters of print have 120.
LONGEST = 150.0


@dataclass(frozen=True, kw_only=True)
class Along:
    """A line whose writing runs along axis 1, from `MARGIN` on. A column is transposed: its characters lie mirrored."""

    pixels: Pixels
    #: from pixels of the line (along, across) to those of the image, shape (3, 3).
    to_image: NDArray[np.float64]
    column: bool
    #: pixels of the image per pixel of the line.
    scale: float
    #: of the box along the writing, in pixels of the line.
    length: float

    def window(self, centre: float, reach: float) -> Pixels:
        """Return the part of the line within `reach` of a place; beyond its ends the last pixels are repeated."""
        first = round(centre - reach)
        places = np.clip(np.arange(first, first + 2 * round(reach)), 0, self.pixels.shape[1] - 1)
        return np.ascontiguousarray(self.pixels[:, places])

    def rectangle(self, middle: tuple[float, float], size: tuple[float, float]) -> Quad:
        """Return a rectangle, (along, across), as a quadrilateral of the image, clockwise from top left as read."""
        half_along, half_across = size[0] / 2, size[1] / 2
        corners = [(-half_along, -half_across), (half_along, -half_across), (half_along, half_across)]
        corners.append((-half_along, half_across))
        if self.column:
            corners = [corners[0], corners[3], corners[2], corners[1]]
        along, across = middle
        points = np.array([(along + x, across + y, 1.0) for x, y in corners]) @ self.to_image.T
        a, b, c, d = ((float(x / w), float(y / w)) for x, y, w in points)
        return a, b, c, d


def upright(image: Pixels, box: Quad, *, several: bool) -> Along | None:
    """Cut a line out of an image; None where it is too thin or too long. `several`: it may be a column."""
    width, height = extent(box)
    column = several and is_column(box)
    long, short = (height, width) if column else (width, height)
    if short < 2 or long > LONGEST * short:
        return None
    scale = short / LINE
    # Cut at the image's own scale, then average: interpolation alone skips strokes of large writing.
    fine = max(1.0, scale)
    size = round((long / scale + 2 * MARGIN) * fine), round((LINE + 2 * MARGIN) * fine)
    a, b, c, d = box
    corners = (a, d, c, b) if column else (a, b, c, d)
    length = long / scale
    inside = np.array([[0, 0], [length, 0], [length, LINE], [0, LINE]], dtype=np.float32) + MARGIN
    to_image = cv2.getPerspectiveTransform(inside, np.array(corners, dtype=np.float32))
    # the centre of the first pixel lies half a pixel inside it
    shrink = np.array([[1 / fine, 0, 0.5 / fine], [0, 1 / fine, 0.5 / fine], [0, 0, 1]])
    matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]) @ to_image @ shrink
    flat = cv2.warpPerspective(
        image, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    if fine > 1:
        flat = cv2.resize(flat, (round(length + 2 * MARGIN), LINE + 2 * MARGIN), interpolation=cv2.INTER_AREA)
    return Along(
        pixels=np.asarray(flat, dtype=np.uint8),
        to_image=np.asarray(to_image),
        column=column,
        scale=scale,
        length=length,
    )
