"""Characters that nobody sees, by their Unicode properties."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

#: categories of characters that only act: format and control.
_ACTING = frozenset({"Cf", "Cc"})
#: Default_Ignorable_Code_Point (DerivedCoreProperties.txt of Unicode 16): fillers, joiners, variation selectors, tags.
_IGNORABLE = (
    range(0x00AD, 0x00AE),
    range(0x034F, 0x0350),
    range(0x061C, 0x061D),
    range(0x115F, 0x1161),
    range(0x17B4, 0x17B6),
    range(0x180B, 0x1810),
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2070),
    range(0x3164, 0x3165),
    range(0xFE00, 0xFE10),
    range(0xFEFF, 0xFF00),
    range(0xFFA0, 0xFFA1),
    range(0xFFF0, 0xFFF9),
    range(0x1BCA0, 0x1BCA4),
    range(0x1D173, 0x1D17B),
    range(0xE0000, 0xE1000),
)
#: symbols whose glyph is empty by their definition: the Braille blank and the musical null notehead.
_BLANK = "\u2800\U0001d159"
_UNSEEN = frozenset(_BLANK) | {chr(code) for codes in _IGNORABLE for code in codes}
#: first letters of the categories that have a glyph of their own: letters, numbers, punctuation, symbols.
_DRAWN = frozenset("LNPS")


def is_unseen(char: str) -> bool:
    """Return whether a character is drawn as nothing, by definition; white space is not meant."""
    return char in _UNSEEN or unicodedata.category(char) in _ACTING


def without_glyph(text: Iterable[str]) -> list[str]:
    """Return the characters that no standard gives a glyph: private use, unassigned, lone surrogates."""
    return [char for char in text if unicodedata.category(char) in {"Co", "Cn", "Cs"}]


def is_drawn(char: str) -> bool:
    """Return whether a character has a glyph that stands alone; a combining mark does not."""
    return unicodedata.category(char)[0] in _DRAWN and not is_unseen(char)
