"""The default reader: RapidOCR with the PP-OCRv6 small models of its wheel, for Chinese and English, offline."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from qiltest.errors import ReaderError
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.rapidocr.apostrophes import with_apostrophes
from qiltest.reading.rapidocr.blocks import blocks
from qiltest.reading.rapidocr.crops import Quad, cut, extent, grown, is_column, upright
from qiltest.reading.rapidocr.detection import DETECTION, Detector
from qiltest.reading.rapidocr.digit_one import SEEN
from qiltest.reading.rapidocr.doubts import settled
from qiltest.reading.rapidocr.end_marks import Written, without_pieces
from qiltest.reading.rapidocr.han import by_strokes
from qiltest.reading.rapidocr.margins import with_margins
from qiltest.reading.rapidocr.second_detection import better, differences
from qiltest.reading.rapidocr.views import DOUBT, MISSED, NOISE, VIEWS, View, looked
from qiltest.reading.rapidocr.ways import way_of
from qiltest.reading.records import Line, Point, ReaderInfo, Reading
from qiltest.reading.stroke_check import judged, shipped_network
from qiltest.reading.version import READING_VERSION
from qiltest.reading.weights import combined_sha256, refuse_unknown_pins, require_files, require_hashes

if TYPE_CHECKING:
    from qiltest.reading.rapidocr.ctc import Recogniser, Recognition

DETECTOR, RECOGNISER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
#: SHA-256 of the weights that the limits and noise floors of this repository were measured with.
PINNED: Mapping[str, str] = {
    DETECTOR: "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    RECOGNISER: "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}
#: Lines with their boxes, in the reader's order.
Lines = list[tuple[Quad, Line]]
#: Indices of lines, and the lines that take their places; without indices the lines are new.
Swap = tuple[Sequence[int], Lines]
#: rows replace columns where the least confidence is at least this many times that of the columns.
SURE = 0.9


class RapidReader:
    """RapidOCR's detector with a recogniser that keeps every line and each character's confidence."""

    def __init__(self, *, looks: int = len(VIEWS), threads: int = 0, pins: Mapping[str, str] | None = None) -> None:
        """Load both models.

        `looks`: largest number of views of a line; 1 is faster and worse. `threads`: number of lines read at once,
        0 for one per core that this process may use; the reading does not depend on it.
        `pins`: file name to SHA-256, in place of `PINNED`; a file of another hash is refused. Raises ReaderError.
        """
        if not 1 <= looks <= len(VIEWS):
            raise ReaderError(f"looks={looks}", where="reader rapidocr", remedy=f"give 1 to {len(VIEWS)}")
        self._views = VIEWS[:looks]
        folder = _models_folder()
        files = [folder / DETECTOR, folder / RECOGNISER]
        require_files(files, reader="rapidocr", remedy="pip install --force-reinstall 'rapidocr==3.10.*'")
        refuse_unknown_pins(pins or {}, (path.name for path in files), reader="rapidocr")
        require_hashes(files, {**PINNED, **(pins or {})}, reader="rapidocr")
        threads = threads or _cores()
        self._detector = Detector(threads)
        self._recogniser = _recogniser(folder / RECOGNISER)
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self.info = ReaderInfo(
            name="rapidocr",
            engine="rapidocr/PP-OCRv6-small",
            version=metadata.version("rapidocr"),
            weights_sha256=combined_sha256(files),
            settings=_settings(looks),
            code=READING_VERSION,
        )

    @property
    def alphabet(self) -> frozenset[str]:
        """The characters that it can return, from the recogniser's weights; no Korean."""
        return self._recogniser.alphabet

    def read(self, image: Path | bytes) -> Reading:
        """Read one image; an image without text gives no lines. Raises ReaderError where it cannot be decoded."""
        started = time.perf_counter()
        rgb = load_image(image)
        bgr = np.ascontiguousarray(rgb[:, :, ::-1])
        found = self._with_large(bgr, self._lines(bgr, self.boxes(bgr)))
        lines = tuple(line for _, line in self._in_rows(bgr, found))
        height, width = bgr.shape[:2]
        reading = Reading(reader=self.info, width=width, height=height, lines=lines, seconds=0.0)
        return replace(judged(rgb, reading), seconds=time.perf_counter() - started)

    def _lines(self, bgr: Pixels, quads: Sequence[Quad]) -> Lines:
        """Read several boxes at once, in their order, without those that have no text."""
        found = self._workers.map(lambda quad: self.line(bgr, quad), quads)
        return without_pieces([(quad, line) for quad, line in zip(quads, found, strict=True) if line is not None])

    def _with_large(self, bgr: Pixels, found: Lines) -> Lines:
        """Replace lines by those of the second detection, or add these, where they hold more evidence of text."""
        second = self.large_boxes(bgr)
        swaps: list[Swap] = []
        for each in differences([quad for quad, _ in found], second, side=max(bgr.shape[:2])):
            lines = self._lines(bgr, [second[index] for index in each.second])
            if better([line for _, line in lines], [found[index][1] for index in each.first]):
                swaps.append((each.first, lines))
        return _swapped(found, swaps)

    def _in_rows(self, bgr: Pixels, found: Lines) -> Lines:
        """Replace columns by rows in grids, where the rows are read with similar confidence."""
        counts = [sum(not char.isspace() for char in line.text) for _, line in found]
        for block in blocks([quad for quad, _ in found], counts):
            rows = self._lines(bgr, block.rows)
            columns = [found[i] for i in block.columns]
            if len(rows) == len(block.rows) and _confidence(rows) >= SURE * _confidence(columns):
                return self._in_rows(bgr, _swapped(found, [(block.columns, rows)]))
        return found

    def boxes(self, bgr: Pixels) -> list[Quad]:
        """Return the quadrilaterals with text (4 points, clockwise from top left, pixels), top to bottom."""
        return with_margins(bgr, self._detector.boxes)

    def large_boxes(self, bgr: Pixels) -> list[Quad]:
        """Return those of the second detection, on a small copy of the image: good for large writing alone."""
        return self._detector.boxes_of_copy(bgr)

    def look(self, bgr: Pixels, quad: Quad, view: View) -> Recognition:
        """Recognise the text of one quadrilateral in a single view."""
        return self._recogniser.look(seen(bgr, quad, view))

    def written(self, bgr: Pixels, quad: Quad) -> Written:
        """Recognise the text of one quadrilateral, in as many views as needed, and settle what is doubtful in it."""
        quad, first = way_of(quad, lambda quad: self.look(bgr, quad, VIEWS[0]))
        look, view = looked(
            lambda view: first if first and view == VIEWS[0] else self.look(bgr, quad, view), self._views
        )
        width, height = extent(quad)
        long, short = max(width, height), min(width, height)
        margin = view.along * short
        found = tuple(
            replace(character, place=(character.place * (long + 2 * margin) - margin) / long)
            for character in with_apostrophes(look)
        )
        line = settled(bgr, Written(box=quad, characters=found), lambda quad: self.look(bgr, quad, VIEWS[0]))
        return by_strokes(bgr, line, shipped_network())

    def line(self, bgr: Pixels, quad: Quad) -> Line | None:
        """Read one quadrilateral; None where it has no text."""
        written = self.written(bgr, quad)
        found = written.characters
        text = "".join(character.text for character in found)
        if not text.strip():
            return None
        return Line(
            text=text,
            # one upright letter in a tall box was read with margins at its sides
            box=_points(quad if is_column(quad) and len(text.strip()) == 1 else written.quad),
            confidence=round(sum(character.confidence for character in found) / len(found), 5),
            characters=tuple(round(character.confidence, 5) for character in found),
            places=tuple(round(place, 4) for place in written.places),
        )


