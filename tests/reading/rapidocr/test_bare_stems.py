"""l and I that are one upright stroke, in lines whose ink is known."""

import pytest

from qiltest.reading.rapidocr.bare_stems import with_stems
from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.strip import Glyph, Strip

STEM, SERIFS = 0.95, 0.55
HIGH = 0.6


def read(text, *, filled=None, higher=None, shifted=0.0):
    """What becomes of a line recognised as `text`, whose l and I are bare stems.

    `filled`, `higher`: by place in the text, how much of its rectangle a letter fills, and its height by a capital's.
    `shifted`: how far right of their ink the recogniser puts the characters.
    """
    parts, characters = [], []
    for i, char in enumerate(text):
        stem = char in "lI"
        left, width = i + (0.4 if stem else 0.1), 0.1 if stem else 0.7
        height = HIGH * (higher or {}).get(i, 1.0)
        fill = (filled or {}).get(i, STEM if stem else SERIFS)
        box = {"left": left, "right": left + width, "top": 0.8 - height, "bottom": 0.8}
        if not char.isspace():
            parts.append(Glyph(**box, area=fill * width * height))
        characters.append(Character(text=char, confidence=0.999, place=(i + 0.45 + shifted) / len(text)))
    strip = Strip(length=float(len(text)), parts=tuple(parts))
    return "".join(each.text for each in with_stems(characters, strip))


@pytest.mark.parametrize(
    ("recognised", "right"),
    [
        ("A guide to Al systems", "A guide to AI systems"),
        ("OpenAl", "OpenAI"),
        ("用Al写诗", "用AI写诗"),
        ("Part Il: The Return", "Part II: The Return"),
        ("Ch. VIll", "Ch. VIII"),
        ("TAXl", "TAXI"),
        ("l love NY", "I love NY"),
        ("l'd rather be sailing", "I'd rather be sailing"),
        ("4K UItra HD", "4K Ultra HD"),
    ],
)
def test_a_bare_stem_is_the_letter_that_its_word_makes_likely(recognised, right):
    assert read(recognised) == right


@pytest.mark.parametrize(
    "text",
    [
        *("All is well", "Ball", "McAllister", "ALL", "El Camino", "Il Postino", "AIs and APIs", "I am"),
        *("5 l of milk", "l'amour", "ls -l file", "June ll", "l", "Illinois", ""),
    ],
)
def test_what_may_be_right_stays(text):
    assert read(text) == text


def test_a_letter_with_a_hook_or_serifs_stays():
    assert read("Al systems", filled={1: SERIFS}) == "Al systems"
    assert read("UItra", filled={1: SERIFS}) == "UItra"


def test_a_stem_stays_where_the_other_letter_has_more_than_a_stem_in_this_line():
    assert read("I see Al", filled={0: SERIFS}) == "I see Al"
    assert read("UItra oil", filled={8: SERIFS}) == "UItra oil"


def test_a_stem_that_rises_above_the_capitals_is_an_l():
    assert read("Al Pacino", higher={1: 1.08}) == "Al Pacino"
    assert read("Al Pacino", higher={1: 1.02}) == "AI Pacino"


def test_a_stem_is_found_where_its_place_is_beside_it():
    assert read("Al is", shifted=0.25) == "AI is"


def test_ink_that_cannot_be_told_apart_decides_nothing():
    characters = [Character(text=char, confidence=0.9, place=(i + 0.5) / 2) for i, char in enumerate("Al")]
    whole = Glyph(left=0.1, right=1.6, top=0.2, bottom=0.8, area=0.4)
    found = with_stems(characters, Strip(length=2.0, parts=(whole,)))
    assert "".join(each.text for each in found) == "Al"
