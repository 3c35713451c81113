import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiltest.text.normalise import Unit, is_decoration, letters_and_digits, normalise, required_text, units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Qwen  Coffee\n$2", "QwenCoffee$2"),
        ("模型特色：1、", "模型特色:1、"),
        ("（原创IP编辑）", "(原创IP编辑)"),
        ("a\u200bb\u00adc", "abc"),
        ("❤\ufe0f", "❤"),
        ("…", "..."),
    ],
)
def test_full_width_forms_and_white_space_are_folded(text, expected):
    assert normalise(text) == expected


def test_case_and_punctuation_are_kept():
    assert normalise("Hello, World!") == "Hello,World!"


@given(st.text())
def test_normalising_twice_changes_nothing_more(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text())
def test_no_white_space_is_left(text):
    assert not any(char.isspace() for char in normalise(text))


def test_letters_and_digits_are_blind_to_case_and_punctuation():
    assert letters_and_digits("π≈3.14-ABC 通义!") == "π314abc通义"


def test_an_optional_mark_is_one_unit_however_many_characters_it_has():
    found = units("a 👩\u200d💻 b", ["👩\u200d💻"])
    assert found == (Unit("a"), Unit("👩💻", optional=True), Unit("b"))
    assert required_text(found) == "ab"


def test_of_two_marks_the_longer_is_taken():
    assert [unit.text for unit in units("x:))", [":)", ":))"])] == ["x", ":))"]


def test_stars_are_decoration_and_currency_is_not():
    assert is_decoration("★")
    assert is_decoration("😊")
    assert not is_decoration("$")
    assert not is_decoration("≈")


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("·", "\u30fb\u2027\u22c5\u2219\u2022\u25e6\u0387\uff65"),
        ("-", "\u2010\u2011\u2012\u2013\u2212\uff0d\ufe63"),
        ("'", "\u2018\u2019\u201b\u02bc\u2032\uff07"),
        ('"', "\u201c\u201d\u201f\u2033\uff02"),
        *[("Δ", "\u2206"), ("Π", "\u220f"), ("Σ", "\u2211")],
    ],
)
def test_marks_that_fonts_and_readers_do_not_tell_apart_are_one(one, several):
    assert {normalise(f"场景{char}布局") for char in one + several} == {f"场景{one}布局"}


def test_marks_that_are_drawn_otherwise_stay_apart():
    assert len({normalise(char) for char in "·.。、,'\"`‚„-—_~一"}) == 15
