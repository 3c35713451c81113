"""Where a text first goes wrong, and on which line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import line, reading, stack, texts
from qiltest.published.first_error import first_error, line_errors
from qiltest.scoring import score

PI = "3.14159265-358979-32384626-4338327950"


def told(wanted, *read):
    return first_error(score(texts(wanted), reading(stack(*read))).texts[0])


def test_a_right_number_has_no_first_error():
    found = told(PI, PI)
    assert found.exact
    assert found.right_before == found.longest_run == found.length == len(PI)
    assert found.digits == found.digits_before == found.longest_digits == found.digits_exact == 33
    assert found.at == ""


def test_the_first_wrong_digit_is_placed_and_the_runs_before_and_after_it_counted():
    found = told(PI, PI.replace("358979", "358679"))
    assert found.right_before == PI.index("979")
    assert found.at == "9"
    assert found.digits_before == 12
    assert found.digits_exact == 32
    assert found.longest_run == len("79-32384626-4338327950")
    assert found.longest_digits == 20


def test_an_inserted_digit_breaks_a_run_and_leaves_every_digit_exact():
    found = told("23846264", "238446264")
    assert found.digits_exact == 8
    assert not found.exact
    assert found.longest_run < 8


def test_a_lost_end_keeps_all_that_stands_before_it():
    found = told(PI, PI[:-4])
    assert found.right_before == found.longest_run == len(PI) - 4
    assert found.digits_before == found.digits_exact == 29


def test_a_text_that_was_not_read_is_wrong_from_its_first_character():
    found = first_error(score(texts("12345678", "HELLO"), reading(stack("HELLO"))).texts[0])
    assert found.right_before == found.longest_run == found.digits_exact == 0
    assert found.at == "1"


@given(st.text("0123456789", min_size=4, max_size=30), st.data())
def test_one_changed_digit_is_found_at_its_place(number, data):
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != number[place]]))
    found = told(number, number[:place] + other + number[place + 1 :])
    # equal neighbours leave several cheapest places; a substitution among different digits does not
    assert found.digits_exact <= len(number) - 1 or found.longest_run < len(number)
    assert found.right_before <= place
    assert not found.exact


def test_each_edit_falls_on_the_line_that_holds_it_and_lines_tell_their_height():
    lines = [line("ABCDEFGH", 100, 100, 400, 50), line("IJKLXNOP", 100, 170, 400, 30)]
    image = reading(lines)
    found = line_errors(score(texts("ABCDEFGHIJKLMNOP"), image).texts[0], image)
    assert [item.distance for item in found] == [0, 1]
    assert [item.height for item in found] == [50, 30]
    assert [item.length for item in found] == [8, 8]


def test_what_is_missing_at_a_break_belongs_to_the_line_before_it():
    image = reading(stack("ABCDEFG", "IJKLMNOP"))
    found = line_errors(score(texts("ABCDEFGHIJKLMNOP"), image).texts[0], image)
    assert [item.distance for item in found] == [1, 0]


def test_the_lines_edits_sum_to_the_texts_distance():
    image = reading(stack("ABXDEFG", "IJKLLMNOP", "QRSTU"))
    scored = score(texts("ABCDEFGHIJKLMNOPQRSTUVW"), image).texts[0]
    assert sum(item.distance for item in line_errors(scored, image)) == scored.distance > 0


def test_a_text_without_lines_has_no_line_errors():
    image = reading(stack("HELLO"))
    assert line_errors(score(texts("12345678", "HELLO"), image).texts[0], image) == ()


def on_lines(wanted, *read):
    seen = reading(stack(*read))
    return line_errors(score(texts(wanted), seen).texts[0], seen)


@pytest.mark.parametrize(
    ("read", "edits"),
    [
        (("31415926", "53589793"), [0, 0]),
        (("X1415926", "53589793"), [1, 0]),
        (("3141592X", "53589793"), [1, 0]),
        (("31415926", "X3589793"), [0, 1]),
        (("31415926", "5358979X"), [0, 1]),
        (("X141592X", "X358979X"), [2, 2]),
        # what is missing at a break or an end belongs to the line before it
        (("3141592", "53589793"), [1, 0]),
        (("314159", "53589793"), [2, 0]),
        (("31415926", "5358979"), [0, 1]),
        (("31415926", "535897"), [0, 2]),
        (("1415926", "53589793"), [1, 0]),
    ],
)
def test_an_edit_falls_on_the_line_that_holds_its_place(read, edits):
    assert [line.distance for line in on_lines("3141592653589793", *read)] == edits


def test_what_is_too_much_belongs_to_a_line_and_the_sum_is_the_distance():
    for read in (
        ("31415926", "53589793X"),
        ("3141592X6", "53589793"),
        ("31415926", "5358X9793"),
        ("X31415926", "53589793"),
    ):
        found = on_lines("3141592653589793", *read)
        assert [line.distance for line in found] == [int("X" in line) for line in read], read
        assert [line.text for line in found] == list(read)
        assert [line.length for line in found] == list(map(len, read))


def test_a_text_of_three_lines_has_its_edits_on_the_middle_one():
    found = on_lines("314159265358979323846264", "31415926", "5358X793", "23846264")
    assert [line.distance for line in found] == [0, 1, 0]


def test_what_was_not_read_at_all_is_wrong_from_its_first_character():
    found = told(PI, "Qwen")
    assert (found.right_before, found.at, found.longest_run, found.digits_exact) == (0, "3", 0, 0)
    assert not found.exact


def test_a_wrong_stretch_is_as_long_as_it_is():
    found = told("3141592653589793", "3141XXXX53589793")
    assert (found.right_before, found.at) == (4, "5")
    assert (found.longest_run, found.longest_digits, found.digits_exact) == (8, 8, 12)


def test_one_too_many_before_the_first_character_leaves_nothing_right_before_it():
    found = told("31415926", "X31415926")
    assert (found.right_before, found.at, found.digits_exact) == (0, "3", 8)
    found = told("31415926", "3X1415926")
    assert (found.right_before, found.at) == (1, "1")
