"""Punctuation: what the default reader returns for marks that Unicode keeps apart and fonts draw alike.

    python benchmarks/readers/marks.py

Draws lines with one kind of mark in all fonts that hold it, in two sizes, and counts what is read for each. Marks that
come back as one (the apostrophe ’ as ', the bullet as a middle dot, the en dash as -) cannot be told apart by reading,
so `qiltest.text.normalise` makes them one. Results in benchmarks/results/marks.json.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from qiltest.calibration.fonts import fonts_for, load
from qiltest.files import write_atomically
from qiltest.reading.rapidocr.crops import Quad
from qiltest.reading.rapidocr.reader import RapidReader

ROOT = Path(__file__).resolve().parents[2]
SIZES = (32, 52)
#: Marks to count, each line with the characters around them that are read surely.
LINES: tuple[tuple[str, str], ...] = (
    ("'", "It's the bear's hat"),
    ("’", "It’s the bear’s hat"),
    ('"', 'He said "Hello" twice'),
    ("“”", "He said “Hello” twice"),
    ("-", "Open 9-17 daily"),
    ("–", "Open 9–17 daily"),
    ("—", "Open — always"),
    ("...", "Wait... for it"),
    ("…", "Wait… for it"),
    ("·", "JULY 12 · ARMSTRONG"),
    ("•", "JULY 12 • ARMSTRONG"),
    ("“”", "约翰说：“你好”"),
    ("，。", "你好，世界。"),
    ("；！", "自动布局；精准编辑！"),
    ("、", "文字、图像、视频"),
    ("——", "未来——愿景"),
    ("……", "省略……号"),
    ("《》", "《红楼梦》"),
    ("（）", "价格（含税）"),
    ("～", "约5～10天"),
    ("~", "Qwen~Image"),
    (",!", "Hello, World!"),
    (":;", "A: B; C"),
)


def main() -> int:
    """Run the experiment and write benchmarks/results/marks.json."""
    reader = RapidReader(threads=1)
    result = []
    for marks, line in LINES:
        seen: Counter[str] = Counter()
        for font in fonts_for(line):
            for size in SIZES:
                bgr, quad = drawn(line, font, size)
                text = "".join(character.text for character in reader.written(bgr, quad).characters)
                seen["".join(char for char in text if not char.isalnum() and not char.isspace())] += 1
        result.append({"drawn": marks, "in": line, "read": dict(seen.most_common())})
        print(marks, dict(seen.most_common()))
    file = ROOT / "benchmarks" / "results" / "marks.json"
    write_atomically(file, (json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode())
    return 0


def drawn(text: str, font: tuple[str, int], size: int) -> tuple[NDArray[np.uint8], Quad]:
    """Draw a line of print, a little soft and noisy; BGR, and the box that it stands in."""
    opened = load(font, size)
    width, height = int(opened.getlength(text)) + 24, int(size * 1.5)
    image = Image.new("L", (width, height), 235)
    ImageDraw.Draw(image).text((12, 4), text, fill=25, font=opened)
    noise = np.random.default_rng(len(text)).normal(0, 4, (height, width))
    grey = np.clip(np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float64) + noise, 0, 255)
    left, top, right, bottom = 4, 2, width - 4, height - 4
    quad = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float32)
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2), quad


if __name__ == "__main__":
    sys.exit(main())
