"""The faces that texts are drawn in, by half, and which characters each can draw."""

from __future__ import annotations

import functools
import random
import sys
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

HERE = Path(__file__).parent
#: Where Debian's packages put their fonts.
FONTS = Path("/usr/share/fonts")
#: in no font: drawing it shows a font's glyph for missing characters.
_LACKING = "\U0010fffe"
#: Share of the ink of two glyphs that must differ for a person to tell them apart at reading size.
APART = 0.15
#: the same of a wave and a hyphen, which have little ink.
WAVE_APART = 0.45


class FacesMissingError(Exception):
    """Fonts that the generator needs are not there."""


@dataclass(frozen=True, kw_only=True)
class Face:
    """One font file, or one face of a collection."""

    path: Path
    package: str
    half: str
    styles: frozenset[str]
    index: int = 0
    #: capitals alone: its small letters look like capitals.
    caps: bool = False
    #: False for faces of ideographs whose Latin letters are makeshift: l as 1, of one width.
    latin: bool = True
    #: False where its digits may be taken for letters.
    digits: bool = True

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem

    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """Open it at a size in pixels."""
        return _open(self.path, self.index, size)

    def draws(self, text: str) -> bool:
        """Return whether a person would read `text` in this face as it is."""
        if self.caps and text != text.upper():
            return False
        if not self.digits and any(char.isdigit() for char in text):
            return False
        if not self.latin and any(char.isascii() and char.isalpha() for char in text):
            return False
        if "~" in text and not self.tells_apart("~", "-", WAVE_APART):
            return False
        return all(_glyph(self.path, self.index, char) is not None for char in text if not char.isspace())

    def tells_apart(self, first: str, second: str, least: float = APART) -> bool:
        """Return whether two characters look different enough here."""
        a, b = _glyph(self.path, self.index, first), _glyph(self.path, self.index, second)
        return a is not None and b is not None and _difference(a, b) >= least


@functools.cache
def load_faces(half: str, root: Path = FONTS) -> tuple[Face, ...]:
    """Return the faces of a half, whose files lie under `root`. Raises FacesMissingError where any is not there."""
    faces = listed_faces(half, root)
    missing = sorted({face.package for face in faces if not face.path.is_file()})
    if missing:
        remedy = f"apt-get install {' '.join(missing)}, or give --fonts"
        raise FacesMissingError(f"fonts missing under {root}\n  -> {remedy}")
    return faces


def listed_faces(half: str, root: Path = FONTS) -> tuple[Face, ...]:
    """Return the faces of a half, whether their files are there or not."""
    listed = tomllib.loads((HERE / "faces.toml").read_text(encoding="utf-8"))["faces"]
    return tuple(
        Face(
            path=root / each["file"],
            package=each["package"],
            half=each["half"],
            styles=frozenset(each["styles"]),
            index=each.get("index", 0),
            caps=each.get("caps", False),
            digits=each.get("digits", True),
            latin=each.get("latin", True),
        )
        for each in listed
        if each["half"] == half
    )


def choose(faces: Sequence[Face], texts: Collection[str], styles: Collection[str], rng: random.Random) -> Face | None:
    """Return a face that draws all texts, of one of the styles where there is one; None where no face has them."""
    able = [face for face in faces if all(face.draws(text) for text in texts)]
    fitting = [face for face in able if face.styles & set(styles)]
    # faces with ideographs draw Latin too, each in its own share
    return rng.choice(fitting or able) if able else None


@functools.lru_cache(maxsize=1024)
def _open(path: Path, index: int, size: int) -> ImageFont.FreeTypeFont:
    try:
        # Raqm sets letters otherwise where the machine has it
        return ImageFont.truetype(path, size=size, index=index, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        sys.exit(f"{path}: {error}")


@functools.lru_cache(maxsize=65536)
def _glyph(path: Path, index: int, char: str) -> NDArray[np.float32] | None:
    """Draw one character into a square of fixed baseline; None where the font lacks it or draws nothing."""
    font = _open(path, index, 48)
    mask = font.getmask(char, anchor="ls")
    if bytes(mask) == bytes(font.getmask(_LACKING, anchor="ls")) or not any(mask):
        return None
    top = font.getbbox(char, anchor="ls")[1]
    square = np.zeros((96, 96), dtype=np.float32)
    drawn = np.asarray(mask, dtype=np.float32).reshape(mask.size[1], mask.size[0]) / 255
    y, x = max(0, round(top) + 64), 16
    height, width = min(96 - y, drawn.shape[0]), min(96 - x, drawn.shape[1])
    square[y : y + height, x : x + width] = drawn[:height, :width]
    return square


def _difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Share of the common ink that differs, at the best of a few shifts."""
    shifts = [np.roll(b, step, axis=1) for step in (-3, -2, -1, 0, 1, 2, 3)]
    return min(float(np.abs(a - each).sum() / (a.sum() + each.sum())) for each in shifts)
