"""A 1 drawn for an l in a word, and an l or I for a 1: how often the reader sees it, and what the second guess knows.

    python benchmarks/readers/ones.py [--lines 600] [--seed 1]

Draws words and numbers in the fonts of this system (print, soft, chalk, tilted), every second one with a 1, l or I
put for another of the three, and reads each line as recognised and with `qiltest.reading.rapidocr.digit_one`. Says how
many ones planted among letters were read as letters, how many of them the second guess fixes, and how many letters
that were drawn right it spoils; and for comparison the same for a second guess of l or I among digits, which is not
used. Results in benchmarks/results/ones.json.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from sizes import installed

from qiltest.calibration.fonts import load
from qiltest.files import write_atomically
from qiltest.reading.rapidocr.crops import Quad
from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.digit_one import SEEN, with_ones
from qiltest.reading.rapidocr.reader import RapidReader
from qiltest.reading.rapidocr.views import looked

ROOT = Path(__file__).resolve().parents[2]
LIKE = "1lI"
WORDS = (
    "Hello World|Alibaba|Qwen-Image|Collective|flux.cpp|visual director|Oil title|Italian|INDIA|Silver|ILLUSION|milk|"
    "film|Million|ELITE|Illinois|HILL|Lumina2|klein.cpp|public library|ILLUMINATED CITY|Stable diffusion Large|"
    "Welcome, Julie|Emily Illustrates|familiar spelling rules|WILD LILY|I will call Bill|Intelligence|"
    "A Brilliant Finale|bottle of milk"
)
NUMBERS = "2011|1912|3.1415|117|$12|v1.1|2024.11.10|11:15|110%|A11|TEL 1121-3411|1/10/2011"
LINES = tuple(f"{WORDS}|{NUMBERS}".split("|"))
SIZES = (28, 40, 56)
STYLES = ("crisp", "soft", "chalk", "tilted")


def main() -> int:
    """Run the experiment and write benchmarks/results/ones.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    reader = RapidReader(threads=1)
    fonts = installed()
    counts: Counter[str] = Counter()
    for number in range(args.lines):
        asked = rng.choice(LINES)
        text = swapped(asked, rng) if number % 2 else asked
        bgr, quad = drawn(text, (rng.choice(fonts), 0), rng)
        look, _ = looked(partial(reader.look, bgr, quad))
        count(asked.replace(" ", ""), text.replace(" ", ""), look.characters, counts)
    result = {"lines": args.lines, "seed": args.seed, "fonts": len(fonts), **dict(sorted(counts.items()))}
    file = ROOT / "benchmarks" / "results" / "ones.json"
    write_atomically(file, (json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))
    return 0


def count(asked: str, text: str, found: tuple[Character, ...], counts: Counter[str]) -> None:
    """Count what became of the ones, l and I of a line; lines of another length than drawn are only counted."""
    pairs = [(b, a) for b, a in zip(found, with_ones(found), strict=True) if not b.text.isspace()]
    if len(pairs) != len(text):
        counts["lines_of_another_length"] += 1
        return
    for wanted, drawn_, (before, after) in zip(asked, text, pairs, strict=True):
        if drawn_ not in LIKE or wanted not in LIKE:
            continue
        kind = "right" if wanted == drawn_ else "planted"
        name = "one" if drawn_ == "1" else "letter"
        counts[f"{kind}_{name}"] += 1
        if drawn_ == "1" and before.text in "lI":
            counts[f"{kind}_one_read_as_letter"] += 1
            counts[f"{kind}_one_mended"] += after.text == "1"
        if drawn_ in "lI" and before.text in "lI":
            counts[f"{kind}_letter_spoilt"] += after.text == "1"
        if drawn_ in "lI" and before.text == "1":
            counts[f"{kind}_letter_read_as_one"] += 1
        if before.text == "1" and max(dict(before.alternatives).get(char, 0.0) for char in "lI|") >= SEEN:
            counts[f"unused_{kind}_{name}_read_as_one_with_a_letter_for_second_guess"] += 1


def swapped(text: str, rng: random.Random) -> str:
    """Put a 1, l or I for another of the three, where the text has one."""
    places = [i for i, char in enumerate(text) if char in LIKE]
    if not places:
        return text
    place = rng.choice(places)
    return text[:place] + rng.choice([char for char in LIKE if char != text[place]]) + text[place + 1 :]


def drawn(text: str, font: tuple[str, int], rng: random.Random) -> tuple[NDArray[np.uint8], Quad]:
    """Draw a line in one of the styles; BGR, and the box that it stands in."""
    size, style = rng.choice(SIZES), rng.choice(STYLES)
    noise = np.random.default_rng(rng.randrange(1 << 30))
    opened = load(font, size)
    width, height = int(opened.getlength(text)) + 60, size * 2
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).text((30, size // 4), text, fill=255, font=opened)
    if style == "tilted":
        mask = mask.rotate(rng.uniform(-3, 3), resample=Image.Resampling.BICUBIC)
    if style == "chalk":
        holes = noise.random((height, width)) > 0.16
        mask = Image.fromarray((np.asarray(mask) * holes).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    if style == "soft":
        mask = mask.filter(ImageFilter.GaussianBlur(1.2))
    share = np.asarray(mask, dtype=np.float64) / 255
    ground, ink = (45, 228) if style == "chalk" else (225, 30)
    grey = ground * (1 - share) + ink * share + (noise.normal(0, 7, share.shape) if style != "crisp" else 0)
    left, top, right, bottom = 20, size * 0.1, width - 20, size * 1.75
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2), quad


if __name__ == "__main__":
    sys.exit(main())
