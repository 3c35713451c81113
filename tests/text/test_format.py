"""Numbers as a person says them."""

from __future__ import annotations

import math

import pytest

from qiltest.text.format import count, number, percent, seconds, size, times


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0871, "87.1 ms"),
        (0.9996, "1 s"),
        (3.424, "3.42 s"),
        (99.94, "99.9 s"),
        (102.2, "1 min 42 s"),
        (3599.8, "1 h 0 min"),
        (math.nan, "not a number"),
    ],
)
def test_seconds_are_said_as_a_person_says_them(value: float, words: str) -> None:
    assert seconds(value).replace("\u00a0", " ") == words


def test_rates_factors_and_counts_in_words() -> None:
    assert [percent(value).replace("\u00a0", " ") for value in (0, 0.0123, 0.1, 1)] == ["0 %", "1.2 %", "10 %", "100 %"]
    assert (times(12.44), number(1.5), number(2.0)) == ("12.4×", "1.5", "2")
    assert (count(1, "image"), count(0, "image"), count(2, "entry", "entries")) == (
        "1 image",
        "0 images",
        "2 entries",
    )


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0 kB"), (499, "0 kB"), (340_000, "340 kB"), (12_345_678, "12.3 MB"), (1_200_000_000, "1.2 GB")],
)
def test_a_number_of_bytes_is_short(amount, shown):
    assert size(amount).replace("\u00a0", " ") == shown
