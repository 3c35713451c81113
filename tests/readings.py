"""Readings built from lines and places, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.suite.cases import ExpectedText

INFO = ReaderInfo(name="fake", engine="fake", version="1", weights_sha256="0" * 64)


def line(text: str, left: float, top: float, width: float, height: float, confidence: float = 0.99) -> Line:
    right, bottom = left + width, top + height
    return Line(text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)), confidence=confidence)


def stack(*texts: str, left: float = 100, top: float = 100, size: float = 40) -> list[Line]:
    """Lines one under another, the way wrapped text stands."""
    return [
        line(text, left, top + i * size * 1.4, size * 0.6 * max(1, len(text)), size) for i, text in enumerate(texts)
    ]


def column(text: str, left: float, top: float, size: float = 60) -> Line:
    return line(text, left, top, size, size * len(text))


def reading(lines: Sequence[Line], width: int = 2000, height: int = 2000) -> Reading:
    return Reading(reader=INFO, width=width, height=height, lines=tuple(lines), seconds=0.1)


def texts(*wanted: str, marks: tuple[str, ...] = ()) -> list[ExpectedText]:
    return [ExpectedText(text=text, optional_marks=marks) for text in wanted]
