"""Restore a 1 inside a word that the recogniser read as l or I.

A recogniser expects letters in a word and reads "Wor1d" as "World", with the 1 as its second guess. The reverse is not
done: among digits the second guess is often an l (docs/measurements/readers.md). The expected text plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qiltest.reading.rapidocr.ctc import Character, run_at

#: Probability from which on the second guess is believed.
SEEN = 0.02
#: fewest letters of a word: "Bl" and "T1" are ambiguous.
LETTERS = 4
_LIKE_ONE = frozenset("lI")


def with_ones(characters: Sequence[Character]) -> tuple[Character, ...]:
    """Return the characters with a 1 for each l or I of a word of letters alone in which a 1 was seen."""
    return tuple(
        _one(character) if character.text in _LIKE_ONE and _in_word(characters, place) else character
        for place, character in enumerate(characters)
    )


def _one(character: Character) -> Character:
    probability = dict(character.alternatives).get("1", 0.0)
    return replace(character, text="1", confidence=probability) if probability >= SEEN else character


def _in_word(characters: Sequence[Character], place: int) -> bool:
    word = run_at(characters, place, str.isalnum)
    return len(word) >= LETTERS and all(character.text.isalpha() for character in word)
