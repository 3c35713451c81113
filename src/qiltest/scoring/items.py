"""The number of a list's item, which stands before a Chinese text with an icon or a wide gap between the two.

Chinese is mostly read without white space, so that the places of the characters tell "3 防骗必备" from "3防骗必备".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from qiltest.reading.records import Line
from qiltest.reading.strokes import fills_square
from qiltest.scoring.leaders import Segment
from qiltest.text.normalise import normalise

#: From so many times as far as characters are from each other a number stands apart: one beside them is nearer.
APART = 1.5
#: characters behind the number that their distance is measured by, at least and at most.
LEAST, MEASURED = 2, 3
_NUMBER = re.compile(r"\s*\d{1,2}\s*")


def number_apart(line: Line, expected: Sequence[str]) -> tuple[Segment, ...]:
    """Return the number that stands before a line, and the rest of the line; nothing where there is none.

    `expected` are the texts, normalised: a number that one of them has before its text is part of it.
    """
    found = _NUMBER.match(line.text)
    if found is None or len(line.places) != len(line.text):
        return ()
    end = found.end()
    rest = line.text[end : end + MEASURED]
    if len(rest) < LEAST or not all(map(fills_square, rest)):
        return ()
    if any(normalise(found[0]) + rest[0] in text for text in expected):
        return ()
    digit = max(at for at in range(end) if line.text[at].isdigit())
    if line.text[digit + 1].isspace():  # the reader saw the gap
        return Segment(start=0, end=end), Segment(start=end, end=len(line.text))
    pitch = median(b - a for a, b in pairwise(line.places[end : end + MEASURED]))
    if not (pitch > 0 and line.places[end] - line.places[digit] >= APART * pitch):
        return ()
    return Segment(start=0, end=end), Segment(start=end, end=len(line.text))
