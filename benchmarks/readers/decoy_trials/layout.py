"""Readings made of a case's texts, without an image: every text exact, in rows or columns with plausible boxes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qiltest.calibration.drawing import wrapped
from qiltest.reading import Line, ReaderInfo, Reading
from qiltest.scoring import Score, score_case
from qiltest.suite.cases import Case, ExpectedText
from qiltest.text.normalise import is_decoration

#: Side of the image that the boxes are made for, in pixels.
SIDE = 1328
READER = ReaderInfo(name="none", engine="none", version="1", weights_sha256="0" * 64)
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Item:
    """A line, and the index of the text that it is of; -1 for a decoy."""

    line: Line
    text: int


def true_lines(case: Case, rng: random.Random) -> list[Item]:
    """Lay the case's texts out as an image shows them: columns at the right, the others in rows from the top."""
    items: list[Item] = []
    columns = [i for i, text in enumerate(case.texts) if text.vertical]
    others = [i for i in range(len(case.texts)) if i not in columns]
    for k, i in enumerate(columns):
        shown = shown_in(case.texts[i])
        x, size = SIDE - 120 - 130 * k, 70.0
        items.append(Item(line=line_at(shown, (x, 60, x + size, 60 + size * 1.1 * len(shown)), rng), text=i))
    right = SIDE - 60 - 130 * len(columns)
    across = 1 if len(others) <= 6 else 3
    step = (SIDE - 100) / max(1, -(-len(others) // across))
    for k, i in enumerate(others):
        left, top = 50 + (k % across) * right / across, 50 + (k // across) * step
        items += _rows(i, shown_in(case.texts[i]), left, top, right / across - 40, step - 20, rng)
    return items


def shown_in(text: ExpectedText) -> str:
    """Return a text without its optional marks and symbols, as images show it."""
    for mark in text.optional_marks:
        text = replace(text, text=text.text.replace(mark, ""))
    return " ".join("".join(" " if is_decoration(char) else char for char in text.text).split())


def _rows(
    index: int, shown: str, left: float, top: float, width: float, height: float, rng: random.Random
) -> Iterator[Item]:
    """Break a text into rows as large as its cell holds."""
    sizes = (min(64.0, height / 1.4) * 0.92**k for k in range(20))
    broken = ((size, wrapped(shown, width / size, lambda part: width_of(part, 1.0))) for size in sizes)
    size, rows = next((size, rows) for size, rows in broken if len(rows) * size * 1.35 <= height or size < 16)
    for k, row in enumerate(rows):
        y = top + k * size * 1.35
        yield Item(line=line_at(row, (left, y, left + width_of(row, size), y + size), rng), text=index)


def width_of(text: str, size: float) -> float:
    """Width of a text written at a size, in pixels."""
    return sum(size if ord(char) > 0x2E80 else size * 0.55 for char in text)


def line_at(text: str, box: tuple[float, float, float, float], rng: random.Random) -> Line:
    """Make a line of a text in an upright box."""
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Line(text=text, box=corners, confidence=round(rng.uniform(0.6, 0.99), 3))


def shortened(line: Line, text: str, share: float) -> Line:
    """Return a line with less text; `share` is that of its length."""
    (left, top), _, (right, bottom), _ = line.box
    if bottom - top > right - left and len(line.text) > 1:
        bottom = top + (bottom - top) * share
    else:
        right = left + (right - left) * share
    return replace(line, text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)))


def box_of(line: Line) -> tuple[float, float, float, float]:
    """Return a line's left, top, right and bottom."""
    xs, ys = [x for x, _ in line.box], [y for _, y in line.box]
    return min(xs), min(ys), max(xs), max(ys)


def score_of(case: Case, items: Sequence[Item]) -> Score:
    """Score lines against a case. Without any, one line of a mark stands for a reader that saw no text."""
    lines = [item.line for item in items] or [line_at("§", (1, 1, 9, 9), random.Random(0))]
    return score_case(case, Reading(reader=READER, width=SIDE, height=SIDE, lines=tuple(lines), seconds=0.0))
