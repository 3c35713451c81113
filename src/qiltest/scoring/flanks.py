"""The same mark on both sides of a text, as in "~ Menu ~" or "- OPEN -": an ornament, which nobody asks for."""

from __future__ import annotations

import re

from qiltest.scoring.beside import Own
from qiltest.scoring.distance import distance
from qiltest.text.normalise import normalise

#: what such ornaments are read as; one is read as the mirrored form of the other.
_MIRRORED = {"»": "«", "«": "»", "》": "《", "《": "》", ">": "<", "<": ">"}
_MARKS = r"[≈~∽≋=\-–—―·•*|/»«》《><]"
_FIRST = re.compile(rf"\s*({_MARKS})(?:\s*\1)*\s*")
_LAST = re.compile(rf"\s*({_MARKS})(?:\s*\1)*\s*$")
#: a sign before a number is no ornament.
_SIGNS = frozenset("-–—~≈<>")


def without_flanks(text: str, own: Own) -> Own:
    """Return what was read for a text without the ornament on both of its sides, which stands beside it.

    `text` is the expected text, normalised: a mark that it has is no ornament. Brackets that enclose are none either.
    """
    if not own.lines:
        return own
    first, last = _FIRST.match(own.lines[0]), _LAST.search(own.lines[-1])
    if first is None or last is None or not _is_pair(first[1], last[1]):
        return own
    lines = [*own.lines]
    lines[-1] = lines[-1][: last.start()]
    lines[0] = lines[0][first.end() :]
    left = "".join(map(normalise, lines))
    if not left or not {normalise(first[1]), normalise(last[1])}.isdisjoint(text):
        return own
    if first[1] in _SIGNS and left[0].isdigit():
        return own
    kept = tuple(line.strip() for line in lines)
    return Own(lines=kept, before=first[0].strip(), after=last[0].strip(), wrong=distance(text, left))


def _is_pair(first: str, last: str) -> bool:
    """Return whether two marks are equal, or mirrored and open outwards."""
    return first == last or (_MIRRORED.get(first) == last and first in "»》>")
