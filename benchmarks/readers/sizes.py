"""Letter size: how often the reader, and the measurement of its letters' ink, take a c for a C.

    python benchmarks/readers/sizes.py [--words 400]

Draws words in the fonts of this system, print and handwriting, on plain and textured ground, tilted and blurred, half
of them with one letter in the wrong size; reads each twice, as recognised and as measured
(`qiltest.reading.rapidocr.letter_case`); and says how many of the letters whose capital has the
same shape have the right size. Fonts whose small letters are as high as their capitals are left out.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from qiltest.files import write_atomically
from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.reader import RapidReader
from qiltest.reading.rapidocr.views import looked

ROOT = Path(__file__).resolve().parents[2]
TEXT = (
    "Coffee World Qwen cpp o1cpp flux.cpp Success Motel OPEN POWER Vision Wonders Cozy SUNSHINE Possum vox Zoo2 "
    "Oslo Price Peppers Yoga Happy KTV Jazz Club Unleashed Cloud Director Collective Cast Humanity Copy "
    "Space Sauce Scout Swing Vivid Wax Xenon Zebra Opus Pizza Puzzle Voodoo Cascade Sous Chef 2025 Oxford "
    "Cups Cocoa SCOUT VOICE COZY"
)
WORDS = tuple(TEXT.split(" "))
SAME_SHAPE = frozenset("cosuvwxzp")
SIZES = (38, 52, 70)


def main() -> int:
    """Run the experiment and write benchmarks/results/sizes.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=400)
    args = parser.parse_args()
    rng = random.Random(3)
    reader = RapidReader(threads=1)
    fonts = [font for font in installed() if told_by_height(font)]
    counts = {
        kind: dict.fromkeys(("letters", "wrong_recognised", "wrong_measured", "fixed", "spoilt"), 0)
        for kind in ("as asked", "one in the wrong size")
    }
    lost = 0
    for number in range(args.words):
        kind = "one in the wrong size" if number % 2 else "as asked"
        word = rng.choice(WORDS)
        drawn = swapped(word, rng) if number % 2 else word
        bgr = draw(drawn, rng.choice(fonts), rng)
        found = compared(reader, bgr, drawn)
        if found is None:
            lost += 1
            continue
        for key, value in zip(counts[kind], found, strict=True):
            counts[kind][key] += value
    result = {"fonts": len(fonts), "words": args.words, "not_read_otherwise": lost, **counts}
    file = ROOT / "benchmarks" / "results" / "sizes.json"
    write_atomically(file, (json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))
    return 0


def compared(reader: RapidReader, bgr: np.ndarray, drawn: str) -> tuple[int, ...] | None:
    """Count the letters in question, and those of wrong size before and after; None where another word was read."""
    boxes = reader.boxes(bgr)
    if len(boxes) != 1:
        return None
    before = looked(lambda view: reader.look(bgr, boxes[0], view))[0].characters
    after = reader.written(bgr, boxes[0]).characters
    if _text(before).casefold().replace("0", "o") != drawn.casefold().replace("0", "o"):
        return None
    rows = [(b, a, d) for b, a, d in zip(_text(before), _text(after), drawn, strict=True) if d.lower() in SAME_SHAPE]
    return (
        len(rows),
        sum(b != d for b, _, d in rows),
        sum(a != d for _, a, d in rows),
        sum(b != d and a == d for b, a, d in rows),
        sum(b == d and a != d for b, a, d in rows),
    )


def _text(characters: Sequence[Character]) -> str:
    return "".join(character.text for character in characters if not character.text.isspace())


def swapped(word: str, rng: random.Random) -> str:
    """Write one letter in the other size, where the word has one whose size its shape does not tell."""
    places = [i for i, char in enumerate(word) if char.lower() in SAME_SHAPE]
    if not places:
        return word
    place = rng.choice(places)
    return word[:place] + word[place].swapcase() + word[place + 1 :]


def installed() -> list[str]:
    """Font files of this system that hold Latin letters, sorted."""
    listing = subprocess.run(["fc-list", ":lang=en", "file"], capture_output=True, text=True, check=True).stdout
    files = {line.rstrip(": \n") for line in listing.splitlines()}
    return sorted(file for file in files if file.endswith((".ttf", ".otf", ".ttc")))


def told_by_height(file: str) -> bool:
    """Tell a font whose small letters are clearly lower than its capitals."""
    font = ImageFont.truetype(file, size=64)
    heights = [font.getbbox(char)[3] - font.getbbox(char)[1] for char in "xXoO"]
    return all(heights) and heights[0] <= 0.8 * heights[1] and heights[2] <= 0.8 * heights[3]


def draw(word: str, file: str, rng: random.Random) -> np.ndarray:
    """Draw a word on an image of 512 x 256 pixels; BGR."""
    font = ImageFont.truetype(file, size=rng.choice(SIZES))
    mask = Image.new("L", (512, 256), 0)
    ImageDraw.Draw(mask).text((rng.randint(30, 90), rng.randint(40, 110)), word, fill=255, font=font)
    mask = mask.rotate(rng.uniform(-4, 4), resample=Image.Resampling.BICUBIC)
    mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    noise = np.random.default_rng(rng.randrange(1 << 30))
    texture = np.asarray(
        Image.fromarray(noise.integers(0, 256, (16, 8), dtype=np.uint8)).resize((512, 256), Image.Resampling.BICUBIC),
        dtype=np.float64,
    )
    ink, ground = rng.choice([(25, 215), (235, 60), (250, 110), (60, 170)])
    share = np.asarray(mask, dtype=np.float64) / 255
    grey = (ground + (texture - 128) * rng.uniform(0, 0.25)) * (1 - share) + ink * share
    grey = np.clip(grey + noise.normal(0, 5, grey.shape), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


if __name__ == "__main__":
    sys.exit(main())
