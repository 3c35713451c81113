"""Decide c or C, o or O, p or P by measuring the ink.

A recogniser guesses the case of letters whose capital has the same shape, often wrongly in handwriting. Here the line's
other letters give the scale: high ones (digits, b, d, H) the height of capitals, low ones (a, e, m) the x-height, their
bottoms the baseline. A letter is changed only where its ink is separate, on the baseline and clearly of one size, and
where the recogniser is not certain: half a letter, as light leaves of embossed ones, is no small letter. In a word
whose other letters tell that they are capitals, a drawn O is often lower than they are: there the recogniser need not
be so certain. The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qiltest.reading.rapidocr.ctc import Character, run_at
from qiltest.reading.rapidocr.strip import Glyph

#: Letters that stand on the baseline in both sizes, and those whose small form hangs below it.
STANDING, HANGING = frozenset("cosuvwxz"), frozenset("py")
#: Letters and digits of capital height, and of x-height, whatever the hand; all of them but g and q on the baseline.
HIGH = frozenset("123456789bdhklABDEFGHLMNRT")
LOW = frozenset("aemnr")
LOW_HANGING = frozenset("gq")
#: Height of a low letter in units of a high one: below `SMALL` it is low, above `LARGE` high (x-heights of text faces
#: and hands lie between 0.45 and 0.75).
SMALL, LARGE, LEAST = 0.8, 0.9, 0.35
#: The same in units of the x-height, where the line has no high letter.
SMALL_BY_LOW, LARGE_BY_LOW = 1.12, 1.25
#: How far a letter's bottom may be from the baseline, and how far the ruler's letters may differ, in its height.
ON_LINE, SPREAD = 0.14, 0.12
#: From this confidence on the recogniser is certain. Where it was wrong about a size, it was less.
CERTAIN = 0.9995
#: The same for a capital in a word of capitals.
CERTAIN_CAPITAL = 0.95
#: So many letters of a word that tell their case make it one of capitals.
TELLING = 2
#: How far below the baseline a hanging letter reaches at least, in the ruler's height.
HANGS = 0.14


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """Baseline (y at x is `slope * x + level`), height of capitals and x-height above it; 0 where not known."""

    slope: float
    level: float
    high: float
    low: float

    def above(self, glyph: Glyph) -> float:
        """How far the glyph's top is above the baseline."""
        return self.slope * glyph.centre + self.level - glyph.top

    def below(self, glyph: Glyph) -> float:
        """How far its bottom is below the baseline."""
        return glyph.bottom - self.slope * glyph.centre - self.level

    @property
    def unit(self) -> float:
        """Height that tolerances are measured in: that of capitals, where not known guessed from the x-height."""
        return self.high or self.low * 1.45


def in_question(characters: Sequence[Character]) -> bool:
    """Return whether a line has letters whose capital has the same shape."""
    return any(_in_question(character.text) for character in characters)


def sized(characters: Sequence[Character], glyphs: Sequence[Glyph], length: float) -> tuple[Character, ...]:
    """Return the characters with the size of their letters as measured.

    `glyphs`: the ink of the line, a row of writing, from 0 to `length` along it.
    """
    found = matched(characters, glyphs, length)
    ruler = ruler_of([(character.text, glyph) for character, glyph in zip(characters, found, strict=True) if glyph])
    if ruler is None:
        return tuple(characters)
    large = [
        None if glyph is None else is_large(c.text, glyph, ruler) for c, glyph in zip(characters, found, strict=True)
    ]
    return tuple(_changed(characters, i, size) for i, size in enumerate(large))


def ruler_of(found: Sequence[tuple[str, Glyph]]) -> Ruler | None:
    """Measure the line by the letters whose size is sure; None where there are none or they disagree."""
    bases = [glyph for text, glyph in found if text in HIGH or text in LOW or _plain(text) in STANDING]
    if len(bases) < 2:
        return None
    slope = _slope(bases)
    level = float(np.median([glyph.bottom - slope * glyph.centre for glyph in bases]))
    flat = Ruler(slope=slope, level=level, high=0.0, low=0.0)
    high = [flat.above(glyph) for text, glyph in found if text in HIGH]
    low = [flat.above(glyph) for text, glyph in found if text in LOW or text in LOW_HANGING]
    ruler = replace(flat, high=_agreed(high), low=_agreed(low))
    known = ruler.unit > 0 and bool(high) == bool(ruler.high) and bool(low) == bool(ruler.low)
    return ruler if known and _plausible(ruler, bases) else None


def _plausible(ruler: Ruler, bases: Sequence[Glyph]) -> bool:
    """Return whether the x-height suits the capitals, and the letters lie on the baseline."""
    if ruler.high and ruler.low and not LEAST <= ruler.low / ruler.high <= LARGE:
        return False
    return bool(np.median([abs(ruler.below(glyph)) for glyph in bases]) <= SPREAD / 2 * ruler.unit)


