"""Broken characters on drawn pages, end to end: read by the reader, cut out where it says, judged.

    python benchmarks/glyphs/pages.py --bank bank.xz [--pages 40] [--out benchmarks/results/glyph_pages.json]

`tools/glyph_verifier/glyph_bank.py` draws the bank. Fonts were never trained, nor were two thirds of the characters.
Each page has lines of ten characters in one font, size (16 to 84 pixels) and pair of colours; on half of the pages two
characters of each line are broken, each in one of the kinds of tools/glyph_verifier/glyph_damage.py. Pages are saved as
JPEG of quality 85 to 95. A character counts where the reader read it as it was drawn. Says for three measures, at the
same rate of false alarms: the network, the reader's confidence, and the correlation with the packaged drawings.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "glyph_verifier"))

import torch  # noqa: E402
from glyph_damage import KINDS, Batch, broken  # noqa: E402
from glyph_data import Bank, load  # noqa: E402
from glyph_sets import MEASURES, Judged, judged, rates, threshold_at  # noqa: E402

from qiltest.arguments import existing_file  # noqa: E402
from qiltest.files import write_atomically  # noqa: E402
from qiltest.reading import open_reader  # noqa: E402
from qiltest.reading.glyphs.network import Verifier  # noqa: E402
from qiltest.reading.glyphs.references import references  # noqa: E402
from qiltest.reading.images import load_image  # noqa: E402

SIDE, PER_LINE = 1024, 10
SIZES = (16, 18, 20, 24, 28, 34, 42, 52, 66, 84)
#: bins of the table by height, pixels.
HEIGHTS = (0.0, 14.0, 16.0, 18.0, 20.0, 24.0, 32.0, 48.0, 999.0)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One character of a page: where its middle is, and its kind of damage (-1: whole) and strength."""

    character: str
    x: float
    y: float
    size: float
    kind: int
    share: float


