"""The same mark on both sides of a text, as in "~ Menu ~" or "- OPEN -": an ornament, which nobody asks for."""

from __future__ import annotations

from qiltest.scoring.beside import Own
from qiltest.scoring.distance import distance
from qiltest.text.normalise import normalise

#: What such ornaments are read as, normalised; one may be read as the mirrored form of the other.
_ALIKE = {"—": "-", "―": "-", "·": "•", "∽": "~", "≋": "≈"}
_MIRRORED = {"»": "«", "》": "《"}
_MARKS = frozenset("≈~=-·*|»«》《") | frozenset(_ALIKE)
#: a sign before a number is no ornament.
_SIGNS = frozenset("-~≈")
#: longer lines are not looked at: no image has them.
_LONGEST = 1000


def without_flanks(text: str, own: Own) -> Own:
    """Return what was read for a text without the ornament on both of its sides, which stands beside it.

    `text` is the expected text, normalised: a mark that it has is no ornament. Brackets that enclose are none either.
    """
    if not own.lines or sum(map(len, own.lines)) > _LONGEST:
        return own
    first, last = own.lines[0], own.lines[-1]
    start, end = _run(first), len(last) - _run(last[::-1])
    lines = [*own.lines]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    left = "".join(map(normalise, lines))
    marks = normalise(first[:start]), normalise(last[end:])
    if not left or not all(marks) or not _is_pair(_plain(marks[0][0]), _plain(marks[1][-1])):
        return own
    if not set("".join(marks)).isdisjoint(text) or (_plain(marks[0][0]) in _SIGNS and any(map(str.isdigit, left[:2]))):
        return own
    kept = tuple(line.strip() for line in lines)
    return Own(lines=kept, before=first[:start].strip(), after=last[end:].strip(), wrong=distance(text, left))


def _run(line: str) -> int:
    """Return how many characters of a line's beginning are one mark, repeated, and white space."""
    mark = ""
    for at, char in enumerate(line):
        shown = normalise(char)
        if not shown:
            continue
        if shown not in _MARKS or (mark and _plain(shown) != mark):
            return at
        mark = _plain(shown)
    return len(line)


def _plain(mark: str) -> str:
    return _ALIKE.get(mark, mark)


def _is_pair(first: str, last: str) -> bool:
    """Return whether two marks are equal, or mirrored and open outwards."""
    return first == last or _MIRRORED.get(first) == last
