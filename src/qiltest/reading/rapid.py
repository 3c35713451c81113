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

from qiltest.errors import ReaderError
from qiltest.reading.crops import Quad, cut, grown, upright
from qiltest.reading.looks import VIEWS, View, confidence, looked
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


class RapidReader:
    """RapidOCR's detector with a recogniser that keeps every line and each character's confidence."""

    def __init__(self, *, looks: int = len(VIEWS), threads: int = 0, pins: Mapping[str, str] | None = None) -> None:
        """Load both models.

        `looks`: most looks at a line, 1 for a single one (faster, worse). `threads`: 0 for as many as there are cores.
        `pins`: file name to SHA-256; another hash is refused. Raises ReaderError.
        """
        if not 1 <= looks <= len(VIEWS):
            raise ReaderError(f"looks={looks}", where="reader rapidocr", remedy=f"give 1 to {len(VIEWS)}")
        self._views = VIEWS[:looks]
        folder = _models_folder()
        files = [folder / DETECTOR, folder / RECOGNISER]
        require_files(files, reader="rapidocr", remedy="pip install --force-reinstall 'rapidocr==3.10.*'")
        require_hashes(files, pins or {}, reader="rapidocr")
        self._detect = _detector(threads)
        self._recogniser = _recogniser(folder / RECOGNISER, threads)
        self._info = ReaderInfo(
            name="rapidocr",
            engine="rapidocr/PP-OCRv6-small",
            version=metadata.version("rapidocr"),
            weights_sha256=combined_sha256(files),
            settings=tuple(sorted((key, str(value)) for key, value in {**DETECTION, "looks": looks}.items())),
        )

    @property
    def info(self) -> ReaderInfo:
        """Identity of the reader."""
        return self._info

    def read(self, picture: Path | bytes) -> Reading:
        """Read one picture; a picture without text gives no lines. Raises ReaderError where it cannot be decoded."""
        started = time.perf_counter()
        bgr = np.ascontiguousarray(load_picture(picture)[:, :, ::-1])
        lines = tuple(line for quad in self.boxes(bgr) if (line := self.line(bgr, quad)) is not None)
        height, width = bgr.shape[:2]
        seconds = time.perf_counter() - started
        return Reading(reader=self._info, width=width, height=height, lines=lines, seconds=seconds)

    def boxes(self, bgr: Pixels) -> list[Quad]:
        """Quadrilaterals that hold text (4 points, clockwise from top left, pixels), top to bottom."""
        found = self._detect(bgr, use_det=True, use_cls=False, use_rec=False).boxes
        return [] if found is None else [np.asarray(box, dtype=np.float32) for box in found]

    def characters(self, bgr: Pixels, quad: Quad) -> tuple[Character, ...]:
        """Recognise what stands in one quadrilateral, by as many looks as it takes."""
        return looked(lambda view: self._recogniser.read(seen(bgr, quad, view)), self._views)

    def line(self, bgr: Pixels, quad: Quad) -> Line | None:
        """Read one quadrilateral; None where nothing stands in it."""
        found = self.characters(bgr, quad)
        text = "".join(character.text for character in found)
        if not text.strip():
            return None
        return Line(
            text=text,
            box=_points(quad),
            confidence=round(confidence(found), 5),
            characters=tuple(round(character.confidence, 5) for character in found),
        )


def seen(bgr: Pixels, quad: Quad, view: View) -> Pixels:
    """Cut one line out of the picture the way that `view` says, upright."""
    crop = upright(cut(bgr, grown(quad, view.along, view.across)))
    if view.stretch == 1.0:
        return crop
    height, width = crop.shape[:2]
    return np.asarray(cv2.resize(crop, (max(1, round(width * view.stretch)), height)), dtype=np.uint8)


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
