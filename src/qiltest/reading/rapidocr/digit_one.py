"""A 1 in a word: what a recogniser that has read the word takes for an l.

A recogniser expects letters in a word and reads "Wor1d" as "World", though it saw the 1: its second guess says so. The
other way round it is no use: of digits among digits the second guess is often an l without any being generated
(docs/measurements/readers.md). What was expected plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qiltest.reading.rapidocr.ctc import Character

#: Probability from which on the second guess is believed.
SEEN = 0.02
#: Fewest letters of a word that is surely one: in "Bl" or "T1" either may be meant.
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
    start, end = place, place + 1
    while start > 0 and characters[start - 1].text.isalnum():
        start -= 1
    while end < len(characters) and characters[end].text.isalnum():
        end += 1
    return end - start >= LETTERS and all(character.text.isalpha() for character in characters[start:end])
