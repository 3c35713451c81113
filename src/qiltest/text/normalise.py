"""Normalise text for comparison: NFKC, no white space; case and punctuation stay."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from qiltest.text.unseen import is_unseen

HYPHENS = frozenset("-\u2010\u2011\u2012\u2013\u2014\u2212")
#: marks that fonts or readers do not tell apart (benchmarks/readers/marks.py: the default reader returns ' for each ’,
#: - for most –, a middle dot for each •): middle dots and bullets; hyphens, the en dash and the minus, but not the em
#: dash; single and double quotation marks, but not the low ones; the signs of a
#: difference, a product and a sum, and the Greek letters that they are.
_ALIKE = {
    "\u00b7": "\u30fb\u2027\u22c5\u2219\u2022\u25e6",
    "-": "\u2010\u2011\u2012\u2013\u2212",
    "'": "\u2018\u2019\u201b\u02bc\u2032",
    '"': "\u201c\u201d\u201f\u2033",
    "\u0394": "\u2206",
    "\u03a0": "\u220f",
    "\u03a3": "\u2211",
}
_ONE = str.maketrans({char: one for one, several in _ALIKE.items() for char in several})


@dataclass(frozen=True, slots=True)
class Unit:
    """One comparable piece of an expected text: a character, or a whole optional mark such as an emoji."""

    text: str
    optional: bool = False


def normalise(text: str) -> str:
    """Apply NFKC (UAX 15), unify marks that no reader tells apart, and drop white space and invisible characters.

    Case and all other punctuation are kept. Idempotent.
    """
    folded = _folded(text)
    # a text of a million characters has few different ones
    dropped = {ord(char): None for char in set(folded) if _dropped(char)}
    return _folded(folded.translate(dropped)) if dropped else folded


def _folded(text: str) -> str:
    """Unify marks before and after NFKC, which splits a double prime into two."""
    return unicodedata.normalize("NFKC", text.translate(_ONE)).translate(_ONE)


def letters_and_digits(text: str) -> str:
    """Return the letters and digits alone (`str.isalnum`), case folded."""
    return "".join(char for char in normalise(text).casefold() if char.isalnum())


def units(text: str, optional_marks: Sequence[str] = ()) -> tuple[Unit, ...]:
    """Split an expected text into units; where one mark begins another, the longer is taken."""
    marks = sorted({mark for raw in optional_marks if (mark := normalise(raw))}, key=lambda mark: (-len(mark), mark))
    whole = normalise(text)
    found: list[Unit] = []
    at = 0
    while at < len(whole):
        mark = next((mark for mark in marks if whole.startswith(mark, at)), "")
        unit = Unit(mark, optional=True) if mark else Unit(whole[at])
        found.append(unit)
        at += len(unit.text)
    return tuple(found)


def required_text(parts: Sequence[Unit]) -> str:
    """Return the normalised text without its optional marks."""
    return "".join(part.text for part in parts if not part.optional)


def is_decoration(char: str) -> bool:
    """Return whether a character is a pictographic symbol (category So: stars, bullets, emoji)."""
    return unicodedata.category(char) == "So"


def _dropped(char: str) -> bool:
    return char.isspace() or is_unseen(char)
