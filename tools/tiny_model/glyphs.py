"""Draw every character in several fonts into glyph atlases.

Fonts, all from Debian packages: fonts-noto-cjk (Noto Sans CJK; SIL Open Font License 1.1), fonts-dejavu-core (DejaVu Sans
Mono; Bitstream Vera licence), fonts-liberation (Liberation Mono; SIL Open Font License 1.1). Only images of glyphs are
drawn from them. They were chosen by what the default reader reads without error at this size: WenQuanYi Zen Hei, Noto Serif
and Noto's bold weight cost it more characters.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from charset import charset
from PIL import Image, ImageDraw, ImageFont

FONTS = Path("/usr/share/fonts")
#: per font set: (file, index, size) for wide glyphs and for narrow glyphs
SETS = (
    (("opentype/noto/NotoSansCJK-Regular.ttc", 2, 29), ("truetype/dejavu/DejaVuSansMono-Bold.ttf", 0, 25)),
    (("opentype/noto/NotoSansCJK-Regular.ttc", 2, 29), ("truetype/liberation/LiberationMono-Bold.ttf", 0, 26)),
)
#: characters that one font alone draws so that the reader knows them
ALWAYS = {
    "π": ("truetype/dejavu/DejaVuSans.ttf", 0, 26),
    "≈": ("truetype/liberation/LiberationMono-Bold.ttf", 0, 28),
}
EMOJI = ("truetype/dejavu/DejaVuSans.ttf", 0, 18)


def _font(spec: tuple[str, int, int]) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / spec[0]), spec[2], index=spec[1])


def _glyph(char: str, font: ImageFont.FreeTypeFont, width: int) -> np.ndarray:
    """One glyph on its baseline, centred in a cell of `width` x 32 px; 0 to 255."""
    cell = Image.new("L", (width, 32), 0)
    if char.strip():
        ImageDraw.Draw(cell).text((width / 2, 25), char, font=font, fill=255, anchor="ms")
    return np.asarray(cell)


def _wide_latin(spec: tuple[str, int, int]) -> tuple[str, int, int]:
    """Latin in a wide cell is drawn larger, so that words do not fall apart."""
    return spec[0], spec[1], 31


def draw() -> dict[str, np.ndarray]:
    chars = charset()
    narrow = np.zeros((len(SETS), len(chars.narrow), 32, 16), np.uint8)
    wide = np.zeros((len(SETS), len(chars.wide), 32, 32), np.uint8)
    latin = set(chars.narrow)
    for s, (cjk_spec, mono_spec) in enumerate(SETS):
        cjk, mono, big = _font(cjk_spec), _font(mono_spec), _font(_wide_latin(mono_spec))
        small = _font(EMOJI)
        for i, char in enumerate(chars.narrow):
            font = small if char == "😊" else _font(ALWAYS[char]) if char in ALWAYS else mono
            narrow[s, i] = _glyph(char, font, 16)
        for i, char in enumerate(chars.wide):
            font = cjk if char not in latin or char == "·" else big
            wide[s, i] = _glyph(char, font, 32)
    return {"narrow": narrow, "wide": wide}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    glyphs = draw()
    empty = [charset().wide[i] for i in np.flatnonzero(glyphs["wide"].max((2, 3)).min(0) == 0)]
    if empty != [" "]:
        raise SystemExit(f"no glyph in some font for {empty}")
    np.savez_compressed(args.out, narrow=glyphs["narrow"], wide=glyphs["wide"])
    print(f"{glyphs['narrow'].shape[1]} narrow, {glyphs['wide'].shape[1]} wide glyphs in {len(SETS)} fonts")


if __name__ == "__main__":
    main()
