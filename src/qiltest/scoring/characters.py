"""What a character says: its script, and how many others might as well stand in its place."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

#: Letters and digits count 1 in a text's weight, an ideograph this.
IDEOGRAPH = 2.5
#: Characters of a kind that are about as common: 2 to the power of the entropy per character. Digits: all ten. Letters:
#: an English word says 11.8 bits (Shannon 1951), 2.3 for each of its letters and the space. Ideographs: as many bits as
#: `IDEOGRAPH` letters. Marks: four, as most of a text's are full stops, commas, hyphens and quotation marks.
DIGITS, LETTERS, IDEOGRAPHS, MARKS = 10.0, 5.0, 56.0, 4.0
_CJK = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO")


@lru_cache(maxsize=65_536)
def script(char: str) -> str:
    """Return the rough script of a letter, the first word of its Unicode name ("LATIN", "GREEK", "CJK"); else "".

    Chinese, Japanese and Korean, which are written together, are all "CJK"; digits have no script.
    """
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "?")
    return "CJK" if name.startswith(_CJK) else name.split()[0]


def is_ideograph(char: str) -> bool:
    """Return whether a character is written in the square of Chinese, kana, bopomofo or Korean."""
    return script(char) == "CJK"


@lru_cache(maxsize=4096)
def weight(text: str) -> float:
    """Return the weight of a text: letters and digits count 1, ideographs `IDEOGRAPH`, other characters nothing."""
    return sum(IDEOGRAPH if is_ideograph(char) else 1.0 for char in text if char.isalnum())


@lru_cache(maxsize=65_536)
def bits(char: str) -> float:
    """Return log2 of the alphabet that a character is one of: what meeting it by chance is worth."""
    if char.isdigit():
        return math.log2(DIGITS)
    if not char.isalpha():
        return math.log2(MARKS)
    return math.log2(IDEOGRAPHS if is_ideograph(char) else LETTERS)


def mean_bits(text: Iterable[str]) -> float:
    """Return the bits per character of a text that is not empty."""
    found = [bits(char) for char in text]
    return sum(found) / len(found)