def main() -> int:
    """Draw, read and judge the pages; write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--bank", type=existing_file, required=True, help="what tools/glyph_verifier/glyph_bank.py wrote"
    )
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "glyph_pages.json")
    parser.add_argument("--save", type=Path, help="a folder for the pages, to look at")
    args = parser.parse_args()
    bank = load(args.bank, references(), torch.device("cpu"), halves=("kept",))
    reader, verifier = open_reader("rapidocr"), Verifier(threads=1)
    rows: list[tuple[Judged, Drawn]] = []
    drawn_total = 0
    for number in range(args.pages):
        data, drawn = page(bank, number)
        if args.save is not None:
            (args.save / f"page_{number:03d}.jpg").write_bytes(data)
        lines = reader.read(data).lines
        found = matched(judged(verifier, load_image(data), f"page {number}", lines), drawn)
        rows += found
        drawn_total += len(drawn)
        print(number, len(drawn), "drawn", len(found), "read as drawn", flush=True)
    result = {"pages": args.pages, "drawn": drawn_total, **summary(rows)}
    write_atomically(args.out, (json.dumps(result, ensure_ascii=False, indent=1) + "\n").encode())
    print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


def page(bank: Bank, number: int) -> tuple[bytes, list[Drawn]]:
    """Return one page as JPEG, and what is on it."""
    rng = np.random.default_rng(number)
    generator = torch.Generator().manual_seed(number)
    size = SIZES[number // 2 % len(SIZES)]
    pool = bank.chosen("kept", (0,))
    fonts = sorted(set(bank.font[pool].tolist()))
    mine = pool[bank.font[pool] == fonts[(number * 7 + number // 20) % len(fonts)]]
    pitch, leading = size * rng.uniform(1.0, 1.15), size * rng.uniform(1.6, 2.2)
    per = min(PER_LINE, int((SIDE - 2 * size) / pitch))
    count = min(6, int((SIDE - size) / leading))
    index = mine[torch.randperm(len(mine), generator=generator)[: per * count]]
    kinds = torch.full((len(index),), -1)
    if number % 2:
        for row in range(count):
            for place in rng.choice(per, size=2, replace=False):
                kinds[row * per + int(place)] = int(rng.integers(len(KINDS) - 1))
    batch = Batch(bank=bank, index=index, weight=torch.zeros(len(index)), generator=generator)
    ink, share, seen = broken(batch, kinds)
    canvas = np.zeros((SIDE, SIDE), dtype=np.float32)
    drawn: list[Drawn] = []
    top, left = size * rng.uniform(0.5, 1.0), size * rng.uniform(0.5, 1.0)
    window = round(size * 1.2)
    for k in range(len(index)):
        y, x = round(top + k // per * leading), round(left + k % per * pitch)
        glyph = cv2.resize(ink[k].numpy(), (window, window), interpolation=cv2.INTER_AREA)
        place = canvas[y : y + window, x : x + window]
        np.maximum(place, glyph[: place.shape[0], : place.shape[1]], out=place)
        drawn.append(
            Drawn(
                character=bank.characters[int(bank.char[index[k]])],
                x=x + window / 2,
                y=y + window / 2,
                size=float(size),
                kind=int(kinds[k]) if bool(seen[k]) or int(kinds[k]) < 0 else -2,
                share=float(share[k]),
            )
        )
    return encoded(canvas, rng), drawn


def encoded(canvas: NDArray[np.float32], rng: np.random.Generator) -> bytes:
    """Colour a page, light on dark or dark on light, with a slope and grain, and save it as JPEG."""
    while True:
        ink, ground = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
        if abs(float((ink - ground) @ (0.3, 0.6, 0.1))) > 90:
            break
    slope = np.linspace(-1, 1, SIDE)[None, :, None] * rng.uniform(-25, 25)
    grain = rng.normal(0, rng.uniform(0, 6), (SIDE, SIDE, 1))
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, 0.8))[:, :, None]
    image = np.clip(ground + (ink - ground) * soft + slope + grain, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(85, 96)))
    return buffer.getvalue()


def matched(rows: Sequence[Judged], drawn: Sequence[Drawn]) -> list[tuple[Judged, Drawn]]:
    """Return the characters that were read as drawn, at the place where they were drawn."""
    found = []
    for row in rows:
        x, y = (sum(point[k] for point in row.box) / 4 for k in range(2))
        near = [d for d in drawn if abs(d.x - x) < 0.4 * d.size and abs(d.y - y) < 0.4 * d.size]
        if near and near[0].character == row.character and near[0].kind >= -1:
            found.append((row, near[0]))
    return found


def summary(rows: Sequence[tuple[Judged, Drawn]]) -> dict[str, Any]:
    """Return the tables: at the packaged threshold, at equal false alarms, by height, by kind."""
    whole = [row for row, drawn in rows if drawn.kind == -1]
    bad = [(row, drawn) for row, drawn in rows if drawn.kind >= 0]
    spoilt = [row for row, _ in bad]
    result: dict[str, Any] = {
        "whole flagged": rates(whole, lambda row: row.measures["network"] > 0),
        "broken flagged": rates(spoilt, lambda row: row.measures["network"] > 0),
    }
    equal: dict[str, Any] = {}
    for share in (0.005, 0.01):
        for measure in MEASURES:
            limit = threshold_at(whole, measure, share)
            found = rates(spoilt, lambda row, m=measure, t=limit: row.measures[m] > t)  # type: ignore[misc]
            equal.setdefault(f"{share:.1%} false alarms", {})[measure] = found["rate"]
    result["found at equal false alarms"] = equal
    result["by height"] = {
        f"{low:.0f}-{high:.0f} px": {
            "whole": rates([r for r in whole if low <= r.height < high], lambda row: row.measures["network"] > 0),
            "broken": rates([r for r in spoilt if low <= r.height < high], lambda row: row.measures["network"] > 0),
        }
        for low, high in pairwise(HEIGHTS)
    }
    result["by kind"] = {
        kind: rates([r for r, d in bad if d.kind == k], lambda row: row.measures["network"] > 0)
        for k, kind in enumerate(KINDS)
    }
    return result


if __name__ == "__main__":
    raise SystemExit(main())