def seen(bgr: Pixels, quad: Quad, view: View) -> Pixels:
    """Cut one line out of the image in a view, upright."""
    crop = upright(cut(bgr, grown(quad, view.along, view.across)))
    if view.stretch == 1.0:
        return crop
    height, width = crop.shape[:2]
    return np.asarray(cv2.resize(crop, (max(1, round(width * view.stretch)), height)), dtype=np.uint8)


def _swapped(found: Lines, swaps: Sequence[Swap]) -> Lines:
    """Put lines where the first of those stood that they replace; new ones follow the lines that begin higher."""
    gone = {index for indices, _ in swaps for index in indices}
    places: list[tuple[float, Lines]] = [(index, [item]) for index, item in enumerate(found) if index not in gone]
    places += [(indices[0] if indices else _above(found, lines) - 0.5, lines) for indices, lines in swaps]
    return [item for _, lines in sorted(places, key=lambda place: place[0]) for item in lines]


def _above(found: Lines, lines: Lines) -> int:
    """Count the lines that begin higher than the first of others."""
    return sum(bool(quad[0, 1] <= lines[0][0][0, 1]) for quad, _ in found)


def _confidence(lines: Sequence[tuple[Quad, Line]]) -> float:
    return min(line.confidence for _, line in lines)


def _settings(looks: int) -> tuple[tuple[str, str], ...]:
    """Return all settings that readings depend on."""
    rules: dict[str, object] = {
        "looks": looks,
        "doubt": DOUBT,
        "missed": MISSED,
        "noise": NOISE,
        "ones": SEEN,
        "sizes": "measured",
        "grids": "rows",
    }
    return tuple(sorted((key, str(value)) for key, value in {**DETECTION, **rules}.items()))


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


def _recogniser(weights: Path) -> Recogniser:
    from qiltest.reading.rapidocr.ctc import Recogniser

    # One thread: lines are short, and several at once keep the cores busier than one line on all of them.
    return Recogniser(weights, threads=1)


def _cores() -> int:
    """Return how many cores this process may use: more threads would wait for one another."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
