"""Give tall images margins at their sides, as RapidOCR gives wide ones above and below.

Its detector enlarges an image until the shorter side has 736 pixels. It has cut a wide image down to 8 to 1 before; a
tall one of 1 to 32 became 736 x 23,552, and took 5.6 GB.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr.crops import Quad

#: sides from which RapidOCR widens an image, to half of that (its `width_height_ratio`); an image of 1 to 8 has none.
MOST = 8
#: longest side that RapidOCR detects at (its `max_side_len`).
LONGEST = 2_000


def with_margins(bgr: Pixels, detect: Callable[[Pixels], list[Quad]]) -> list[Quad]:
    """Return the boxes that `detect` finds in an image, in its pixels; a tall one is given with black margins."""
    height, width = bgr.shape[:2]
    if height <= MOST * width:
        return detect(bgr)
    scale = min(1.0, LONGEST / height)
    size = max(1, round(width * scale)), round(height * scale)
    copy = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
    side = (2 * size[1] // MOST - size[0]) // 2
    widened = cv2.copyMakeBorder(copy, 0, 0, side, side, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    back, most = np.array([width / size[0], height / size[1]], np.float32), np.array([width, height], np.float32)
    found = detect(np.asarray(widened, dtype=np.uint8))
    return [np.clip((quad - np.array([side, 0], np.float32)) * back, 0, most).astype(np.float32) for quad in found]
