"""Read the apostrophe of a word such as "I'm" where it lost against nothing at all.

An apostrophe is a few pixels of a line, and may touch the letter before it. Where there is none, the recogniser gives
it next to no probability (docs/measurements/readers.md): so one that it saw and dropped is there. The expected text
plays no part.
"""

from __future__ import annotations

from itertools import pairwise

from qiltest.reading.rapidocr.ctc import Character, Recognition


def with_apostrophes(look: Recognition) -> tuple[Character, ...]:
    """Return the characters of a look with the apostrophes between two letters that lost against the blank."""
    found: list[Character] = []
    for first, second in pairwise((None, *look.characters)):
        between = [
            mark
            for mark in look.apostrophes
            if first and second and _letters(first, second) and first.place < mark.place < second.place
        ]
        found.extend(between[:1])
        if second:
            found.append(second)
    return tuple(found)


def _letters(first: Character, second: Character) -> bool:
    return all(each.text.isascii() and each.text.isalpha() for each in (first, second))
