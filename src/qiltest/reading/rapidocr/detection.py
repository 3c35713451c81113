"""Find the boxes of text in an image with RapidOCR's detector: at the image's own scale, and on a small copy of it.

The detector was trained on letters of some tens of pixels. Letters of several hundred it loses, cuts in pieces or takes
for several lines; on a small copy they are as large as those that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr.crops import Quad

#: Measured (docs/measurements/readers.md): the wheel's own settings merge neighbouring lines and cut thin ones.
#: The 180 degree classifier stays off: it turned correct lines of digits upside down.
DETECTION: Mapping[str, float | bool] = {"thresh": 0.2, "box_thresh": 0.4, "unclip_ratio": 1.4, "use_dilation": False}
#: Longest side of the small copy that the second detection sees, in pixels.
SMALL = 256
#: An image is reduced to this many times `SMALL` by averaging areas; the engine takes the rest by interpolation. So
#: thin strokes are not skipped, and a box is rounded to half a pixel of the small copy, not to a whole one.
FINER = 3


class Detector:
    """RapidOCR's detector, opened at two scales."""

    def __init__(self, threads: int) -> None:
        """Open the detector; `threads`: threads of its network."""
        self._own = _engine(threads, {})
        self._small = _engine(threads, {"Det.limit_type": "max", "Det.limit_side_len": SMALL})

    def boxes(self, bgr: Pixels) -> list[Quad]:
        """Return the quadrilaterals with text (4 points, clockwise from top left, pixels), top to bottom."""
        return _boxes(self._own, bgr)

    def boxes_of_copy(self, bgr: Pixels) -> list[Quad]:
        """Return what the detector finds on a small copy, in pixels of the image: good for large writing alone."""
        height, width = bgr.shape[:2]
        scale = min(1.0, FINER * SMALL / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        copy = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        back = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return [quad * back for quad in _boxes(self._small, copy)]


def _boxes(engine: Any, bgr: Pixels) -> list[Quad]:  # noqa: ANN401 -- the engine has no types
    found = engine(bgr, use_det=True, use_cls=False, use_rec=False).boxes
    return [] if found is None else [np.asarray(box, dtype=np.float32) for box in found]


def _engine(threads: int, settings: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- the engine has no types
    from rapidocr import RapidOCR

    parameters: dict[str, Any] = {f"Det.{key}": value for key, value in DETECTION.items()}
    parameters |= {"Global.use_cls": False, "Global.log_level": "error"}
    parameters |= {
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
    }
    return RapidOCR(params=parameters | dict(settings))
