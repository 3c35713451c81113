"""Apostrophes that a recogniser saw and dropped."""

from qiltest.reading.rapidocr.apostrophes import with_apostrophes
from qiltest.reading.rapidocr.ctc import Character, Recognition


def read(text, *places):
    """What becomes of a line, a character per unit of length, where an apostrophe lost at some places."""
    characters = tuple(
        Character(text=char, confidence=0.99, place=(i + 0.5) / len(text)) for i, char in enumerate(text)
    )
    lost = tuple(Character(text="'", confidence=0.2, place=place / len(text)) for place in places)
    found = with_apostrophes(Recognition(characters=characters, apostrophes=lost))
    assert [each.place for each in found] == sorted(each.place for each in found)
    return "".join(each.text for each in found)


def test_the_apostrophe_of_a_contraction_is_read():
    assert read("Im a Cat", 1.0) == "I'm a Cat"
    assert read("Dont, WONT", 3.0, 9.0) == "Don't, WON'T"
    assert read("Theyll and youre", 4.0, 14.0) == "They'll and you're"


def test_an_apostrophe_that_makes_no_contraction_is_not():
    assert read("SHAKES", 5.0) == "SHAKES"
    assert read("Imp", 1.0) == "Imp"
    assert read("cat", 2.0) == "cat"


def test_an_apostrophe_is_read_once():
    assert read("Im", 0.9, 1.1) == "I'm"


def test_an_apostrophe_beside_a_space_a_digit_or_a_chinese_character_is_not():
    for text in ("I m", "1m", "我m", "I.m"):
        assert read(text, 1.0) == text


def test_an_apostrophe_before_or_behind_the_line_is_not():
    assert read("Im", 0.2, 1.8) == "Im"
    assert read("") == ""
