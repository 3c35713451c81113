"""What a character says, at the borders of its kind."""

import math

import pytest

from qiltest.scoring.characters import bits, is_ideograph, mean_bits, script, weight


@pytest.mark.parametrize(
    ("char", "named"),
    [
        ("a", "LATIN"),
        ("é", "LATIN"),
        ("π", "GREEK"),
        ("Ж", "CYRILLIC"),
        ("问", "CJK"),
        ("ひ", "CJK"),
        ("カ", "CJK"),
        ("한", "CJK"),
        ("ㄅ", "CJK"),
        ("7", ""),
        ("-", ""),
        ("。", ""),
    ],
)
def test_a_letter_has_a_script_and_nothing_else_does(char, named):
    assert script(char) == named
    assert is_ideograph(char) is (named == "CJK")


@pytest.mark.parametrize(
    ("text", "counted"),
    [("ab1", 3.0), ("a-b", 2.0), ("问", 2.5), ("ひ", 2.5), ("カ", 2.5), ("한", 2.5), ("é", 1.0), ("", 0.0)],
)
def test_ideographs_and_kana_weigh_more_than_letters(text, counted):
    assert weight(text) == counted


@pytest.mark.parametrize(
    ("char", "alphabet"), [("7", 10), ("x", 5), ("é", 5), ("问", 56), ("한", 56), ("-", 4), ("≈", 4)]
)
def test_meeting_a_character_by_chance_is_worth_its_alphabet(char, alphabet):
    assert bits(char) == pytest.approx(math.log2(alphabet))


def test_a_text_is_worth_the_mean_of_its_characters():
    assert mean_bits("7x问-") == pytest.approx(math.log2(10 * 5 * 56 * 4) / 4)
    assert mean_bits("77") == pytest.approx(math.log2(10))
