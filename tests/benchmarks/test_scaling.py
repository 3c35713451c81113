"""The scheduler alone, on measured times: what benchmarks/parallel/scaling.py prints."""

import json
from pathlib import Path

import pytest
from scaling import COUNTS, least, night

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "scaling.json"


@pytest.mark.parametrize("workers", [2, 4, 8, 16])
def test_workers_are_kept_busy_where_the_images_divide(workers):
    alone, several = (night(count, history=True)[0] for count in (1, workers))
    assert alone / several >= 0.98 * workers
    first = night(workers, history=False)[0]
    assert alone / first >= 0.97 * workers


@pytest.mark.parametrize("workers", [1, 2, 7, 30, 88])
def test_no_night_is_shorter_than_what_is_possible(workers):
    assert night(workers, history=True)[0] >= least(workers)


def test_the_committed_numbers_reach_98_percent_of_what_is_possible_where_the_bound_is_below_it():
    rows = {row["workers"]: row for row in json.loads(RESULTS.read_text())["rows"]}
    assert tuple(rows) == COUNTS
    assert all(row["later_night"] >= 0.98 * row["possible"] for row in rows.values() if row["possible"] < 0.98)
    assert [count for count in (2, 4, 8, 12, 16, 24, 32, 48) if rows[count]["later_night"] < 0.98] == []
