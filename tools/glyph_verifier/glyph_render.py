"""Draw characters of a font as crops show them: the em square in the middle of a window, letters filling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from qiltest.reading.glyphs.crop import EM, FULL, SIDE
from qiltest.reading.strokes import fills_square

#: Size that characters are drawn at before they are made smaller.
LARGE = 160
#: Characters that reach over all of their em square, to measure where a font puts it.
TALL = "國国園圆圖圍四回固因團困図東車書事重華真直具其者我成城東束果業黒黑里量墨高商京享率寒寺等算筆章意書春青責"
#: Characters that many fonts draw alike but for the size, which crops of letters leave out. One of them in place of
#: another is no damage that can be seen.
SAME = (
    "Cc",
    "Oo0",
    "Il1",
    "Ss",
    "Vv",
    "Ww",
    "Xx",
    "Zz",
    "Uu",
    "Kk",
    "Pp",
    "Jj",
    "へヘ",
    "べベ",
    "ぺペ",
    "りリ",
    "日曰",
)
Grey = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Face:
    """One font, and where it puts the em square of Chinese characters at `LARGE`."""

    font: ImageFont.FreeTypeFont
    #: size of the em square as crops measure it, and its middle below the baseline.
    em: float
    middle: float


def face(file: Path, index: int = 0) -> Face:
    """Open a font and measure its Chinese characters, if it has them."""
    font = ImageFont.truetype(str(file), LARGE, index=index)
    blank = ink_of(font, "\U0010fffd")
    profiles = []
    for char in TALL:
        drawn = ink_of(font, char)
        if drawn.any() and not np.array_equal(drawn, blank):
            profiles.append((drawn > 115).mean(axis=1))
    if len(profiles) < 8:
        return Face(font=font, em=float(LARGE), middle=-0.38 * LARGE)
    profile = np.mean(profiles, axis=0)
    rows = np.flatnonzero(profile > 0.15 * profile.max())
    top, bottom = float(rows[0]), float(rows[-1] + 1)
    return Face(font=font, em=(bottom - top) / FULL, middle=(top + bottom) / 2 - 2 * LARGE)


def ink_of(font: ImageFont.FreeTypeFont, char: str) -> Grey:
    """Draw one character on a canvas of three times its size, its baseline at 2 x `LARGE`, its middle across at 1.5 x."""
    canvas = Image.new("L", (3 * LARGE, 3 * LARGE), 0)
    ImageDraw.Draw(canvas).text((1.5 * LARGE, 2 * LARGE), char, fill=255, font=font, anchor="ms")
    return np.asarray(canvas, dtype=np.uint8)


def window(face: Face, char: str, pixels: int, *, margin: float = SIDE / EM, square: bool | None = None) -> Grey | None:
    """Draw a character in a square of `pixels`, `margin` times its em square; None where the font draws nothing.

    `square`: whether it is placed as Chinese is; None: by the character.
    """
    drawn = ink_of(face.font, char)
    rows, columns = np.flatnonzero(drawn.max(axis=1) > 60), np.flatnonzero(drawn.max(axis=0) > 60)
    if not len(rows):
        return None
    if fills_square(char) if square is None else square:
        size, x, y = face.em, 1.5 * LARGE, 2 * LARGE + face.middle
    else:
        size = float(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1)
        x, y = (columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2
    side = max(4, round(size * margin))
    patch = cv2.getRectSubPix(drawn, (side, side), (float(x) - 0.5, float(y) - 0.5))
    return np.asarray(cv2.resize(patch, (pixels, pixels), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def gb2312(first: int = 0xB0, last: int = 0xF7) -> list[str]:
    """Return the Chinese characters of GB 2312 by rows; 0xB0 to 0xD7 is its level 1."""
    codes = (bytes([a, b]) for a in range(first, last + 1) for b in range(0xA1, 0xFF))
    return [char for code in codes if (char := code.decode("gb2312", errors="ignore"))]


def big5_level_1() -> list[str]:
    """Return the 5401 characters of Big5's first level."""
    lows = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    codes = (bytes([a, b]) for a in range(0xA4, 0xC7) for b in lows)
    found = (code.decode("big5", errors="ignore") for code in codes)
    return [char for char in found if char and "\u4e00" <= char <= "\u9fff"]


def kana() -> list[str]:
    """Return the kana, small ones too."""
    return [chr(code) for code in (*range(0x3041, 0x3097), *range(0x30A1, 0x30FB), 0x30FC)]


def letters() -> list[str]:
    """Return the digits and the Latin letters."""
    return [*"0123456789", *map(chr, range(65, 91)), *map(chr, range(97, 123))]


def of_cases(folder: Path) -> list[str]:
    """Return the Chinese characters in the texts of the suite's cases."""
    text = "".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.toml")))
    return sorted({char for char in text if fills_square(char)})


def all_characters(cases: Path) -> list[str]:
    """Return every character that is judged, by its code."""
    return sorted({*gb2312(), *big5_level_1(), *kana(), *letters(), *of_cases(cases), *"々〇"})


def drawn_of(face: Face, chars: Sequence[str], pixels: int) -> dict[str, Grey]:
    """Draw those characters that the font has, without those that come out as its mark for a missing one."""
    blanks = [window(face, "\U0010fffd", pixels, square=square) for square in (True, False)]
    found: dict[str, Grey] = {}
    for char in chars:
        grey = window(face, char, pixels)
        blank = blanks[0 if fills_square(char) else 1]
        if grey is not None and (blank is None or not np.array_equal(grey, blank)):
            found[char] = grey
    return found
