"""Several looks at one line: where the first two differ, more are taken and the one nearest to all others is believed.

A recogniser's reading of a doubtful line changes with a few pixels of margin; that of a clear one does not. What was
expected plays no part: a rule that asked it would write it into the reading, and a true typo would be voted away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from qiltest.reading.ctc import Character

Look = tuple[Character, ...]


@dataclass(frozen=True, slots=True)
class View:
    """How a line is cut out: margins along and across the writing in units of its size, and its stretch."""

    along: float = 0.0
    across: float = 0.0
    stretch: float = 1.0


#: The first two decide whether the rest is needed. Measured in docs/reading.md.
VIEWS: tuple[View, ...] = (
    View(),
    View(along=0.2),
    View(along=-0.05, across=-0.08),
    View(along=0.06, across=0.06),
    View(along=0.12, across=0.12),
    View(stretch=1.15),
    View(along=0.1, across=0.05, stretch=0.87),
)
FIRST = 2
#: Below this mean confidence a line is noise, and no second look makes it text.
NOISE = 0.4


def looked(look: Callable[[View], Look], views: Sequence[View] = VIEWS) -> Look:
    """Read a line by `look(view)`, as often as it takes; return the look that agrees best with all others."""
    first = look(views[0])
    if len(views) == 1 or confidence(first) < NOISE:
        return first
    looks = [first, *(look(view) for view in views[1:FIRST])]
    if len({spelling(each) for each in looks}) > 1:
        looks.extend(look(view) for view in views[FIRST:])
    return nearest(looks)


def nearest(looks: Sequence[Look]) -> Look:
    """Return the set median: the look with the least sum of edit distances to the others.

    (Kohonen 1985.) Unlike a vote for whole lines it needs no two looks to be equal. Ties go to the surer, then to the
    earlier.
    """
    spellings = [spelling(look) for look in looks]
    return min(
        enumerate(looks),
        key=lambda item: (
            sum(Levenshtein.distance(spellings[item[0]], other) for other in spellings),
            -confidence(item[1]),
            item[0],
        ),
    )[1]


def spelling(look: Look) -> str:
    """Return what looks are compared by: their text without blanks, which come and go."""
    return "".join(character.text for character in look if not character.text.isspace())


def confidence(look: Look) -> float:
    """Return the mean confidence of a look's characters, 0 where it has none."""
    return sum(character.confidence for character in look) / len(look) if look else 0.0
