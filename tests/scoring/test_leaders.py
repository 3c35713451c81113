import time

import pytest

from builders import line, reading, texts
from qiltest.scoring import score
from qiltest.scoring.leaders import segments_of


def row(top, *items):
    """Lines of one row: what is read, and where it begins."""
    return [line(read, left, top, 20 * len(read), 40) for read, left in items]


def rows(*several):
    return [each for number, items in enumerate(several) for each in row(100 + 80 * number, *items)]


def menu(tea, coffee, prices=("3.20", "4.50")):
    return rows(((tea, 0), (prices[0], 600)), ((coffee, 0), (prices[1], 600)))


def distances(lines, *expected):
    return [text.distance for text in score(texts(*expected), reading(lines)).texts]


@pytest.mark.parametrize("dots", ["..", "...", " .", " . . .", "…", "・・", "....", "……"])
def test_dots_that_lead_to_prices_are_layout(dots):
    lines = menu(f"Tea{dots}", f"Coffee{dots}")
    found = score(texts("Tea", "Coffee", "3.20"), reading(lines))
    assert found.distance == 0
    assert [text.layout for text in found.texts] == [("leader dots",), ("leader dots",), ()]
    assert [text.read for text in found.texts] == ["Tea", "Coffee", "3.20"]


def test_what_is_left_of_them_before_a_price_is_layout_too():
    assert distances(menu("Tea...", "Coffee", ("3.20", ".. 4.50")), "Tea", "3.20", "Coffee", "4.50") == [0, 0, 0, 0]


@pytest.mark.parametrize("dots", [".......", " . . . . . ", "·······", "………"])
def test_a_row_of_dots_parts_a_line(dots):
    lines = rows(((f"Espresso{dots}3.50", 0),))
    assert distances(lines, "Espresso 3.50") == [0]
    assert distances(lines, "Espresso", "3.50") == [0, 0]
    assert distances(lines, "Espresso") == [0]


def test_an_item_and_its_price_are_one_text_over_the_dots():
    assert distances(menu("Tea...", "Coffee..."), "Tea 3.20", "Coffee 4.50") == [0, 0]
    assert distances(rows((("Tea .... 3.20", 0),), (("Coffee .... 4.50", 0),)), "Tea 3.20", "Coffee 4.50") == [0, 0]


def test_the_numbers_of_a_list_stand_beside_its_items():
    contents = rows(
        (("1. Introduction...", 0), ("1", 900)), (("2. Methods.....", 0), ("12", 900)), (("3. Results .... 27", 0),)
    )
    assert distances(contents, "Introduction", "Methods", "Results") == [0, 0, 0]
    assert distances(rows((("1. Tea .... 3.20", 0),)), "Tea", "3.20") == [0, 0]


@pytest.mark.parametrize(
    ("lines", "expected", "distance"),
    [
        (rows((("Loading...", 0), ("42%", 600))), "Loading", 3),  # one row makes no list
        (rows((("Tea...", 0),), (("Coffee...", 0),)), "Tea", 3),  # nothing to lead to
        (rows((("Tea...", 300), ("3.20", 0)), (("Coffee...", 300), ("4.50", 0))), "Tea", 3),  # the price is before it
        (rows((("Maybe...", 0), ("I know", 600)), (("Sure...", 0), ("I go", 600))), "Maybe", 3),  # to no number
        (menu("Tea.", "Coffee..."), "Tea", 1),  # a full stop
        (rows((("等等……", 0),)), "等等", 6),  # the Chinese ellipsis
        (rows((("他说……我不知道", 0),)), "他说我不知道", 6),
    ],
)
def test_other_dots_are_text(lines, expected, distance):
    assert distances(lines, expected) == [distance]


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("Chapter 3 .... 4", "Chapter 34"),
        ("Fee $5....00", "Fee $500"),
        ("Call 555....1234", "Call 5551234"),
        ("Hello....World", "HelloWorld"),
    ],
)
def test_a_row_of_dots_inside_a_word_or_number_counts(read, expected):
    assert distances(rows(((read, 0),)), expected)[0] > 0


def test_a_typo_beside_a_row_of_dots_counts():
    lines = rows((("Expresso......3.60", 0),))
    assert distances(lines, "Espresso", "3.50") == [1, 1]
    assert distances(lines, "Espresso 3.50") == [2]


def test_dots_that_were_asked_for_are_text_and_leave_those_of_other_texts_alone():
    lines = [*menu("Tea....", "Coffee...."), *rows((("Wait.....", 1000),))]
    assert distances(lines, "Wait...", "Tea", "Coffee") == [2, 0, 0]


def test_a_line_of_nothing_but_dots_is_no_text():
    lines = [*menu("Tea", "Coffee..."), *row(300, ("...", 0), ("5.10", 600)), *row(400, ("......", 0))]
    assert distances(lines, "Tea", "Coffee", "5.10") == [0, 0, 0]


def test_two_thousand_rows_of_dots_take_no_more_than_the_lines_themselves():
    lines = [each for number in range(1000) for each in row(50 * number, ("a..", 0), (f"{number}", 600))]
    started = time.process_time()
    segments_of(lines, ["a"])
    assert time.process_time() - started < 2
