"""Read images with the `tesseract` program: optional, weak on scenes, useful as an independent second opinion."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from qiltest.errors import ReaderError
from qiltest.reading.images import load_image
from qiltest.reading.records import Line, ReaderInfo, Reading
from qiltest.reading.stroke_check import judged
from qiltest.reading.unicharset import characters_of
from qiltest.reading.version import READING_VERSION
from qiltest.reading.weights import combined_sha256, require_files

INSTALL = "apt-get install tesseract-ocr tesseract-ocr-chi-sim tesseract-ocr-chi-tra"
#: "Sparse text": find as much as possible in no particular order; other modes expect a page.
PAGE_MODE = "11"
#: An image takes seconds; a run longer than this hangs.
LIMIT_S = 120.0


class TesseractReader:
    """Runs the `tesseract` program on one thread and reads its table of words."""

    def __init__(self, *, languages: Sequence[str] = ("chi_sim", "chi_tra", "eng"), program: str = "tesseract") -> None:
        """Find the program and its language files. Raises ReaderError."""
        found = shutil.which(program)
        if found is None:
            raise ReaderError(f"the program {program!r} is not installed", where="reader tesseract", remedy=INSTALL)
        self._program, self._languages = found, "+".join(languages)
        listing = _run([found, "--list-langs"])
        files = [_data_folder(listing) / f"{language}.traineddata" for language in languages]
        require_files(files, reader="tesseract", remedy=INSTALL)
        #: the characters that it can return: those of all its languages.
        self.alphabet = frozenset[str]().union(*map(characters_of, files))
        self.info = ReaderInfo(
            name="tesseract",
            engine="tesseract",
            version=_run([found, "--version"]).split()[1],
            weights_sha256=combined_sha256(files),
            settings=(("languages", self._languages), ("psm", PAGE_MODE)),
            code=READING_VERSION,
        )

    def read(self, image: Path | bytes) -> Reading:
        """Read one image; an image without text gives no lines. Raises ReaderError where it cannot be decoded."""
        started = time.perf_counter()
        pixels = load_image(image)
        encoded = io.BytesIO()
        Image.fromarray(pixels).save(encoded, format="PNG", compress_level=1)
        command = [self._program, "-", "-", "-l", self._languages, "--psm", PAGE_MODE, "tsv"]
        lines = _lines(_run(command, encoded.getvalue()))
        height, width = pixels.shape[:2]
        reading = Reading(reader=self.info, width=width, height=height, lines=lines, seconds=0.0)
        return replace(judged(pixels, reading), seconds=time.perf_counter() - started)


def _run(command: list[str], stdin: bytes = b"") -> str:
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=LIMIT_S, check=True, env={"OMP_THREAD_LIMIT": "1"}
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ReaderError(f"tesseract failed ({error})", where="reader tesseract", remedy=INSTALL) from error
    return done.stdout.decode("utf-8", errors="replace")


def _data_folder(listing: str) -> Path:
    quoted = listing.split('"')
    return Path(quoted[1]) if len(quoted) > 1 else Path("/usr/share/tesseract-ocr/5/tessdata")


def _lines(table: str) -> tuple[Line, ...]:
    lines: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row["level"] == "5" and (row["text"] or "").strip():
            lines.setdefault((row["block_num"], row["par_num"], row["line_num"]), []).append(row)
    return tuple(_line(words) for words in lines.values())


def _line(words: list[dict[str, str]]) -> Line:
    left = min(float(word["left"]) for word in words)
    top = min(float(word["top"]) for word in words)
    right = max(float(word["left"]) + float(word["width"]) for word in words)
    bottom = max(float(word["top"]) + float(word["height"]) for word in words)
    confidence = sum(float(word["conf"]) for word in words) / len(words) / 100.0
    return Line(
        text=" ".join(word["text"] for word in words),
        box=((left, top), (right, top), (right, bottom), (left, bottom)),
        confidence=min(1.0, max(0.0, confidence)),
    )
