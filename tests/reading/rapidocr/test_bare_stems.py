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
        *("5 l of milk", "l'amour", "ls -l file", "June ll", "Illinois", ""),
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


def alone(recognised, *, confidence=0.5, filled=STEM, others=("I",), more=()):
    """What becomes of a row of one character whose ink is an upright stroke."""
    stroke = Glyph(left=0.4, right=0.5, top=0.1, bottom=0.7, area=filled * 0.1 * 0.6)
    parts = (stroke, *(Glyph(left=x, right=x + 0.5, top=0.1, bottom=0.7, area=0.15) for x in more))
    character = Character(
        text=recognised, confidence=confidence, place=0.45, alternatives=tuple((text, 0.2) for text in others)
    )
    return with_stems((character,), Strip(length=2.0, parts=parts))[0].text


@pytest.mark.parametrize("recognised", ["一", "-", "—", "|", "l", "1", "丨"])
def test_an_upright_stroke_alone_in_its_row_is_a_capital_i(recognised):
    assert alone(recognised) == "I"


def test_what_is_no_stroke_alone_stays():
    assert alone("1", confidence=0.95) == "1"
    assert alone("1", confidence=0.89, others=("7",)) == "1"
    assert alone("|", confidence=0.99) == "|"
    assert alone("1", filled=SERIFS) == "1"
    assert alone("一", more=(1.0,)) == "一"
    assert alone("!") == "!"


def ending_in_one(text, confidence, *, other="I", filled=STEM):
    parts, characters = [], []
    for i, char in enumerate(text):
        width = 0.1 if char == "1" else 0.7
        fill = filled if char == "1" else SERIFS
        parts.append(Glyph(left=i + 0.1, right=i + 0.1 + width, top=0.2, bottom=0.8, area=fill * width * 0.6))
        place = (i + 0.1 + width / 2) / len(text)
        sure = confidence if char == "1" else 0.999
        characters.append(Character(text=char, confidence=sure, place=place, alternatives=((other, 0.1),)))
    found = with_stems(characters, Strip(length=float(len(text)), parts=tuple(parts)))
    return "".join(each.text for each in found)


def test_a_1_without_a_flag_after_capitals_is_an_i_where_the_recogniser_doubts_it():
    assert ending_in_one("OPENA1", 0.62) == "OPENAI"
    assert ending_in_one("A1", 0.62, other="l") == "AI"
    assert ending_in_one("A1", 0.95) == "A1"  # a size of paper
    assert ending_in_one("A1", 0.62, filled=SERIFS) == "A1"
    assert ending_in_one("A1", 0.62, other="7") == "A1"
    assert ending_in_one("Room1", 0.62) == "Room1"
    assert ending_in_one("211", 0.62) == "211"
