"""Sign by sign: what became of the 24 signs of a street."""

from dataclasses import replace

import pytest

from qiltest.published.signs import SignState, sign_recall
from qiltest.scoring import score
from readings import line, reading, texts

SIGNS = ("龍鳳冰室", "金華燒臘", "HAPPY HAIR", "鴻運茶餐廳", "EASY BAR", "永發魚蛋粉", "CITY LIGHTS BAR", "太平館")


def street(*read, wanted=SIGNS):
    lines = [line(text, 60 + 700 * (i % 3), 60 + 300 * (i // 3), 45 * len(text), 50) for i, text in enumerate(read)]
    return sign_recall(score(texts(*wanted), reading(lines, width=2400, height=2400)))


def states(found):
    return {sign.expected: sign.state for sign in found.signs}


def test_signs_as_asked_are_all_exact():
    found = street(*SIGNS)
    assert set(states(found).values()) == {SignState.EXACT}
    assert found.recall == 1.0
    assert found.doubled == found.leaked == ()


def test_one_edit_is_near_two_are_wrong_and_none_read_is_missing():
    found = street("龍鳳冰至", "金華燒臘", "HAPY HAR", "鴻運茶餐廳", "EASY BAR", "永發魚蛋粉", "CITY LIGHTS BAR")
    assert states(found)["龍鳳冰室"] is SignState.NEAR
    assert states(found)["HAPPY HAIR"] is SignState.WRONG
    assert states(found)["太平館"] is SignState.MISSING
    assert found.count(SignState.EXACT) == 5
    assert found.recall == 5 / 8


def test_the_beginning_of_one_sign_with_the_end_of_another_is_a_mixture_and_names_it():
    found = street(
        "龍鳳冰室", "金華茶餐廳", "HAPPY HAIR", "鴻運茶餐廳", "EASY BAR", "永發魚蛋粉", "CITY LIGHTS BAR", "太平館"
    )
    mixed = next(sign for sign in found.signs if sign.expected == "金華燒臘")
    assert mixed.state is SignState.MIXED
    assert mixed.mixed_with == "鴻運茶餐廳"
    assert mixed.read == "金華茶餐廳"


def test_a_sign_that_lost_its_middle_is_no_mixture_with_one_that_ends_alike():
    found = street("龍鳳冰室", "金華燒臘", "HAPPY HAIR", "鴻運茶餐廳", "EASY BAR", "永發魚蛋粉", "CITY LIBAR", "太平館")
    assert states(found)["CITY LIGHTS BAR"] is SignState.WRONG


def test_a_sign_drawn_twice_is_named():
    found = street(*SIGNS, "HAPPY HAIR")
    assert found.doubled == (("HAPPY HAIR", "HAPPYHAIR"),)
    assert found.recall == 1.0


def test_a_sign_that_leaked_into_another_is_named():
    found = street(*SIGNS, "π≈鴻運茶餐廳")
    assert found.leaked == (("π≈鴻運茶餐廳", "鴻運茶餐廳"),)


@pytest.mark.parametrize("strange", ["ABCDEFGHIJ", "天地玄黃宇宙"])
def test_other_writing_in_the_street_is_neither_mixture_nor_leak(strange):
    found = street(*SIGNS, strange)
    assert found.recall == 1.0
    assert found.doubled == found.leaked == ()


def test_each_sign_says_what_was_read_for_it():
    found = street("龍鳳冰至", "金華燒臘", "HAPY HAR", "鴻運茶餐廳", "EASY BAR", "永發魚蛋粉", "CITY LIGHTS BAR")
    read = {sign.expected: sign.read for sign in found.signs}
    assert (read["龍鳳冰室"], read["金華燒臘"], read["太平館"]) == ("龍鳳冰至", "金華燒臘", "")
    assert read["HAPPY HAIR"].replace(" ", "") == "HAPYHAR"
    assert {sign.mixed_with for sign in found.signs} == {""}


def test_a_score_without_texts_is_refused():
    with pytest.raises(ValueError, match=r"^a score without texts has no signs$"):
        sign_recall(replace(score(texts("A"), reading([line("A", 10, 10, 40, 40)])), texts=()))


def test_one_sign_alone_has_nothing_to_be_mixed_with():
    found = street("金華茶餐廳", wanted=("金華燒臘",))
    assert [sign.mixed_with for sign in found.signs] == [""]


@pytest.mark.parametrize(
    ("read", "other"),
    [("金華茶餐廳", "鴻運茶餐廳"), ("鴻運燒臘", "鴻運茶餐廳"), ("金華冰室", "龍鳳冰室"), ("龍鳳燒臘", "龍鳳冰室")],
)
def test_a_mixture_is_found_whichever_of_the_two_it_begins_as(read, other):
    wanted = ("金華燒臘", other)
    found = street(read, other, wanted=wanted)
    mixed = next(sign for sign in found.signs if sign.expected == "金華燒臘")
    assert (mixed.state, mixed.mixed_with, mixed.read) == (SignState.MIXED, other, read)
