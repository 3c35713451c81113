"""Other text beside an expected text in the same line, which is told and not counted.

A line may hold an expected text whole and say more: a speaker before a sentence, the key before a value, the rest of a
menu. What is more stands beside the text if all of this is so; where in doubt, it counts as part of the text.

- What is left is the text: the character next to what is cut off is the text's first or last one, or a strong mark sets
  it off; at most `WRONG` of the text is wrong, and no character of it is cut off.
- It is set off: by a quotation mark, bracket, colon, bar, dash or the end of a sentence; or by white space, a comma or
  a change of script, if the text and the words beside it weigh `WEIGHT` each and the nearest word `NEAREST`. Any other
  mark (`≈`, a hyphen, a middle dot) ties the two together, unless the mark is a dash or bullet beside white space.
- It continues no number: next to the text stands no digit, beside a text with digits stand none at all, and a text with
  a digit there is set off by the strong marks alone.
- It is not the text again: it has no run of weight `SHARED` in common with an expected text and no word like a part of
  one, is not a piece of one altogether, and neither it nor its nearest word is the end of the text that it stands at.
- It is more than marks, which belong to the text as a pair of quotation marks around it does. But one that opens before
  it and is not closed after it belongs to what is around it, with the colon of who says it, and one of a pair to the
  words that have the other.

What marks an item of a list, a bullet or a number before the text, stands beside it too, unless it is in an expected
text as well or, but for a bullet, a digit follows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from qiltest.scoring.characters import script, weight
from qiltest.scoring.distance import distance
from qiltest.text.normalise import HYPHENS, is_decoration, letters_and_digits, normalise

#: Share of the text that may be wrong.
WRONG = 0.25
#: Weight that the text and the words beside it need, and the nearest word, where strong marks do not set them off.
WEIGHT, NEAREST = 4.0, 2.0
#: weight of a run of characters that two texts do not share by chance.
SHARED = 5.0
#: Likeness of a word to a part of an expected text, in percent, from which on it repeats it.
ALIKE = 80.0
_QUOTES = frozenset('"“”„‟«»‹›「」『』〝〞＂')
_APOSTROPHES = frozenset("'‘’‛＇")
_COLONS = ":："
_STRONG = frozenset(":：;；|｜—―→.。!！?？…")
_WEAK = frozenset(",，、")
#: between letters without white space these are part of a word or number: "flux.cpp", "12,5", "it's".
_INNER = frozenset(".,") | _APOSTROPHES
_BULLETS = frozenset("•·‣∙・")
#: other marks of items: a star or arrow, some with white space, a number with a full stop or bracket.
_ITEM = re.compile(r"[*→]\s*|[#–-]\s+|\s*[(（]?[0-9]{1,2}[.．)）、]\s*")
#: these set off, weakly, where white space stands beside them: "name - title".
_SPACED = (HYPHENS - _STRONG) | _BULLETS | {"/"}
#: longer lines are not cut: no image has them.
_LONGEST = 1000
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """What was read for a text, without what stands beside it."""

    #: as read; as many as the lines were.
    lines: tuple[str, ...]
    #: what stands before and after it, "" for nothing.
    before: str = ""
    after: str = ""
    #: edits from the text to its own part.
    wrong: int

    @property
    def beside(self) -> tuple[str, ...]:
        """What stands beside the text."""
        return tuple(filter(None, (self.before, self.after)))


def own_part(text: str, lines: Sequence[str], expected: Sequence[str]) -> Own:
    """Return what of `lines` (as read, in order) is the text's own.

    `text` is the expected text, normalised and without optional marks; `expected` are all texts of the image, likewise.
    """
    wrong = distance(text, _joined(lines))
    best = Own(lines=tuple(lines), wrong=wrong)
    if not wrong or not lines or sum(map(len, lines)) > _LONGEST:
        return best
    apart = _apart(text, lines)
    for found in _cuts(text, lines, expected):
        nothing_lost = apart - _apart(text, found.lines) == len(_joined(found.beside))
        if nothing_lost and found.wrong <= WRONG * len(text) and found.wrong < best.wrong:
            best = found
    return best


def _apart(text: str, lines: Sequence[str]) -> int:
    """Return how many characters the text and lines do not have in common."""
    return int(Indel.distance(text, _joined(lines)))


def starts_of(text: str, line: str, expected: Sequence[str]) -> tuple[int, ...]:
    """Return where in a line (as read) the text may begin after words that stand beside it, in its normalised form."""
    sides = {at: _Side(line[:at][::-1], line[at]) for at in _starts(text, line) if at}
    found = (at for at, side in sides.items() if side.words and side.may_stand_beside(text, expected, turned=True))
    return tuple(len(normalise(line[:at])) for at in found)


def ends_of(text: str, line: str, expected: Sequence[str]) -> tuple[int, ...]:
    """Return where in a line (as read) the text may end before words that stand beside it, in its normalised form."""
    sides = {at: _Side(line[at:], line[at - 1]) for at in _ends(text, line) if at < len(line)}
    found = (at for at, side in sides.items() if side.words and side.may_stand_beside(text, expected))
    return tuple(len(normalise(line[:at])) for at in found)


def _starts(text: str, line: str) -> list[int]:
    return [
        at for at in range(len(line)) if not at or _meets(line[at], text[0], 0) or _marked(line[:at][::-1], line[at])
    ]


def _ends(text: str, line: str) -> list[int]:
    ends = range(len(line), 0, -1)
    return [
        at for at in ends if at == len(line) or _meets(line[at - 1], text[-1], -1) or _marked(line[at:], line[at - 1])
    ]


def _marked(outer: str, edge: str) -> bool:
    """Return whether a strong mark or bullet stands next to the text's edge, which is no mark or space itself."""
    return edge.isalnum() and (_is_strong(outer.lstrip()[:1]) or outer.strip() in _BULLETS)


