"""Leader dots: the row of dots that leads the eye from an item to its price or page, which nobody asks for.

A row of more dots than an ellipsis has parts a line into what stands before and behind it. Readers lose most of a row:
the two or three dots that are left of it at the end of an item, or before its price, are told from an ellipsis by what
is around them: behind the item stands a line with a number in the same row, and the image has another such row. Any
other dots are text, and so are those of a text that asks for some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qiltest.reading.records import Line
from qiltest.scoring.geometry import OVERLAP, Place, place_of
from qiltest.text.normalise import letters_and_digits, normalise

#: dots as readers return them.
_DOTS = "[.·•・…]"
_RUN = re.compile(rf"{_DOTS}(?:\s*{_DOTS})*")
#: as many dots, at least, are a row; an ellipsis stands for three, and the Chinese one, of two, is still text.
_ROW, _ELLIPSIS = 4, 3
#: rows that make a list.
_ROWS = 2
#: an expected text, normalised, that has this asks for its dots.
_ASKED = re.compile(r"[.·]{2}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """What stands in a line (as read) between rows of dots, or all of it: its characters from `start` to `end`."""

    start: int
    end: int
    #: the row of dots between this and the next segment of the line, as read; "" for none.
    led: str = ""
    #: True where dots beside it lead from or to another line.
    edged: bool = False
    #: where the line begins to which its last dots lead, in pixels from the left; 0 for none.
    reach: float = 0.0


def segments_of(lines: Sequence[Line], expected: Sequence[str]) -> Mapping[int, tuple[Segment, ...]]:
    """Return the segments of the lines that have leader dots, by the lines' indices; `expected` are normalised."""
    asking = [letters_and_digits(text) for text in expected if _ASKED.search(text)]
    runs: dict[int, list[re.Match[str]]] = {}
    for index, line in enumerate(lines):
        dots = [*_RUN.finditer(line.text)]
        if dots and not any(text in letters_and_digits(line.text) for text in asking):
            runs[index] = dots
    remnants, reaches = _remnants(lines, runs)
    found = {index: _segments(lines[index].text, dots, remnants.get(index, [])) for index, dots in runs.items()}
    for index, reach in reaches.items():
        # a line may be nothing but dots
        found[index] = tuple(
            replace(part, reach=reach) if k == len(found[index]) else part for k, part in enumerate(found[index], 1)
        )
    return found


def _segments(text: str, runs: Sequence[re.Match[str]], remnants: Sequence[re.Match[str]]) -> tuple[Segment, ...]:
    leaders = [run for run in runs if _is_row(run[0]) or run in remnants]
    starts, ends = [0, *(run.end() for run in leaders)], [*(run.start() for run in leaders), len(text)]
    dots = [*(run[0] for run in leaders), ""]
    parts = [(s, e, led) for s, e, led in zip(starts, ends, dots, strict=True) if normalise(text[s:e])]
    return tuple(
        Segment(start=s, end=e, led=led if k + 1 < len(parts) else "", edged=len(parts) <= len(leaders))
        for k, (s, e, led) in enumerate(parts)
    )


def _remnants(
    lines: Sequence[Line], runs: Mapping[int, Sequence[re.Match[str]]]
) -> tuple[dict[int, list[re.Match[str]]], dict[int, float]]:
    """Return what is left of rows of dots at the ends and beginnings of lines, and where those at an end lead to.

    Both by the lines' indices.
    """
    if not runs:
        return {}, {}
    rows = sum(any(_is_row(run[0]) for run in each) for each in runs.values())
    places = _Places([place_of(line, len(line.text)) for line in lines])
    found: dict[int, list[re.Match[str]]] = {}
    reaches: dict[int, float] = {}
    for index, line in enumerate(lines):
        behind = places.behind(index)
        if behind is None or not any(char.isdigit() for char in lines[behind].text):
            continue
        ending = [run for run in runs.get(index, ()) if run.end() == len(line.text.rstrip()) and _is_left(run, -1)]
        leading = [run for run in runs.get(behind, ()) if not run.string[: run.start()].strip() and _is_left(run, 1)]
        if ending or leading:
            rows += 1
            found.setdefault(index, []).extend(ending)
            found.setdefault(behind, []).extend(leading)
            if ending:
                reaches[index] = float(places.left[behind])
    return (found, reaches) if rows >= _ROWS else ({}, {})


class _Places:
    """Where lines stand, to find the next one in a row: an image may have thousands."""

    def __init__(self, places: Sequence[Place]) -> None:
        box = np.array([(place.left, place.top, place.right, place.bottom) for place in places])
        self.left, self._top, self._right, self._bottom = box.T
        self._column = np.array([place.column for place in places])

    def behind(self, index: int) -> int | None:
        """Return the next line in the row of a line, from left to right."""
        if self._column[index]:
            return None
        top, bottom = self._top[index], self._bottom[index]
        shared = np.minimum(self._bottom, bottom) - np.maximum(self._top, top)
        height = np.minimum(self._bottom - self._top, bottom - top)
        row = (self.left >= self._right[index]) & (shared > OVERLAP * height) & ~self._column
        return int(np.where(row, self.left, np.inf).argmin()) if row.any() else None


def _is_row(run: str) -> bool:
    marks = "".join(run.split())
    return _number(marks) >= _ROW and marks not in {"…", "……"}


def _is_left(run: re.Match[str], side: int) -> bool:
    """Return whether dots at a line's end (`side` -1) or beginning may be left of a row: two, or one set apart."""
    outside = run.string[run.end() :] if side > 0 else run.string[: run.start()]
    return _number(run[0]) > 1 or outside[:: side or 1][:1].isspace()


def _number(dots: str) -> int:
    return sum(_ELLIPSIS if dot == "…" else not dot.isspace() for dot in dots)
