"""Leader dots: the row of dots that leads the eye from an item to its price or page, which nobody asks for.

A row of dots is layout where it is longer than an ellipsis, and where it ends a line beside which another one stands in
the same row: readers lose most of a row of dots, so that two or three of them are left. Any other dots are text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from qiltest.reading.records import Line
from qiltest.scoring.geometry import OVERLAP, Place, place_of
from qiltest.text.normalise import normalise

_DOTS = ".·"
#: a row of more dots than an ellipsis has.
ROW = re.compile(r"[.·](?:\s*[.·]){3,}")
#: what is left of one at the end of a line; of one dot it cannot be told.
_END = re.compile(r"(?<![.·\s])\s*[.·](?:\s*[.·])+$|(?<=\w)\s+[.·]$")
#: an expected text that has this asks for its dots.
_ASKED = re.compile(r"[.·]{2}")


def leaders_of(lines: Sequence[Line], expected: Sequence[str]) -> frozenset[int]:
    """Return the indices of lines whose last dots lead to another line in their row.

    `expected` are the image's texts, normalised: where one has a row of dots itself, dots are text.
    """
    if any(map(_ASKED.search, expected)):
        return frozenset()
    ending = [index for index, line in enumerate(lines) if _END.search(line.text)]
    if not ending:
        return frozenset()
    places = [place_of(line, len(line.text)) for line in lines]
    return frozenset(index for index in ending if any(_leads(places[index], other) for other in places))


def without_leaders(text: str, expected: Sequence[str], *, leads: bool) -> str:
    """Return a line's text, normalised, without its rows of dots; `leads`: nor those at its end."""
    if any(map(_ASKED.search, expected)):
        return text
    text = ROW.sub("", text)
    return text.rstrip(_DOTS) if leads else text


def leader_places(lines: Sequence[str], leading: Collection[int], expected: str) -> frozenset[int]:
    """Return the places of leader dots in joined lines, which are normalised; `leading` are those that end with some.

    None where the expected text has a row of dots itself.
    """
    if _ASKED.search(expected):
        return frozenset()
    found: set[int] = set()
    start = 0
    for index, line in enumerate(lines):
        for row in ROW.finditer(line):
            found.update(range(start + row.start(), start + row.end()))
        if index in leading:
            found.update(range(start + len(line.rstrip(_DOTS)), start + len(line)))
        start += len(line)
    return frozenset(found)


def _leads(line: Place, other: Place) -> bool:
    """Return whether another line stands behind a line, in its row."""
    shared = min(line.bottom, other.bottom) - max(line.top, other.top)
    height = min(line.bottom - line.top, other.bottom - other.top)
    return other.left >= line.right and shared > OVERLAP * height and not (line.column or other.column)


def starts_with_leader(outer: str) -> bool:
    """Return whether what stands beside a text (as read, nearest character first) begins with a row of dots."""
    return ROW.match("".join(normalise(char) or " " for char in outer).lstrip()) is not None