def _cuts(text: str, lines: Sequence[str], expected: Sequence[str]) -> Iterator[Own]:
    """Yield the ways to cut other text off the first and the last line."""
    first, last = lines[0], lines[-1]
    befores = {
        at: _Side("" if _is_item(first[:at], first[at], expected) else first[:at][::-1], first[at])
        for at in _starts(text, first)
    }
    afters = {at: _Side(last[at:], last[at - 1]) for at in _ends(text, last)}
    for start, before in befores.items():
        if not before.may_stand_beside(text, expected, turned=True):
            continue
        for end, after in afters.items():
            if len(lines) == 1 and start >= end:
                continue
            if after.may_stand_beside(text, expected) and _marks_belong(before, after):
                part = _within(lines, start, end)
                wrong = distance(text, _joined(part))
                yield Own(lines=part, before=first[:start].strip(), after=last[end:].strip(), wrong=wrong)


def _joined(lines: Sequence[str]) -> str:
    return "".join(map(normalise, lines))


def _meets(char: str, wanted: str, place: int) -> bool:
    return normalise(char)[place : place + 1 or None] == wanted


def _within(lines: Sequence[str], start: int, end: int) -> tuple[str, ...]:
    if len(lines) == 1:
        return (lines[0][start:end].strip(),)
    return (lines[0][start:].strip(), *lines[1:-1], lines[-1][:end].strip())


class _Side:
    """What stands on one side of a text, nearest character first: marks and white space, then words."""

    def __init__(self, outer: str, edge: str) -> None:
        size = next((at for at, char in enumerate(outer) if char.isalnum()), len(outer))
        self.words, self.edge = outer[size:], edge
        self.marks = "".join(char for char in outer[:size] if not char.isspace())
        self.spaced = self.marks != outer[:size]

    def may_stand_beside(self, text: str, expected: Sequence[str], *, turned: bool = False) -> bool:
        """Return whether what stands here may stand beside the text, `turned`: before it. True for no words."""
        if not self.words:
            return True
        words = self.words[::-1] if turned else self.words
        again = _doubles(words, text, before=turned) or _repeats(words, expected)
        return self._sets_off(text) and not self._counts_on(text) and not again

    def _sets_off(self, text: str) -> bool:
        strength = self._strength()
        if strength != 1:
            return strength > 1
        nearest = next(_WORD.finditer(self.words)).group()
        enough = min(weight(text), weight(self.words)) >= WEIGHT and weight(nearest) >= NEAREST
        return enough and not _is_digit(self.edge)

    def _strength(self) -> int:
        """0: the words are tied to the text; 1: white space, a comma or a change of script sets them off; 2: more."""
        marks = frozenset(self.marks)
        if marks <= _INNER | _SPACED and marks and not self.spaced:
            return 0
        if not all(_is_strong(mark) or _is_weak(mark) for mark in marks):
            return 0
        if any(map(_is_strong, marks)):
            return 2
        if not marks and _is_strong(self.edge):
            return 2
        other = self.edge.isalnum() and script(self.edge) != script(self.words[0])
        return int(bool(marks) or self.spaced or _is_weak(self.edge) or other)

    def _counts_on(self, text: str) -> bool:
        return _is_digit(self.words[0]) or (any(map(_is_digit, text)) and any(map(_is_digit, self.words)))


