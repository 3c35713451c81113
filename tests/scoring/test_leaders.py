import pytest

from builders import line, reading, texts
from qiltest.scoring import score

PRICE = line("3.50", 700, 100, 90, 40)


def scored(read: str, *expected: str, more=()):
    return score(texts(*expected), reading([line(read, 100, 100, 400, 40), *more]))


@pytest.mark.parametrize("read", ["Espresso..", "Espresso...", "Espresso .", "Espresso . . .", "Espresso……"])
def test_dots_that_lead_to_a_price_are_layout(read):
    found = scored(read, "Espresso", more=[PRICE])
    assert (found.distance, found.texts[0].layout) == (0, ("leader dots",))


@pytest.mark.parametrize("read", ["Espresso.......3.50", "Espresso . . . . . 3.50", "Espresso·······3.50"])
def test_a_row_of_dots_inside_a_line_is_layout(read):
    assert scored(read, "Espresso 3.50").distance == 0
    assert [text.distance for text in scored(read, "Espresso", "3.50").texts] == [0, 0]


def test_a_price_behind_a_row_of_dots_stands_beside_its_item():
    found = scored("Espresso......3.50", "Espresso")
    assert (found.distance, found.texts[0].read, found.texts[0].beside) == (0, "Espresso", ("......3.50",))


def test_an_item_and_its_price_are_one_text_over_a_row_of_dots():
    found = scored("Espresso..", "Espresso 3.50", more=[PRICE])
    assert (found.distance, found.texts[0].lines) == (0, (0, 1))


@pytest.mark.parametrize(
    ("read", "more"),
    [
        ("Espresso...", ()),  # nothing to lead to
        ("Espresso...", (line("3.50", 700, 300, 90, 40),)),  # in another row
        ("Espresso...", (line("3.50", 20, 100, 60, 40),)),  # before it
        ("Espresso.", (PRICE,)),  # a full stop
    ],
)
def test_other_dots_are_text(read, more):
    assert scored(read, "Espresso", more=more).distance == len(read) - len("Espresso")


def test_a_typo_beside_a_row_of_dots_counts():
    assert scored("Expresso......3.50", "Espresso", "3.50").distance == 1
    assert scored("Espresso......3.60", "Espresso", "3.50").distance == 1


def test_dots_that_were_asked_for_are_text():
    assert scored("Loading..", "Loading....", more=[PRICE]).distance == 2
    assert scored("Wait......", "Wait...", "Espresso").texts[0].distance == 3
