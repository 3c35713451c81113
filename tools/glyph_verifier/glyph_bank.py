"""Draw the bank of characters that the network is trained on and tested with: one xz file, to carry where no fonts are.

    python tools/glyph_verifier/glyph_bank.py [--fonts /usr/share/fonts] [--out bank.xz]

fonts.txt says which fonts are trained on and which are kept for the test; `kept_characters` which characters. Of each
font for training a part of its Chinese characters is drawn, other ones of each, common ones more often; all kana and
letters. Of the kept and the decorative fonts: kept characters and as many of the others.

The file is an xz stream: a line of JSON (`pixels`; `fonts`: half, file, index, characters), then one bit per pixel,
font by font and character by character.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from glyph_render import SAME, Grey, all_characters, big5_level_1, drawn_of, face, gb2312, kana, letters

from qiltest.arguments import existing_folder
from qiltest.files import write_atomically
from qiltest.reading.strokes import fills_square

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
#: Side of the window that a character is drawn in, 1.2 em squares, in pixels; and what covers so much of one is ink.
PIXELS, COVERED = 72, 110
#: A drawing is left out where less than this share of its ink is left of it: strokes are thinner than a pixel.
LEFT = 0.7
#: Chinese characters that are never trained on, and those of each font for training and for the test.
KEPT, OF_FONT, OF_KEPT = 600, 2600, 300
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0, "dict_size": 8 << 20}]


@dataclass(frozen=True, kw_only=True)
class Font:
    """A line of fonts.txt."""

    half: str
    scripts: tuple[str, ...]
    package: str
    file: str
    index: int


def fonts_listed() -> list[Font]:
    """Read fonts.txt."""
    lines = (HERE / "fonts.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return [
        Font(half=half, scripts=tuple(scripts.split()), package=package, file=file, index=int(index))
        for half, scripts, package, _, file, index in rows
    ]


def kept_characters() -> set[str]:
    """Return the characters that are never trained on: Chinese of both kinds, and kana. Fixed by a seed."""
    rng = random.Random(25)
    common, rest = gb2312(0xB0, 0xD7), sorted({*gb2312(0xD8), *big5_level_1()} - set(gb2312(0xB0, 0xD7)))
    return {*rng.sample(common, KEPT // 2), *rng.sample(rest, KEPT // 2), *rng.sample(kana(), 20)}


def wanted(font: Font, kept: set[str], rng: random.Random) -> list[str]:
    """Return the characters to draw of one font."""
    chinese = [char for char in all_characters(ROOT / "cases") if fills_square(char) and char not in kana()]
    common = [char for char in gb2312(0xB0, 0xD7) if char not in kept]
    others = sorted(set(chinese) - set(common) - kept)
    found: list[str] = []
    if "han" in font.scripts:
        count = OF_FONT if font.half == "train" else OF_KEPT
        found += rng.sample(common, count // 2) + rng.sample(others, count // 2)
        if font.half != "train":
            found += rng.sample(sorted(kept - set(kana())), 2 * OF_KEPT)
    if "kana" in font.scripts:
        found += [char for char in kana() if font.half != "train" or char not in kept]
    if "latin" in font.scripts:
        found += letters()
    return sorted(found)


def clean(found: dict[str, Grey]) -> dict[str, Grey]:
    """Return the drawings of a font as bits, 0 and 1, that show their character.

    What several characters look like is a font's mark for those that it has not, another character's form under a
    variant's code, or a capital in place of a small letter. Only characters of one shape (`SAME`), and a capital, may
    have a double.
    """
    first = {char: same[0] for same in SAME for char in same}
    bits = {char: np.asarray(grey > COVERED, dtype=np.uint8) for char, grey in found.items()}
    alike: dict[bytes, list[str]] = {}
    for char, drawn in bits.items():
        alike.setdefault(drawn.tobytes(), []).append(char)
    kept: set[str] = set()
    for chars in alike.values():
        capitals = [char for char in chars if char.isascii() and not char.islower()]
        shapes = {first.get(char, char) for char in capitals or chars}
        if len(shapes) == 1:
            kept |= {char for char in chars if first.get(char, char) in shapes}
    whole = {char for char, drawn in bits.items() if 255.0 * drawn.sum() >= LEFT * found[char].sum(dtype=np.float64)}
    return {char: drawn for char, drawn in bits.items() if char in kept & whole}


def main() -> int:
    """Draw all fonts and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fonts", type=existing_folder, default="/usr/share/fonts")
    parser.add_argument("--out", type=Path, default=Path("bank.xz"))
    parser.add_argument("--only", type=int, help="the first so many fonts, to try")
    args = parser.parse_args()
    kept, rng = kept_characters(), random.Random(7)
    heads: list[dict[str, object]] = []
    bits: list[bytes] = []
    for number, font in enumerate(fonts_listed()[: args.only]):
        opened = face(args.fonts / font.file, font.index)
        found = clean(drawn_of(opened, wanted(font, kept, rng), PIXELS))
        heads.append({"half": font.half, "file": font.file, "index": font.index, "characters": "".join(found)})
        bits.extend(np.packbits(drawn).tobytes() for drawn in found.values())
        print(number, font.half, font.file, font.index, len(found), flush=True)
    head = json.dumps({"pixels": PIXELS, "kept": "".join(sorted(kept)), "fonts": heads}, ensure_ascii=False).encode()
    write_atomically(args.out, lzma.compress(head + b"\n" + b"".join(bits), lzma.FORMAT_XZ, filters=FILTERS))
    print(f"{len(bits)} drawings, {args.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
