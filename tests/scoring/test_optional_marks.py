"""An optional mark costs nothing, drawn or not, whatever it is made of."""

import pytest

import builders as make
from qiltest.scoring import score


def scored(text, mark, *read):
    return score(make.texts(text, marks=(mark,)), make.reading(make.stack(*read)))


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("Brand™", "™"),  # TM, by NFKC
        ("Hi ①", "①"),
        ("Wait ***", "***"),
        ("★★★★★ Hi", "★"),
        ("☆☆☆ Hi", "☆☆☆"),
        ("Hello World", "World"),
        ("Coffee 😊", "😊"),
    ],
)
def test_an_image_as_asked_costs_nothing_with_its_marks_and_without(text, mark):
    bare = text.replace(mark, "").strip()
    for read in (text, bare):
        found = scored(text, mark, read)
        assert (found.distance, found.distance_alnum, found.extra) == (0, 0, ())


def test_what_is_wrong_beside_a_mark_is_counted():
    assert scored("Brand™", "™", "Brend™").distance == 1
    assert scored("Wait ***", "***", "Wat ***").distance == 1
    assert scored("★★★★★ Hi", "★", "★★★★★ Ho").distance == 1


def test_letters_that_are_no_mark_are_counted_though_a_mark_has_them():
    assert scored("Brand™", "™", "BrandTMTM").distance == 2
    assert scored("Brand™", "™", "BrandT").distance == 1


@pytest.mark.parametrize("order", [("0.", "0"), ("0", "0.")])
def test_texts_that_differ_in_their_optional_marks_alone_take_the_lines_with_theirs(order):
    asked = [make.texts(text, marks=(".",) if "." in text else ())[0] for text in order]
    assert score(asked, make.reading(make.stack("0.", "0"))).distance == 0
    assert score(asked, make.reading(make.stack("0", "0."))).distance == 0
    assert score(asked, make.reading(make.stack("0.", "0."))).distance == 1
