"""The `Reader` protocol and the records it returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ReaderInfo:
    """Identity of a reader. Readings are compared only where these are equal."""

    name: str
    engine: str
    version: str
    #: SHA-256 over the reader's weight files.
    weights_sha256: str
    #: (setting, value), sorted.
    settings: tuple[tuple[str, str], ...] = ()
    device: str = "cpu"
    #: version of qiltest's own code that reads (`qiltest.reading.version`), 0 for a reader of one's own. A stored
    #: reading is taken only by the same version; goldens are compared whatever it is.
    code: int = 0

    @property
    def fingerprint(self) -> str:
        """Short hash of all fields but `code`, as kept in goldens."""
        import hashlib

        fields = (self.name, self.engine, self.version, self.weights_sha256, *map(str, self.settings), self.device)
        return f"{self.name}-{self.version}-{hashlib.sha256(chr(0).join(fields).encode()).hexdigest()[:12]}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line as read: text, quadrilateral in pixels (clockwise from top left), confidence 0 to 1."""

    text: str
    box: tuple[Point, Point, Point, Point]
    confidence: float
    #: confidence per character of `text` where the engine gives it, else empty.
    characters: tuple[float, ...] = ()
    #: centre of each character of `text` along `box`, 0 (its start) to 1, where the engine gives it, else empty.
    places: tuple[float, ...] = ()
    #: log-odds per character of `text` that its strokes are broken, None where that was not judged; empty for a line
    #: of which nothing was.
    strokes: tuple[float | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader saw in one image, in the reader's own order."""

    reader: ReaderInfo
    width: int
    height: int
    lines: tuple[Line, ...]
    seconds: float
    #: fingerprint of the glyph network that judged the strokes; "" where none did.
    glyphs: str = ""


class Reader(Protocol):
    """Reads images. Returns no lines for an image without text.

    A reader may also have an `alphabet`, a set of the characters that it can return (`alphabet_of`). A case with a
    character outside it is an ERROR before its image is generated. Without one, every character is taken as readable.
    """

    @property
    def info(self) -> ReaderInfo:
        """Identity of the reader."""
        ...

    def read(self, image: Path | bytes) -> Reading:
        """Read one image (a file or its bytes). Raises ReaderError where it cannot be decoded."""
        ...


def alphabet_of(reader: Reader) -> frozenset[str] | None:
    """Return the characters that a reader can return, None for a reader that does not say."""
    alphabet = getattr(reader, "alphabet", None)
    return None if alphabet is None else frozenset(alphabet)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the readers that a name without a language stands for."""

    #: with its options, as `open_reader` takes it.
    name: str
    alphabet: frozenset[str]
    #: what to do before it can be opened, "" where its weights are on this machine.
    remedy: str = ""