def _marks_belong(before: _Side, after: _Side) -> bool:
    """Return whether marks without words, where there are any, belong to what is beside the text."""
    if before.words and after.words:
        return True
    if before.words:
        return not after.marks or _pair(before.marks, after.marks)
    if after.words:
        return not before.marks or (len(before.marks) == 1 and _pair(before.marks, after.marks))
    closed = {before.edge, after.edge} & (_QUOTES | _APOSTROPHES)
    opens = before.marks.rstrip(_COLONS) in _QUOTES and not closed
    return not after.marks and (not before.marks or opens)


def _is_item(before: str, edge: str, expected: Sequence[str]) -> bool:
    """Return whether what stands before a text marks an item of a list."""
    bullet = before.strip() in _BULLETS
    number = _ITEM.fullmatch(before) is not None and not _is_digit(edge)
    # the "4." of "4.8" is no item's number
    item = re.compile(rf"(?<!\d){re.escape(normalise(before))}(?!\d)")
    return (bullet or number) and not any(map(item.search, expected))


def _pair(before: str, after: str) -> bool:
    """Return whether the marks nearest to the text, of those on either side, open and close."""
    opens, closes = before[:1], after[:1]
    if opens in _QUOTES | _APOSTROPHES:
        return bool(closes) and (opens in _QUOTES) == (closes in _QUOTES) and closes in _QUOTES | _APOSTROPHES
    return unicodedata.category(opens or " ") == "Ps" and unicodedata.category(closes or " ") == "Pe"


def _is_weak(mark: str) -> bool:
    return mark in _WEAK | _SPACED or is_decoration(mark)


def _is_strong(mark: str) -> bool:
    if not mark:
        return False
    return mark in _QUOTES | _APOSTROPHES | _STRONG or unicodedata.category(mark) in {"Ps", "Pe", "Pi", "Pf"}


def _is_digit(char: str) -> bool:
    return unicodedata.category(char).startswith("N")


def _doubles(words: str, text: str, *, before: bool) -> bool:
    """Return whether the word next to a text, or all words, are how the text begins, before it, or ends, after it."""
    beside = letters_and_digits(_WORD.findall(words)[-1 if before else 0]), letters_and_digits(words)
    said = letters_and_digits(text)
    return said.startswith(beside) if before else said.endswith(beside)


def _repeats(words: str, expected: Sequence[str]) -> bool:
    """Return whether words have something of an expected text in them."""
    runs, said = set(_runs(normalise(words).casefold())), letters_and_digits(words)
    tokens = [token for token in _WORD.findall(words.casefold()) if weight(token) >= WEIGHT]
    return any(
        said in text or any(run in text for run in runs) or any(_alike(token, text) for token in tokens)
        for text in map(str.casefold, expected)
    )


def _runs(words: str) -> Iterator[str]:
    """Yield the shortest runs of characters that weigh `SHARED`, one for each place where one begins."""
    for start in range(len(words)):
        ends = range(start + 1, len(words) + 1)
        run = next((words[start:end] for end in ends if weight(words[start:end]) >= SHARED), None)
        if run is None:
            return
        yield run


def _alike(word: str, text: str) -> bool:
    return weight(text) >= WEIGHT and fuzz.partial_ratio(word, text) >= ALIKE
