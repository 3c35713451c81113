"""Cut every Chinese character out of a folder of images, where the reader reads it, to label them by eye.

    python benchmarks/glyphs/real_crops.py [--images ../shared/real-images] [--out FOLDER] [--font FILE]

Writes `crops.json`, a row per Chinese character: image and its SHA-256, line and index in the reading, box in pixels,
the character read, its height in pixels, the reader's confidence, and whether the glyph check cut it out (what it does
not cut it does not judge). Also `sheet_NN.png`: numbered characters with what surrounds them, 48 each, and below
each the number and the character as read. They say nothing about the network's answer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qiltest.arguments import existing_file, existing_folder
from qiltest.calibration.fonts import FILES
from qiltest.files import write_atomically
from qiltest.hashing import file_sha256
from qiltest.reading import Line, open_reader
from qiltest.reading.glyphs.crop import crops
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.quad import Quad, is_column, stretch
from qiltest.reading.strokes import fills_square

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
TILE, LABEL, ACROSS, DOWN = 110, 26, 8, 6
#: Side of what a tile shows, in that of the crop.
AROUND = 1.5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One Chinese character of an image."""

    number: int
    image: str
    image_sha256: str
    line: int
    index: int
    character: str
    text: str
    box: Quad
    height: float
    confidence: float | None
    cut: bool


def main() -> int:
    """Read the images, write the rows and the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", type=existing_folder, default=str(ROOT.parent / "shared" / "real-images"), help="a folder of images"
    )
    parser.add_argument("--out", type=Path, default=Path("glyph-crops"))
    parser.add_argument(
        "--font", type=existing_file, default=next((Path(f[0]) for f in FILES if Path(f[0]).is_file()), None)
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    reader = open_reader("rapidocr")
    font = ImageFont.truetype(str(args.font), 20) if args.font else ImageFont.load_default()
    rows: list[Row] = []
    tiles: list[NDArray[np.uint8]] = []
    for file in sorted(args.images.iterdir()):
        if file.suffix.lower() not in SUFFIXES:
            continue
        image = load_image(file)
        for number, line in enumerate(reader.read(file).lines):
            for row in rows_of(image, file, number, line, first=len(rows)):
                rows.append(row)
                tiles.append(tile(image, row, font))
        print(file.name, len(rows), flush=True)
        write_atomically(args.out / "crops.json", encoded(rows))
    per = ACROSS * DOWN
    for first in range(0, len(tiles), per):
        name = args.out / f"sheet_{first // per:02d}.png"
        Image.fromarray(sheet(tiles[first : first + per])).save(name)
    return 0


def rows_of(image: Pixels, file: Path, number: int, line: Line, *, first: int) -> list[Row]:
    """Return the Chinese characters of one line, numbered from `first`."""
    found: list[Row] = []
    cut = crops(image, line.box, line.text, line.places)
    for index, char in enumerate(line.text):
        if not fills_square(char):
            continue
        crop = cut[index]
        box = crop.box if crop else even(line, index)
        found.append(
            Row(
                number=first + len(found),
                image=file.name,
                image_sha256=file_sha256(file),
                line=number,
                index=index,
                character=char,
                text=line.text,
                box=tuple((round(x, 1), round(y, 1)) for x, y in box),  # type: ignore[arg-type]
                height=round(crop.height, 1) if crop else 0.0,
                confidence=line.characters[index] if index < len(line.characters) else None,
                cut=crop is not None,
            )
        )
    return found


def even(line: Line, index: int) -> Quad:
    """Return where a character is if all of a line are equally wide."""
    count = len(line.text)
    return stretch(line.box, index / count, (index + 1) / count, column=count > 1 and is_column(line.box))


def tile(image: Pixels, row: Row, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> NDArray[np.uint8]:
    """Return a character with what surrounds it, ticks at the crop's corners, its number and what it was read as."""
    quad = np.array(row.box, dtype=np.float32)
    middle = quad.mean(axis=0)
    wide = middle + (quad - middle) * AROUND
    edge = TILE * (1 - 1 / AROUND) / 2
    target = np.array([[0, 0], [TILE, 0], [TILE, TILE], [0, TILE]], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(wide, target)
    shown = cv2.warpPerspective(image, matrix, (TILE, TILE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT)
    whole = np.full((TILE + LABEL, TILE, 3), 255, dtype=np.uint8)
    whole[:TILE] = shown
    drawn = Image.fromarray(whole)
    pen = ImageDraw.Draw(drawn)
    for x in (edge, TILE - edge):
        pen.line([(x, 0), (x, 5)], fill=(255, 0, 0))
        pen.line([(x, TILE - 6), (x, TILE - 1)], fill=(255, 0, 0))
    pen.text((2, TILE + 1), f"{row.number} {row.character}", fill=(0, 0, 0), font=font)
    return np.asarray(drawn, dtype=np.uint8)


def sheet(tiles: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Lay tiles out, `ACROSS` in a row."""
    high, wide = TILE + LABEL + 4, TILE + 4
    result = np.full((high * DOWN, wide * ACROSS, 3), 200, dtype=np.uint8)
    for k, each in enumerate(tiles):
        y, x = k // ACROSS * high, k % ACROSS * wide
        result[y : y + TILE + LABEL, x : x + TILE] = each
    return result


def encoded(rows: Sequence[Row]) -> bytes:
    """Return the rows as JSON, one a line."""
    return ("[\n" + ",\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows) + "\n]\n").encode()


if __name__ == "__main__":
    raise SystemExit(main())
