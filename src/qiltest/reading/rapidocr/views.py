"""Read a doubtful line in several views, and take the median of the readings.

The reading of a doubtful line changes with a few pixels of margin; that of a clear one does not. The expected text
plays no part, neither in the choice of the reading nor of the lines to read again: it would vote a real typo away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from qiltest.reading.rapidocr.ctc import Recognition


@dataclass(frozen=True, slots=True)
class View:
    """How a line is cut out: margins along and across the writing, in units of its size, and a stretch."""

    along: float = 0.0
    across: float = 0.0
    stretch: float = 1.0


#: the first is used for every line, the second for doubtful ones, the rest where those two differ.
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
#: below this mean confidence a line is noise, not text: text has above 0.8, pseudo-writing in scenes below 0.7.
NOISE = 0.6


def looked(look: Callable[[View], Recognition], views: Sequence[View] = VIEWS) -> tuple[Recognition, View]:
    """Read a line by `look(view)` in as many views as needed; return the reading chosen and its view."""
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
    """Return whether a reading is worth a second view: text, but not all of it sure."""
    least = min((character.confidence for character in look.characters), default=0.0)
    return look.confidence >= NOISE and (least < DOUBT or look.missed > MISSED)


def nearest(looks: Sequence[Recognition]) -> int:
    """Return the index of the set median (Kohonen 1985): the least sum of edit distances to the others.

    Unlike a vote it needs no two equal readings. Ties go to the surer, then to the earlier.
    """
    spellings = [look.spelling for look in looks]
    sums = [sum(Levenshtein.distance(one, other) for other in spellings) for one in spellings]
    return min(range(len(looks)), key=lambda i: (sums[i], -looks[i].confidence, i))


def _decided(looks: Sequence[Recognition], most: int) -> bool:
    """Return whether more than half of `most` readings agree: by the triangle inequality that one is the median."""
    return 2 * max(Counter(look.spelling for look in looks).values()) > most
