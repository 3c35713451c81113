"""Take a doubtful comma or full stop between two words for the gap that it may be.

White space stands behind such a mark where it is one. Without any, as in "CHUCK,WOOD", a recogniser that doubts the
mark and has white space among its guesses saw the texture between two words. The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qiltest.reading.rapidocr.ctc import Character

#: Below this confidence a mark is doubtful, and from this probability on white space is meant.
DOUBTFUL, LIKELY = 0.6, 0.1
_MARKS = frozenset(",.")


def with_gaps(characters: Sequence[Character]) -> tuple[Character, ...]:
    """Return the characters of a line with white space for each such mark between two letters."""
    beside = zip((None, *characters), characters, (*characters[1:], None), strict=False)
    return tuple(
        replace(character, text=" ") if before and behind and _is_gap(before, character, behind) else character
        for before, character, behind in beside
    )


def _is_gap(before: Character, mark: Character, behind: Character) -> bool:
    if mark.text not in _MARKS or mark.confidence >= DOUBTFUL:
        return False
    return before.text.isalpha() and behind.text.isalpha() and dict(mark.alternatives).get(" ", 0.0) >= LIKELY
