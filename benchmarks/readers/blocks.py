"""Rows or columns: how many blocks of short Chinese lines are read in the direction that they were set in.

    python benchmarks/readers/blocks.py

Draws rows and columns with several fonts, sizes and spacings (in units of the size, along the line and between lines),
reads them as the detector finds them and as `qiltest.reading.rapidocr.blocks` cuts them, and counts the images whose
lines are exactly those drawn. Writes benchmarks/results/blocks.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from qiltest.calibration.fonts import FILES, load
from qiltest.files import write_atomically
from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr.reader import RapidReader

ROOT = Path(__file__).resolve().parents[2]
ROWS = ("阿里云", "云存储", "云计算", "云模型", "千问")
COLUMNS = ("春风得意马", "明月照人来", "山高水长")
#: Distances of characters within a line and of lines.
ROW_SPACINGS = ((1.0, 1.0), (1.0, 1.15), (1.1, 1.1), (1.1, 1.15), (1.3, 1.3), (1.05, 1.4))
COLUMN_SPACINGS = ((1.0, 1.15), (1.1, 1.3), (1.1, 1.5), (1.15, 2.0), (1.2, 1.3))
SIZES, MARGIN = (24, 40), 60


def main() -> int:
    """Run the experiment."""
    reader = RapidReader(looks=1, threads=1)
    fonts = [font for font in (FILES[0], FILES[4], FILES[6]) if Path(font[0]).is_file()]
    result: dict[str, object] = {"fonts": len(fonts)}
    for name, lines, spacings in (("rows", ROWS, ROW_SPACINGS), ("columns", COLUMNS, COLUMN_SPACINGS)):
        counts = {"images": 0, "as_detected": 0, "as_cut": 0}
        for size in SIZES:
            for font in fonts:
                for along, between in spacings:
                    bgr = draw(lines, font, size, along, between, columns=name == "columns")
                    found = reader._lines(bgr, reader.boxes(bgr))
                    counts["images"] += 1
                    counts["as_detected"] += sorted(line.text for _, line in found) == sorted(lines)
                    counts["as_cut"] += sorted(line.text for _, line in reader._in_rows(bgr, found)) == sorted(lines)
        result[name] = counts
    file = ROOT / "benchmarks" / "results" / "blocks.json"
    write_atomically(file, (json.dumps(result, allow_nan=False, indent=1) + "\n").encode())
    print(json.dumps(result, indent=1))
    return 0


def draw(
    lines: Sequence[str], font: tuple[str, int], size: int, along: float, between: float, *, columns: bool
) -> Pixels:
    """Draw lines in rows, or in columns from the right; BGR."""
    spots = [
        (len(lines) - 1 - j, i, char) if columns else (i, j, char)
        for j, line in enumerate(lines)
        for i, char in enumerate(line)
    ]
    dx, dy = (between, along) if columns else (along, between)
    width = max(256, int(size * dx * (1 + max(x for x, _, _ in spots)) + 2 * MARGIN + 40))
    height = max(192, int(size * dy * (1 + max(y for _, y, _ in spots)) + 2 * MARGIN + 40))
    image = Image.new("RGB", (width, height), (245, 245, 240))
    pen = ImageDraw.Draw(image)
    for x, y, char in spots:
        pen.text((MARGIN + x * size * dx, MARGIN + y * size * dy), char, fill=(20, 20, 30), font=load(font, size))
    return np.ascontiguousarray(np.asarray(image)[:, :, ::-1])


if __name__ == "__main__":
    sys.exit(main())
