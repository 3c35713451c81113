"""Cut lines out of an image and straighten them, with more or less margin."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.reading.images import Pixels
from qiltest.reading.quad import COLUMN_RATIO

#: Four points, clockwise from top left, shape (4, 2), pixels.
Quad = NDArray[np.float32]


def cut(bgr: Pixels, quad: Quad) -> Pixels:
    """Straighten one quadrilateral of an image into a rectangle; beyond the image its edge is repeated."""
    top, right, bottom, left = (float(np.linalg.norm(quad[i] - quad[(i + 1) % 4])) for i in range(4))
    width, height = max(1, int(max(top, bottom))), max(1, int(max(right, left)))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(quad, corners)
    flat = cv2.warpPerspective(bgr, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC)
    return np.asarray(flat, dtype=np.uint8)


def extent(quad: Quad) -> tuple[float, float]:
    """Mean width and height of a box, pixels."""
    right, down = _sides(quad)
    return max(1.0, float(np.linalg.norm(right))), max(1.0, float(np.linalg.norm(down)))


def _sides(quad: Quad) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean vectors along the writing and across it."""
    return (quad[1] - quad[0] + quad[2] - quad[3]) / 2, (quad[3] - quad[0] + quad[2] - quad[1]) / 2


def is_column(quad: Quad) -> bool:
    """Return whether a box is so high that its text is a vertical column."""
    width, height = extent(quad)
    return height >= COLUMN_RATIO * width


def upright(crop: Pixels) -> Pixels:
    """Lay a vertical column on its side, the way the recogniser was trained to read it."""
    height, width = crop.shape[:2]
    return np.ascontiguousarray(np.rot90(crop)) if height >= COLUMN_RATIO * width else crop


def grown(quad: Quad, along: float, across: float) -> Quad:
    """Move the sides of a box outwards, along the writing and across it, in units of the writing's size."""
    right, down = _sides(quad)
    width, height = float(np.linalg.norm(right)), float(np.linalg.norm(down))
    if min(width, height) < 1:
        return quad
    if height >= COLUMN_RATIO * width:
        along, across = across, along
    size = min(width, height)
    x, y = right / width * along * size, down / height * across * size
    return np.asarray(quad + np.array([-x - y, x - y, x + y, y - x]), dtype=np.float32)


def lengthened(quad: Quad, before: float, after: float) -> Quad:
    """Move the start and the end of a row outwards, in units of the writing's size."""
    right, down = _sides(quad)
    width, height = float(np.linalg.norm(right)), float(np.linalg.norm(down))
    if min(width, height) < 1:
        return quad
    step = right / width * min(width, height)
    start, end = -before * step, after * step
    return np.asarray(quad + np.array([start, end, end, start]), dtype=np.float32)