def is_large(text: str, glyph: Glyph, ruler: Ruler) -> bool | None:
    """Return whether a letter is a capital; None where the measurement does not decide."""
    letter = _plain(text)
    height = ruler.above(glyph)
    if letter in STANDING:
        return _large_by_height(height, ruler) if abs(ruler.below(glyph)) <= ON_LINE * ruler.unit else None
    if letter not in HANGING:
        return None
    hangs, large = ruler.below(glyph) >= HANGS * ruler.unit, _large_by_height(height, ruler)
    return large if large is not None and large is not hangs else None


def _large_by_height(height: float, ruler: Ruler) -> bool | None:
    if ruler.high and ruler.low:
        small = (ruler.low * 0.6 + ruler.high * 0.4) / ruler.high
        large = max(LARGE, (ruler.low * 0.4 + ruler.high * 0.6) / ruler.high)
        share = height / ruler.high
    elif ruler.high:
        small, large, share = SMALL, LARGE, height / ruler.high
    else:
        small, large, share = SMALL_BY_LOW, LARGE_BY_LOW, height / ruler.low
    if share < LEAST:
        return None
    return False if share <= small else True if share >= large else None


def _in_question(text: str) -> bool:
    return _plain(text) in STANDING or _plain(text) in HANGING


def _plain(text: str) -> str:
    """Small form of a letter; a zero has the shape of an o."""
    return "o" if text == "0" else text.lower()


def _changed(characters: Sequence[Character], place: int, large: bool | None) -> Character:
    """Return the character in the size measured; a zero becomes a small o, a small o a capital."""
    character = characters[place]
    if not _in_question(character.text):
        return character
    certain = CERTAIN_CAPITAL if character.text.isupper() and _capitals_around(characters, place) else CERTAIN
    if large is None or character.confidence >= certain:
        return character
    if character.text == "0":
        return character if large or _figure(characters, place) else replace(character, text="o")
    text = character.text.upper() if large else character.text.lower()
    return character if text == character.text else replace(character, text=text)


def _capitals_around(characters: Sequence[Character], place: int) -> bool:
    """Return whether the letters of a word that tell their case are capitals, and `TELLING` at least."""
    word = run_at(characters, place, lambda text: not text.isspace())
    letters = [each.text for each in word if each.text.isascii() and each.text.isalpha()]
    telling = [letter for letter in letters if not _in_question(letter)]
    return len(telling) >= TELLING and all(map(str.isupper, telling))


def _figure(characters: Sequence[Character], place: int) -> bool:
    """Return whether a zero is in a word without letters: old-style figures are as low as letters."""
    return not any(character.text.isalpha() for character in run_at(characters, place, lambda text: not text.isspace()))


def matched(characters: Sequence[Character], glyphs: Sequence[Glyph], length: float) -> list[Glyph | None]:
    """Find each character's glyph: the only one at its place and in its cell, and at no other character's.

    A cell reaches halfway to the neighbours: where more ink than one glyph lies in it, the letter is broken or joined
    to another.
    """
    inked = [i for i, character in enumerate(characters) if not character.text.isspace()]
    found: list[Glyph | None] = [None] * len(characters)
    if not glyphs or not inked:
        return found
    slack = 0.2 * float(np.median([glyph.width for glyph in glyphs]))
    centres = [characters[i].place * length for i in inked]
    at = [[glyph for glyph in glyphs if glyph.left - slack <= x <= glyph.right + slack] for x in centres]
    ends = [0.0, *((a + b) / 2 for a, b in pairwise(centres)), length]
    for k, i in enumerate(inked):
        cell = [glyph for glyph in glyphs if ends[k] <= glyph.centre <= ends[k + 1]]
        if len(at[k]) == 1 and cell in ([], at[k]) and not any(at[k][0] in at[j] for j in range(len(at)) if j != k):
            found[i] = at[k][0]
    return found


def _slope(bases: Sequence[Glyph]) -> float:
    """Slope of the baseline: the median of the slopes between letters (Theil 1950, Sen 1968)."""
    slopes = [
        (b.bottom - a.bottom) / (b.centre - a.centre)
        for i, a in enumerate(bases)
        for b in bases[i + 1 :]
        if b.centre > a.centre
    ]
    return float(np.median(slopes)) if len(bases) > 2 and slopes else 0.0


def _agreed(heights: Sequence[float]) -> float:
    """Median height; 0 where there is none or where they disagree."""
    if not heights:
        return 0.0
    values: NDArray[np.float64] = np.asarray(heights, dtype=np.float64)
    middle = float(np.median(values))
    return middle if middle > 0 and float(np.median(np.abs(values - middle))) <= SPREAD * middle else 0.0
