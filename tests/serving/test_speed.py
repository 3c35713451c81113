"""Percentiles, images per minute, and their table; kinds of seconds never mix."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiltest.errors import StoreError
from qiltest.serving.speed import Request, busy_seconds, percentile, read_speeds, speed_lines, speeds_of, write_speeds


def request(began, ended, **fields):
    known = {"size": "256x128", "variant": "base", "concurrency": 1, "seconds": ended - began, "kind": "wall"}
    return Request(began=began, ended=ended, **{**known, **fields})


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_as_many_do_not_exceed(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= math.ceil(share * len(values))
    assert sum(value < found for value in values) < math.ceil(share * len(values))


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [([], 0), ([(0, 2), (1, 3)], 3), ([(0, 1), (5, 6)], 2), ([(0, 10), (1, 2), (3, 4)], 10), ([(1, 2), (0, 1)], 2)],
)
def test_time_in_which_something_was_in_flight_counts_once(spans, seconds):
    assert busy_seconds(spans) == seconds


def test_a_row_per_size_variant_and_concurrency():
    alone = [request(10 * k, 10 * k + 1 + k) for k in range(3)]  # 1, 2 and 3 seconds, with pauses between
    several = [request(100 + k, 104 + k, concurrency=4, seconds=1.0, kind="request") for k in range(4)]
    one, four = speeds_of([*alone, *several], compared=3, changed=1).rows
    assert (one.images, one.p50, one.p90, one.p99, one.slowest) == (3, 2, 3, 3, 3)
    assert one.images_per_minute == pytest.approx(60 * 3 / 6)  # the pauses do not count
    assert (four.concurrency, four.p50, four.own, four.kind) == (4, 4, 1.0, "request")
    assert four.images_per_minute == pytest.approx(60 * 4 / 7)


def test_seconds_of_two_kinds_are_said_to_be_mixed():
    [row] = speeds_of([request(0, 1), request(1, 2, kind="diffuse")]).rows
    assert row.kind == "mixed"


def test_the_table_says_what_several_in_flight_changed():
    lines = list(speed_lines(speeds_of([request(0, 0.5)], compared=3, changed=2)))
    assert lines[2] == "| 256x128 | base | 1 | 1 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 (wall) | 120.00 |"
    assert lines[-1].startswith("With several in flight 2 of 3 images have other pixels than alone.")


def test_it_comes_back_from_its_file_and_a_damaged_one_is_an_error(tmp_path):
    assert read_speeds(tmp_path) is None
    speeds = speeds_of([request(0, 0.5), request(1, 3, concurrency=2)], compared=1)
    path = write_speeds(speeds, tmp_path)
    assert read_speeds(tmp_path) == speeds
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StoreError, match="cannot be read"):
        read_speeds(tmp_path)
