"""Time and memory of reading the largest images of each shape, each in a process of its own.

python benchmarks/readers/large_images.py [SHAPE ...]    # a table; exit code 1 where more memory is used than allowed

The images are of 80 million pixels, the most that is read, with a few lines of text; and a small one of the narrowest
shape, because the detector enlarges what is small.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from qiltest.image_files import MOST_PIXELS, MOST_RATIO

#: width by height, in the order of their memory.
SHAPES = {
    "1:1": 1.0,
    "8:1": 8.0,
    "1:8": 1 / 8,
    "32:1": float(MOST_RATIO),
    "1:32": 1 / MOST_RATIO,
    "1:32, small": 1 / MOST_RATIO,
}
GIGABYTES = 3.0
_SMALL = 2_000 * 62
_READ = (
    "import sys; from pathlib import Path; from qiltest.reading import open_reader; "
    "print(len(open_reader('rapidocr').read(Path(sys.argv[1])).lines))"
)


def make(path: Path, name: str) -> tuple[int, int]:
    """Write an image of a shape and return its size."""
    pixels = _SMALL if "small" in name else MOST_PIXELS
    width = int(math.sqrt(pixels * SHAPES[name]))
    height = min(int(pixels / width), MOST_RATIO * width)
    width = min(width, MOST_RATIO * height)
    image = Image.new("RGB", (width, height), (235, 235, 230))
    pen, side = ImageDraw.Draw(image), min(width, height)
    font = ImageFont.load_default(max(12, side // 12))
    for number in range(8):
        at = (
            side // 10 + (number * width // 8 if width > height else 0),
            (number * height // 8) if height >= width else side // 3,
        )
        pen.text(at, f"Line {number}", fill=(20, 20, 40), font=font)
    image.save(path, "PNG")
    return width, height


def main(names: list[str]) -> int:
    """Print a row for each shape."""
    good = True
    print("| shape | pixels | GB of memory | CPU seconds | lines |\n|---|---|---:|---:|---:|")
    for name in names or SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.png"
            width, height = make(path, name)
            with tempfile.TemporaryFile() as out:
                pid = subprocess.Popen([sys.executable, "-c", _READ, str(path)], stdout=out).pid
                _, status, used = os.wait4(pid, 0)
                out.seek(0)
                lines = out.read().decode().strip()
        gigabytes, seconds = used.ru_maxrss / 1e6, used.ru_utime + used.ru_stime
        print(f"| {name} | {width} x {height} | {gigabytes:.1f} | {seconds:.0f} | {lines} |", flush=True)
        good = good and gigabytes <= GIGABYTES and os.waitstatus_to_exitcode(status) == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
