"""Read the apostrophe of a contraction such as "I'm" where it lost against nothing at all.

An apostrophe is a few pixels of a line, and may touch the letter before it. Where there is none, the recogniser gives
it next to no probability (docs/measurements/readers.md): so one that it saw and dropped is there. Not so before an s,
where its language makes a possessive of a plural. The expected text plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from qiltest.reading.rapidocr.ctc import Character, Recognition

#: What stands before and behind the apostrophe of a contraction: "I'm", "they'll", "don't".
_CONTRACTION = re.compile(r"[a-z]+'(?:m|ll|ve|re)|[a-z]*n't")


def with_apostrophes(look: Recognition) -> tuple[Character, ...]:
    """Return the characters of a look with the apostrophes of contractions that lost against the blank."""
    found = look.characters
    for mark in look.apostrophes:
        at = sum(character.place < mark.place for character in found)
        if _CONTRACTION.fullmatch(f"{_letters(found[:at][::-1])[::-1]}'{_letters(found[at:])}"):
            found = (*found[:at], mark, *found[at:])
    return found


def _letters(characters: Sequence[Character]) -> str:
    """Return the Latin letters that a line begins with, as small ones."""
    letters = re.match("[A-Za-z]*", "".join(character.text for character in characters))
    return letters[0].lower() if letters else ""
