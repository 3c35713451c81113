"""RapidOCR with the PP-OCRv6 small models of its wheel: the default reader.

Reads simplified and traditional Chinese and English in one pass, vertical columns too, offline.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.errors import ReaderError
from qiltest.reading.pictures import Pixels, load_picture
from qiltest.reading.records import Line, Point, ReaderInfo, Reading
from qiltest.reading.weights import combined_sha256, require_files, require_hashes

if TYPE_CHECKING:
    from qiltest.reading.ctc import Character, Recogniser

DETECTOR, RECOGNISER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
#: Chosen by measurement (docs/reading.md): the wheel's defaults merge neighbouring lines and cut thin ones.
#: The 180 degree classifier stays off: it turned correct lines of digits upside down.
DETECTION: Mapping[str, float | bool] = {
    "thresh": 0.2,
    "box_thresh": 0.4,
    "unclip_ratio": 1.4,
    "use_dilation": False,
}
#: A box this many times higher than wide holds a vertical column.
COLUMN_RATIO = 1.5

Quad = NDArray[np.float32]


class RapidReader:
    """RapidOCR's detector with a recogniser that keeps every line and each character's confidence."""

    def __init__(self, *, threads: int = 0, pins: Mapping[str, str] | None = None) -> None:
        """Load both models. `pins`: file name to SHA-256; another hash is refused. Raises ReaderError."""
        folder = _models_folder()
        files = [folder / DETECTOR, folder / RECOGNISER]
        require_files(files, reader="rapidocr", remedy="pip install --force-reinstall 'rapidocr>=3.10'")
        require_hashes(files, pins or {}, reader="rapidocr")
        self._detect = _detector(threads)
        self._recogniser = _recogniser(folder / RECOGNISER, threads)
        self._info = ReaderInfo(
            name="rapidocr",
            engine="rapidocr/PP-OCRv6-small",
            version=metadata.version("rapidocr"),
            weights_sha256=combined_sha256(files),
            settings=tuple(sorted((key, str(value)) for key, value in DETECTION.items())),
        )

    @property
    def info(self) -> ReaderInfo:
        """Identity of the reader."""
        return self._info

    def read(self, picture: Path | bytes) -> Reading:
        """Read one picture; a picture without text gives no lines. Raises ReaderError where it cannot be decoded."""
        started = time.perf_counter()
        bgr = load_picture(picture)[:, :, ::-1]
        lines = tuple(line for quad in self.boxes(bgr) if (line := self.line(bgr, quad)) is not None)
        height, width = bgr.shape[:2]
        seconds = time.perf_counter() - started
        return Reading(reader=self._info, width=width, height=height, lines=lines, seconds=seconds)

    def boxes(self, bgr: Pixels) -> list[Quad]:
        """Quadrilaterals that hold text (4 points, clockwise from top left, pixels), top to bottom."""
        found = self._detect(np.ascontiguousarray(bgr), use_det=True, use_cls=False, use_rec=False).boxes
        return [] if found is None else [np.asarray(box, dtype=np.float32) for box in found]

    def characters(self, bgr: Pixels, quad: Quad) -> tuple[Character, ...]:
        """Recognise what stands in one quadrilateral."""
        return self._recogniser.read(upright(cut(bgr, quad)))

    def line(self, bgr: Pixels, quad: Quad) -> Line | None:
        """Read one quadrilateral; None where nothing stands in it."""
        found = self.characters(bgr, quad)
        text = "".join(character.text for character in found)
        if not text.strip():
            return None
        confidences = tuple(round(character.confidence, 5) for character in found)
        return Line(
            text=text,
            box=_points(quad),
            confidence=round(sum(confidences) / len(confidences), 5),
            characters=confidences,
        )


def cut(bgr: Pixels, quad: Quad) -> Pixels:
    """Straighten one quadrilateral of a picture into a rectangle."""
    top, right, bottom, left = (float(np.linalg.norm(quad[i] - quad[(i + 1) % 4])) for i in range(4))
    width, height = max(1, int(max(top, bottom))), max(1, int(max(right, left)))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(quad, corners)
    flat = cv2.warpPerspective(bgr, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE, flags=cv2.INTER_CUBIC)
    return np.asarray(flat, dtype=np.uint8)


def upright(crop: Pixels) -> Pixels:
    """Lay a vertical column on its side, the way the recogniser was trained to read it."""
    height, width = crop.shape[:2]
    return np.ascontiguousarray(np.rot90(crop)) if height >= COLUMN_RATIO * width else crop


def _points(quad: Quad) -> tuple[Point, Point, Point, Point]:
    a, b, c, d = ((float(x), float(y)) for x, y in quad)
    return a, b, c, d


def _models_folder() -> Path:
    try:
        import rapidocr
    except ImportError as error:
        raise ReaderError(
            f"not installed ({error})", where="reader rapidocr", remedy="pip install 'rapidocr>=3.10' onnxruntime"
        ) from error
    return Path(rapidocr.__file__).parent / "models"


def _detector(threads: int) -> Any:  # noqa: ANN401 -- the engine has no types
    from rapidocr import RapidOCR

    parameters: dict[str, Any] = {f"Det.{key}": value for key, value in DETECTION.items()}
    parameters |= {"Global.use_cls": False, "Global.log_level": "error"}
    if threads:
        parameters["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
    return RapidOCR(params=parameters)


def _recogniser(weights: Path, threads: int) -> Recogniser:
    from qiltest.reading.ctc import Recogniser

    return Recogniser(weights, threads=threads)
