"""Other text beside an expected text in the same line, which is told and not counted.

A line may hold an expected text whole and say more: a speaker before a sentence, the key before a value, the rest of a
menu. What is more stands beside the text if all of this is so; where in doubt, it counts as part of the text.

- What is left is the text: the character next to what is cut off is the text's first or last one, at most `WRONG` of
  the text is wrong, and every character cut off was an edit.
- It is set off: by a quotation mark, bracket, colon, bar, dash or the end of a sentence; or by white space, a comma or
  a change of script, if the text and the words beside it weigh `WEIGHT` each and the nearest word `NEAREST`. Any other
  mark (`≈`, a hyphen, a middle dot) ties the two together, unless the mark is a dash or bullet beside white space.
- It continues no number: next to the text stands no digit, beside a text with digits stand none at all, and a text that
  ends in a digit is set off by the strong marks alone.
- It is not the text again: it shares no run of weight `SHARED` with an expected text, and no word is like a part of one.
- It is more than marks, which belong to the text as a pair of quotation marks around it does. But a bullet before it,
  and a quotation mark that opens before it and is not closed after it, belong to what is around it; and so does one of
  a pair of which the other is with the words beside the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz

from qiltest.scoring.characters import script, weight
from qiltest.scoring.distance import distance
from qiltest.text.normalise import HYPHENS, is_decoration, normalise

#: Share of the text that may be wrong.
WRONG = 0.2
#: Weight that the text and the words beside it need, and the nearest word, where strong marks do not set them off.
WEIGHT, NEAREST = 4.0, 2.0
#: weight of a run of characters that two texts do not share by chance.
SHARED = 5.0
#: Likeness of a word to a part of an expected text, in percent, from which on it repeats it.
ALIKE = 80.0
_QUOTES = frozenset('"“”„‟«»‹›「」『』〝〞＂')
_APOSTROPHES = frozenset("'‘’‛＇")
_STRONG = frozenset(":：;；|｜—―→.。!！?？…")
_WEAK = frozenset(",，、")
#: between letters without white space these are part of a word or number: "flux.cpp", "12,5", "it's".
_INNER = frozenset(".,") | _APOSTROPHES
_BULLETS = frozenset("•·‣∙・")
#: these set off, weakly, where white space stands beside them: "name - title".
_SPACED = HYPHENS | _BULLETS | {"/"}
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
    for found in _cuts(text, lines, expected):
        beside = len(_joined(found.beside))
        if wrong - found.wrong == beside and found.wrong <= WRONG * len(text) and found.wrong < best.wrong:
            best = found
    return best


def _cuts(text: str, lines: Sequence[str], expected: Sequence[str]) -> Iterator[Own]:
    """Yield the ways to cut other text off the first and the last line."""
    first, last = lines[0], lines[-1]
    starts = [at for at in range(len(first)) if not at or _meets(first[at], text[0], 0)]
    ends = [at for at in range(len(last), 0, -1) if at == len(last) or _meets(last[at - 1], text[-1], -1)]
    befores = {at: _Side(first[:at][::-1], first[at]) for at in starts}
    afters = {at: _Side(last[at:], last[at - 1]) for at in ends}
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
        return self._sets_off(text) and not self._counts_on(text) and not _repeats(words, expected)

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
    return not after.marks and (not before.marks or _opens(before, after))


def _opens(before: _Side, after: _Side) -> bool:
    """Return whether the only mark is a bullet, or a quotation mark that nothing closes."""
    closed = {before.edge, after.edge} & (_QUOTES | _APOSTROPHES)
    return before.marks in _BULLETS or (before.marks in _QUOTES and not closed)


def _pair(before: str, after: str) -> bool:
    """Return whether the marks nearest to the text, of those on either side, open and close."""
    opens, closes = before[:1], after[:1]
    if opens in _QUOTES | _APOSTROPHES:
        return bool(closes) and (opens in _QUOTES) == (closes in _QUOTES) and closes in _QUOTES | _APOSTROPHES
    return unicodedata.category(opens or " ") == "Ps" and unicodedata.category(closes or " ") == "Pe"


def _is_weak(mark: str) -> bool:
    return mark in _WEAK | _SPACED or is_decoration(mark)


def _is_strong(mark: str) -> bool:
    return mark in _QUOTES | _APOSTROPHES | _STRONG or unicodedata.category(mark) in {"Ps", "Pe", "Pi", "Pf"}


def _is_digit(char: str) -> bool:
    return unicodedata.category(char).startswith("N")


def _repeats(words: str, expected: Sequence[str]) -> bool:
    """Return whether words have something of an expected text in them."""
    runs = set(_runs(normalise(words).casefold()))
    tokens = [token for token in _WORD.findall(words.casefold()) if weight(token) >= WEIGHT]
    return any(
        any(run in text for run in runs) or any(_alike(token, text) for token in tokens)
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
