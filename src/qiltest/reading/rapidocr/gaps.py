"""Take a doubtful comma between two words for the gap that it may be.

White space stands behind a comma where it is one. Without any, as in "CHUCK,WOOD", a recogniser that doubts the comma
and has white space among its guesses saw the texture between two words. Chinese has no white space there. The expected
text plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from qiltest.reading.rapidocr.ctc import Character

#: Below this confidence a comma is doubtful, and from this probability on white space is meant.
DOUBTFUL, LIKELY = 0.6, 0.1
#: letters that a word has on either side, at least.
LETTERS = 3
_COMMA = re.compile(f"(?<=[A-Za-z]{{{LETTERS}}}),(?=[A-Za-z]{{{LETTERS}}})")


def with_gaps(characters: Sequence[Character]) -> tuple[Character, ...]:
    """Return the characters of a line with white space for each such comma between two words."""
    line = "".join(character.text for character in characters)
    commas = {found.start() for found in _COMMA.finditer(line)} if len(line) == len(characters) else set[int]()
    return tuple(
        replace(character, text=" ") if i in commas and _is_gap(character) else character
        for i, character in enumerate(characters)
    )


def _is_gap(comma: Character) -> bool:
    return comma.confidence < DOUBTFUL and dict(comma.alternatives).get(" ", 0.0) >= LIKELY
