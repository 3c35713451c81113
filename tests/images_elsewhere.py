"""Images as another program would make them: drawn by Pillow, with a note of what is written where beside them.

The stand-in reader (tests/integration/standin_conftest.py) finds the note by the image's pixels, in `lines.json`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from qiltest.reading import Line, ReaderInfo, Reading

#: of the embedded model's stand-in for the cases of tests/standin_suite.py.
SIZE = (256, 128)
TEXTS = {"coffee": ("Qwen Coffee", "2 dollars"), "poster": ("Imagination Unleashed", "Enter a world")}
SAMPLES = tuple(f"{case}@1328x1328-{variant}-s42" for case in ("coffee", "poster") for variant in ("base", "fast"))


def make(
    path: Path,
    *texts: str,
    size: tuple[int, int] = SIZE,
    notes: Path,
    told: Mapping[str, str] | None = None,
    maker: str = "",
    **save: Any,
) -> None:
    """Draw the texts into an image of the format that its name says; another name or `maker` gives other pixels.

    `told` are text chunks of a PNG, `notes` is the folder of `lines.json`, `save` goes to Pillow.
    """
    image = Image.new("RGB", size, "white")
    pen, font, lines = ImageDraw.Draw(image), ImageFont.load_default(12), []
    pen.rectangle((0, size[1] - 3, 3, size[1]), fill=tuple(hashlib.sha256(f"{maker}{path.name}".encode()).digest()[:3]))
    for row, text in enumerate(texts):
        place = (8, 8 + 24 * row)
        pen.text(place, text, fill="black", font=font)
        lines.append({"text": text, "box": pen.textbbox(place, text, font=font)})
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = PngInfo()
    for name, value in (told or {}).items():
        chunks.add_itxt(name, value)
    image.save(path, **({"pnginfo": chunks} if path.suffix == ".png" and told else {}), **save)
    note(path, lines, notes)


def note(path: Path, lines: list[dict[str, Any]], notes: Path) -> None:
    """Tell the stand-in reader what is written in an image."""
    with Image.open(path) as opened:
        digest = hashlib.sha256(opened.convert("RGB").tobytes()).hexdigest()
    file = notes / "lines.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, digest: lines}))


class NotedReader:
    """The stand-in reader, for commands: it returns the notes of a folder."""

    info = ReaderInfo(name="rapidocr", engine="standin", version="1", weights_sha256="0" * 64)

    def __init__(self, notes: Path) -> None:
        self._notes = notes

    def read(self, image: Path | bytes) -> Reading:
        with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as opened:
            digest, (width, height) = hashlib.sha256(opened.convert("RGB").tobytes()).hexdigest(), opened.size
        told = json.loads((self._notes / "lines.json").read_text())[digest]
        lines = tuple(_line(note["text"], *map(float, note["box"])) for note in told)
        return Reading(reader=self.info, width=width, height=height, lines=lines, seconds=0.001)


def _line(text: str, left: float, top: float, right: float, bottom: float) -> Line:
    box = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Line(text=text, box=box, confidence=0.99)


def make_all(
    folder: Path,
    *,
    notes: Path,
    typos: Mapping[str, str] | None = None,
    samples: Iterable[str] = SAMPLES,
    maker: str = "",
) -> None:
    """Draw every sample of tests/standin_suite.py, by the names of the plan; `typos` replace texts."""
    wrong = typos or {}
    for sample in samples:
        texts = (wrong.get(text, text) for text in TEXTS[sample.partition("@")[0]])
        make(folder / f"{sample}.png", *texts, notes=notes, maker=maker)
