import pytest

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.digit_one import SEEN, with_ones


def word(text, at=None, one=0.0):
    """Characters of a text; the one at `at` has a 1 for its second guess."""
    return tuple(
        Character(text=char, confidence=0.97, place=i / len(text), alternatives=(("i", 0.005), ("1", one)))
        if i == at
        else Character(text=char, confidence=1.0, place=i / len(text))
        for i, char in enumerate(text)
    )


def read(text, at, one):
    return "".join(character.text for character in with_ones(word(text, at, one)))


@pytest.mark.parametrize(
    ("text", "at", "expected"), [("World", 3, "Wor1d"), ("CITY OIL", 6, "CITY OIL"), ("AIDE", 1, "A1DE")]
)
def test_an_l_that_was_seen_as_a_one_in_a_word_is_a_one(text, at, expected):
    assert read(text, at, SEEN + 0.05) == expected


def test_its_confidence_is_that_of_the_one():
    assert with_ones(word("World", 3, 0.35))[3].confidence == 0.35


@pytest.mark.parametrize("one", [0.0, SEEN / 2])
def test_an_l_that_was_hardly_seen_as_a_one_stays(one):
    assert read("World", 3, one) == "World"


@pytest.mark.parametrize(("text", "at"), [("v1.l", 3), ("201l", 3), ("Bl", 1), ("I am", 0), ("a2lder", 2), ("通l", 1)])
def test_beside_digits_or_in_a_short_word_an_l_stays(text, at):
    assert read(text, at, 0.4) == text


def test_other_letters_stay():
    assert read("World", 2, 0.4) == "World"


def test_a_one_among_letters_stays_a_one():
    assert read("Wor1d", 2, 0.4) == "Wor1d"
