"""Lines that the default reader read wrongly for one reason, with the rule that settles it and without.

    python benchmarks/readers/doubts.py [--fonts /usr/share/fonts]

Draws lines in the faces that rules are tuned on (`drawn/faces.toml`, half train; their Debian packages are in
`drawn/packages.txt`): words in which l and I may be the same stroke, words with an apostrophe and the same without it,
and text that runs up or down. Counts the lines read exactly, each with the rule switched off and on, and says how
probable an apostrophe is at most where there is none. Results in benchmarks/results/doubts.json.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from drawn.faces import FONTS, Face, load_faces
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading.rapidocr import doubts, reader
from qiltest.reading.rapidocr.crops import Quad
from qiltest.reading.rapidocr.reader import RapidReader
from qiltest.reading.rapidocr.views import VIEWS
from qiltest.text.normalise import normalise

ROOT = Path(__file__).resolve().parents[2]
SIZES, BLURS = (20, 28, 44), (0.0, 0.7, 1.2)
#: Rules, where each is called and what stands in its place when it is off.
RULES: dict[str, tuple[object, str, Callable[..., object]]] = {
    "stems": (doubts, "with_stems", lambda characters, _: tuple(characters)),
    "apostrophes": (reader, "with_apostrophes", lambda look: look.characters),
    "ways": (reader, "way_of", lambda quad, _: (quad, None)),
}
STEMS = (
    "AI for Everyone",
    "The Future of AI",
    "AI-powered search",
    "OpenAI",
    "Part II: The Return",
    "4K Ultra HD",
    "I'd rather be sailing",
    "All is well",
    "Illustration by Ian Hill",
    "ALL INCLUSIVE",
    "HAWAII",
    "El Camino",
)
#: of an italic: twelve degrees.
SLANT = 0.21
APOSTROPHES = ("I'm a Cat", "Don't panic", "We've won", "You're late", "They'll come")
RUNNING = ("Sweet Dreams", "Revenue 2024", "Step 1: Mix", "HAWAII", "Best of 1990")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A line: which rule it is about, its kind, what is drawn, and the image with its box."""

    rule: str
    kind: str
    text: str
    bgr: NDArray[np.uint8]
    quad: Quad


def main() -> int:
    """Run the experiment and write benchmarks/results/doubts.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=existing_folder, default=str(FONTS), help="where the packages' fonts are")
    args = parser.parse_args()
    faces = [face for face in load_faces("train", args.fonts) if face.latin and not face.caps]
    engine = RapidReader(threads=1)
    counts: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    most = 0.0
    for line in lines(faces):
        most = max(most, apostrophe(engine, line) if line.kind == "no apostrophe" else 0.0)
        counts[f"{line.kind}, lines"] += 1
        module, name, off = RULES[line.rule]
        with patch.object(module, name, off):
            counts[f"{line.kind}, without"] += _read(engine, line) == normalise(line.text)
        read = _read(engine, line)
        counts[f"{line.kind}, with"] += read == normalise(line.text)
        if read != normalise(line.text):
            wrong.append({"kind": line.kind, "drawn": line.text, "read": read})
    counted = {"faces": len(faces), **counts, "no apostrophe, most probable": round(most, 4)}
    result = {**counted, "wrong": wrong}
    file = ROOT / "benchmarks" / "results" / "doubts.json"
    write_atomically(file, (json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(json.dumps(counted, indent=1))
    return 0


def lines(faces: Sequence[Face]) -> Iterator[Drawn]:
    """Yield the lines in every face that draws them."""
    for face in faces:
        for text in STEMS:
            yield from _drawn(face, text, "stems", "l or I")
            yield from _drawn(face, text, "stems", "l or I, slanted", slant=SLANT)
        for text in APOSTROPHES:
            yield from _drawn(face, text, "apostrophes", "apostrophe")
            yield from _drawn(face, text.replace("'", ""), "apostrophes", "no apostrophe")
        for text in RUNNING:
            yield from _drawn(face, text, "ways", "runs up", turns=1)
            yield from _drawn(face, text, "ways", "runs down", turns=-1)


def apostrophe(engine: RapidReader, line: Drawn) -> float:
    """Return the probability of the likeliest apostrophe in the first look at a line."""
    steps, _ = engine._recogniser.probabilities(reader.seen(line.bgr, line.quad, VIEWS[0]))
    return float(steps[:, engine._recogniser._alphabet.index("'")].max())


def _drawn(face: Face, text: str, rule: str, kind: str, turns: int = 0, slant: float = 0.0) -> Iterator[Drawn]:
    """Draw a line of dark print on light ground, a little soft.

    `turns`: quarter turns to the left. `slant`: tangent of its angle.
    """
    if not face.draws(text):
        return
    rng = random.Random(f"{face.name} {text}")
    size = rng.choice(SIZES)
    font = face.at(size)
    width, height = int(font.getlength(text)) + 3 * size, 3 * size
    image = Image.new("L", (width, height), 230)
    pen = ImageDraw.Draw(image)
    pen.text((size, size), text, fill=30, font=font)
    left, top, right, bottom = pen.textbbox((size, size), text, font=font)
    if slant:
        lean = (1, slant, -slant * height / 2, 0, 1, 0)
        image = image.transform(image.size, Image.Transform.AFFINE, lean, Image.Resampling.BICUBIC, fillcolor=230)
        left, right = left - slant * (bottom - height / 2), right + slant * (height / 2 - top)
    margin = 0.2 * size
    quad = [(left - margin, top - margin), (right + margin, top - margin)]
    quad += [(right + margin, bottom + margin), (left - margin, bottom + margin)]
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(rng.choice(BLURS))))
    if turns:
        pixels = np.rot90(pixels, turns)
        quad = [(y, width - x) if turns == 1 else (height - y, x) for x, y in quad]
        quad = quad[1:] + quad[:1] if turns == 1 else quad[-1:] + quad[:-1]
    bgr = np.ascontiguousarray(np.repeat(pixels[:, :, None], 3, axis=2))
    yield Drawn(rule=rule, kind=kind, text=text, bgr=bgr, quad=np.array(quad, dtype=np.float32))


def _read(engine: RapidReader, line: Drawn) -> str:
    return normalise("".join(each.text for each in engine.written(line.bgr, line.quad).characters))


if __name__ == "__main__":
    sys.exit(main())
