"""Values of the command line: what is read, and what is refused with what to write instead."""

from argparse import ArgumentTypeError

import pytest

from qiltest import arguments


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (arguments.natural_int, "0", 0),
        (arguments.positive_int, "12", 12),
        (arguments.seed_count, "64", 64),
        (arguments.rate, "0", 0.0),
        (arguments.rate, "0.5", 0.5),
        (arguments.rounds, "auto", "auto"),
        (arguments.rounds, "100", 100),
        (arguments.seeds, "8", 8),
        (arguments.seeds, "42, 43", (42, 43)),
        (arguments.seeds, "1000,", (1000,)),
        (arguments.seeds, "9223372036854775807,", (2**63 - 1,)),
        (arguments.names, "a, b,,c", ["a", "b", "c"]),
    ],
)
def test_a_value_is_read(read, text, value):
    assert read(text) == value
    assert type(read(text)) is type(value)


@pytest.mark.parametrize(
    ("read", "text", "remedy"),
    [
        (arguments.natural_int, "-1", "write 0 or more"),
        (arguments.positive_int, "0", "write 1 or more"),
        (arguments.positive_int, "1.5", "write 1 or more"),
        (arguments.seed_count, "65", "write 1 to 64"),
        (arguments.rate, "1", "write edits per character"),
        (arguments.rate, "-0.01", "write edits per character"),
        (arguments.rate, "nan", "write edits per character"),
        (arguments.rate, "much", "write edits per character"),
        (arguments.rounds, "0", "write auto, or 1 to 100"),
        (arguments.rounds, "101", "write auto, or 1 to 100"),
        (arguments.seeds, "65", "write `65,` for the one seed 65"),
        (arguments.seeds, ",", "write 8, or 42,43,44"),
        (arguments.seeds, "42, 43,42", "give each seed once"),
        (arguments.seeds, "7,07", "give each seed once"),
        (arguments.seeds, "9223372036854775808,1", "give seeds from 0 to 9223372036854775807"),
        (arguments.seeds, "99999999999999999999999", "give seeds from 0 to 9223372036854775807"),
        (arguments.seeds, "42;43", "write 8, or 42,43,44"),
    ],
)
def test_another_value_is_refused_with_what_to_write(read, text, remedy):
    with pytest.raises(ArgumentTypeError) as caught:
        read(text)
    said, _, rest = str(caught.value).partition("\n  -> ")
    assert text in said
    assert rest.startswith(remedy)


def test_a_seed_of_more_digits_than_python_reads_is_too_large():
    with pytest.raises(ArgumentTypeError, match="has a seed that is too large"):
        arguments.seeds("9" * 5000)


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (arguments.positive_int, "0", "0 is too small; the least is 1"),
        (arguments.natural_int, "-1", "-1 is too small; the least is 0"),
        (arguments.rounds, "0", "0 is too small; the least is 1"),
        (arguments.seed_count, "65", "65 is too large; the most is 64"),
        (arguments.positive_int, "1.5", "1.5 is not a whole number"),
        (arguments.natural_int, "--1", "--1 is not a whole number"),
        (arguments.natural_int, "", " is not a whole number"),
    ],
)
def test_a_number_that_is_too_small_is_not_said_to_be_no_number(read, text, said):
    with pytest.raises(ArgumentTypeError) as caught:
        read(text)
    assert str(caught.value).partition("\n")[0] == said
