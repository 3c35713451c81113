"""Several looks at one line: a doubtful one is looked at again, and of looks that differ the middle one is believed.

A recogniser's reading of a doubtful line changes with a few pixels of margin; that of a clear one does not. What was
expected plays no part: a rule that asked it would write it into the reading, and a true typo would be voted away. Nor
does it decide which line is looked at again: the first look's own doubt does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from qiltest.reading.rapidocr.ctc import Recognition


@dataclass(frozen=True, slots=True)
class View:
    """How a line is cut out: margins along and across the writing in units of its size, and its stretch."""

    along: float = 0.0
    across: float = 0.0
    stretch: float = 1.0


#: The first is taken of every line, the second of doubtful ones, the rest where those two differ.
#: Measured in docs/measurements/readers.md.
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
#: A line is doubtful if a character is less sure than this, or one was missed by no more than that. Of the lines of
#: the real images that a second look changed, all but one were.
DOUBT, MISSED = 0.98, 0.05
#: Below this mean confidence a line is noise, and no second look makes it text: text lies above 0.8, and what a street
#: holds of writing that is none, below 0.7.
NOISE = 0.6


def looked(look: Callable[[View], Recognition], views: Sequence[View] = VIEWS) -> tuple[Recognition, View]:
    """Read a line by `look(view)`, as often as it takes; return the look believed and its view."""
    looks = [look(views[0])]
    if len(views) > 1 and doubtful(looks[0]):
        looks.extend(look(view) for view in views[1:FIRST])
        if len({each.spelling for each in looks}) > 1:
            for view in views[FIRST:]:
                if _decided(looks, len(views)):
                    break
                looks.append(look(view))
    place = nearest(looks)
    return looks[place], views[place]


def doubtful(look: Recognition) -> bool:
    """Tell a look that another one may correct: text, but not all of it sure."""
    least = min((character.confidence for character in look.characters), default=0.0)
    return look.confidence >= NOISE and (least < DOUBT or look.missed > MISSED)


def nearest(looks: Sequence[Recognition]) -> int:
    """Return the place of the set median: the look with the least sum of edit distances to the others.

    (Kohonen 1985.) Unlike a vote for whole lines it needs no two looks to be equal. Ties go to the surer, then to the
    earlier.
    """
    spellings = [look.spelling for look in looks]
    return min(
        range(len(looks)),
        key=lambda i: (
            sum(Levenshtein.distance(spellings[i], other) for other in spellings),
            -looks[i].confidence,
            i,
        ),
    )


def _decided(looks: Sequence[Recognition], most: int) -> bool:
    """Tell whether more than half of `most` looks spell alike: no further look can make another spelling the median.

    (By the triangle inequality: each dissenter is at most as much nearer to another as that is from the majority.)
    """
    return 2 * max(Counter(look.spelling for look in looks).values()) > most
