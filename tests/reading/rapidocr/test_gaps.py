"""A doubtful mark between two words."""

import pytest

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.gaps import with_gaps


def read(text, mark, confidence, alternatives):
    characters = [Character(text=char, confidence=0.99, place=i / len(text)) for i, char in enumerate(text)]
    at = text.index(mark)
    characters[at] = Character(text=mark, confidence=confidence, place=at / len(text), alternatives=alternatives)
    return "".join(character.text for character in with_gaps(characters))


def test_a_doubtful_comma_that_may_be_a_gap_is_one():
    assert read("CHUCK,WOOD", ",", 0.53, ((";", 0.2), (" ", 0.14))) == "CHUCK WOOD"


@pytest.mark.parametrize(
    ("text", "mark", "confidence", "alternatives"),
    [
        ("CHUCK,WOOD", ",", 0.6, ((" ", 0.3),)),
        ("CHUCK,WOOD", ",", 0.5, ((" ", 0.09),)),
        ("CHUCK,WOOD", ",", 0.5, ()),
        ("CHUCK, WOOD", ",", 0.5, ((" ", 0.3),)),
        ("WOOD,", ",", 0.5, ((" ", 0.3),)),
        ("4,500", ",", 0.5, ((" ", 0.3),)),
        ("flux.cpp", ".", 0.5, ((" ", 0.3),)),
        ("ab,cd", ",", 0.5, ((" ", 0.3),)),
        ("你好啊,世界上", ",", 0.5, ((" ", 0.3),)),
        ("CHUCK-WOOD", "-", 0.5, ((" ", 0.3),)),
    ],
)
def test_any_other_mark_stays(text, mark, confidence, alternatives):
    assert read(text, mark, confidence, alternatives) == text


def test_a_line_of_one_mark_and_an_empty_one_stay():
    assert read(",", ",", 0.1, ((" ", 0.5),)) == ","
    assert with_gaps(()) == ()
