"""The packaged drawings of each character in three styles: what the network compares a crop with.

The file `references.xz` is one xz stream: a line of JSON (`size`, `styles`, `characters`), then one bit per pixel,
style by style and character by character, rows of `size` pixels packed into bytes from the highest bit down.
`tools/glyph_verifier/glyph_atlas.py` writes it.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from qiltest.errors import ReaderError, os_errors_as
from qiltest.files import read_file
from qiltest.reading.glyphs.crop import EM, SIDE

FILE: Final = Path(__file__).with_name("references.xz")
#: of the file, and of what it unpacks to, bytes.
MAX_FILE, MAX_UNPACKED = 3 << 20, 24 << 20
_REMEDY = "install qiltest again"
Drawings = NDArray[np.float32]


class References:
    """Drawings of characters."""

    def __init__(self, *, size: int, styles: int, characters: str, bits: bytes) -> None:
        """`bits`: as in the file. Raises ValueError where they are not as many as the other three say."""
        self._index = {char: k for k, char in enumerate(characters)}
        packed = np.frombuffer(bits, dtype=np.uint8)
        self._packed = packed.reshape(styles, len(characters), size, size // 8)
        self.styles = styles
        self._drawn: dict[str, Drawings] = {}

    @property
    def characters(self) -> frozenset[str]:
        """All characters that are drawn."""
        return frozenset(self._index)

    def has(self, char: str) -> bool:
        """Return whether a character is drawn; one that is not cannot be judged."""
        return char in self._index

    def drawings(self, char: str) -> Drawings:
        """Return a character in each style, float32, shape (styles, `SIDE`, `SIDE`), 1 in strokes, as crops are placed.

        Raises KeyError for a character that is not drawn.
        """
        found = self._drawn.get(char)
        if found is None:
            bits = np.unpackbits(self._packed[:, self._index[char]], axis=-1).astype(np.float32)
            edge = (SIDE - EM) // 2
            found = np.zeros((self.styles, SIDE, SIDE), dtype=np.float32)
            for drawn, style in zip(found, bits, strict=True):
                drawn[edge : edge + EM, edge : edge + EM] = cv2.resize(style, (EM, EM), interpolation=cv2.INTER_AREA)
            self._drawn[char] = found
        return found


@cache
def references(file: Path = FILE) -> References:
    """Return the packaged drawings. Raises ReaderError where the file is missing or not as it was packaged."""
    with os_errors_as(ReaderError, "cannot be opened", where=str(file), remedy=_REMEDY):
        data = read_file(file, most=MAX_FILE)
    try:
        unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=64 << 20)
        unpacked = unpacker.decompress(data, max_length=MAX_UNPACKED)
        if not unpacker.eof:
            raise ValueError(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB, or ends early")
        head, _, bits = unpacked.partition(b"\n")
        fields = json.loads(head)
        return References(
            size=int(fields["size"]), styles=int(fields["styles"]), characters=str(fields["characters"]), bits=bits
        )
    except (lzma.LZMAError, ValueError, KeyError, TypeError) as error:
        raise ReaderError(
            f"the drawings of characters are damaged ({error})", where=str(file), remedy=_REMEDY
        ) from error
