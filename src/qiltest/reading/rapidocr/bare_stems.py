"""Decide between l and I where the image shows a bare stem, which is either of them, by the word that it stands in.

In most faces without serifs a small l and a capital I are the same upright stroke, and the recogniser's guess is no
evidence: it is certain of "Al systems". So the case of the word's other letters decides. Where the ink tells the two
apart, the line stays as recognised: a foot, a hook or serifs, another such letter of the line that has them, a stem
that rises above the capitals. The expected text plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.letter_case import matched
from qiltest.reading.rapidocr.strip import Glyph, Strip

#: Least share of its rectangle, slanted as it is, that a bare stem fills, and its greatest width by its length. In the
#: training faces an I with serifs and an l with a hook fill less than 0.74, in all but three bare stems 0.8 and more.
FILLED, SLENDER = 0.76, 0.45
#: A stem that is so many times as high as the nearest capital is an l.
HIGHER = 1.04
#: What a stem alone in its row is taken for, such as the word I at the beginning of a line.
_ALONE = frozenset("一丨-–—|l1")
#: Below this confidence a 1 without a flag that follows capitals, as in "A1", is an I.
SURE_ONE = 0.9
#: A run of Latin letters, and the words in it: "OpenAl" is "Open" and "Al".
_RUN, _WORD = re.compile(r"[A-Za-z]+"), re.compile(r"(?<=[a-km-z])(?=[A-Z])")
_CAPITALS_AND_ONE = re.compile(r"(?<![A-Za-z0-9])[A-Z]+1(?![A-Za-z0-9])")
#: A capital, a stem and small letters, as "UItra": an l, but in a plural such as "AIs".
_SECOND = re.compile(r"[A-HJ-Z]I(?!s$)[a-z]+")
#: What stands before and behind the word I; a number before it has a unit, an l' is French.
_BEFORE, _BEHIND = re.compile(r"(?:.*[^\s\d]\s+)?[\"“‘(]?"), re.compile(r"\s.*\w|['’](?:m|d|ll|ve)\b")


def with_stems(characters: Sequence[Character], strip: Strip) -> tuple[Character, ...]:
    """Return the characters of a row of writing with each bare stem as the letter that its word makes likely."""
    if _is_stem_alone(characters, strip):
        return tuple(replace(each, text="I") if each.text in _ALONE else each for each in characters)
    line = "".join(character.text for character in characters)
    if len(line) != len(characters):
        return tuple(characters)
    likely = {**dict(_likely(line)), **dict(_unsure_ones(line, characters))}
    if not likely:
        return tuple(characters)
    found = matched(characters, strip.glyphs, strip.length)
    for i in likely:
        found[i] = found[i] or _between(i, characters, found, strip)
    return tuple(
        replace(character, text=likely[i]) if i in likely and _allowed(i, likely, characters, found) else character
        for i, character in enumerate(characters)
    )


def _is_stem_alone(characters: Sequence[Character], strip: Strip) -> bool:
    """Return whether a row is one upright stroke that was not read surely as a 1 or a bar."""
    inked = [character for character in characters if not character.text.isspace()]
    if len(inked) != 1 or inked[0].text not in _ALONE:
        return False
    if inked[0].text in "1|" and not _may_be_letter(inked[0]):
        return False
    return len(strip.glyphs) == 1 and _bare(strip.glyphs[0])


def _may_be_letter(character: Character) -> bool:
    return character.confidence < SURE_ONE and any(text in ("I", "l") for text, _ in character.alternatives)


def _unsure_ones(line: str, characters: Sequence[Character]) -> Iterator[tuple[int, str]]:
    """Yield where a 1 that may be an I ends a word of capitals."""
    for word in _CAPITALS_AND_ONE.finditer(line):
        if _may_be_letter(characters[word.end() - 1]):
            yield word.end() - 1, "I"


def _likely(line: str) -> Iterator[tuple[int, str]]:
    """Yield where a line has an l that its word makes an I, or the other way round, and the likely letter."""
    for run in _RUN.finditer(line):
        start = run.start()
        for word in _WORD.split(run[0]):
            if _small_for_capital(word, line[:start], line[start + len(word) :]):
                yield from ((start + i, "I") for i, letter in enumerate(word) if letter == "l")
            elif _SECOND.fullmatch(word):
                yield start + 1, "l"
            start += len(word)


def _small_for_capital(word: str, before: str, behind: str) -> bool:
    """Return whether each l of a word is likelier an I."""
    if word == "l":
        return bool(_BEFORE.fullmatch(before) and _BEHIND.match(behind))
    if word == "El" or (word == "Il" and not before.strip() and behind.strip()):  # words of other languages
        return False
    small = word.count("l")
    return 0 < small <= len(word) / 2 and word.replace("l", "").isupper()


def _between(place: int, characters: Sequence[Character], found: Sequence[Glyph | None], strip: Strip) -> Glyph | None:
    """Return the only bare stem between the places of a character's neighbours, but those that are known to be theirs.

    Places are less exact than a stem is wide.
    """
    inked = [each.place * strip.length for each in characters if not each.text.isspace()]
    at = characters[place].place * strip.length
    start = max((x for x in inked if x < at), default=0.0)
    end = min((x for x in inked if x > at), default=strip.length)
    left = [glyph for glyph in strip.glyphs if start < glyph.centre < end and _bare(glyph) and glyph not in found]
    return left[0] if len(left) == 1 else None


def _allowed(
    place: int, likely: Mapping[int, str], characters: Sequence[Character], found: Sequence[Glyph | None]
) -> bool:
    """Return whether the ink at a place is a bare stem and nothing in the line says which letter it is."""
    stem, letter = found[place], likely[place]
    if stem is None or not _bare(stem):
        return False
    same = (glyph for i, glyph in enumerate(found) if i not in likely and characters[i].text == letter)
    if not all(glyph is None or _bare(glyph) for glyph in same):
        return False
    return letter == "l" or stem.height <= HIGHER * _capital_beside(place, characters, found, stem.height)


def _bare(glyph: Glyph) -> bool:
    return glyph.filled >= FILLED and glyph.slender <= SLENDER


def _capital_beside(
    place: int, characters: Sequence[Character], found: Sequence[Glyph | None], default: float
) -> float:
    """Return the height of the nearest other capital whose ink stands apart."""
    capitals = [
        (abs(i - place), glyph.height)
        for i, glyph in enumerate(found)
        if glyph is not None and characters[i].text.isupper() and characters[i].text != "I"
    ]
    return min(capitals)[1] if capitals else default
