from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.report.charts import charts
from qiltest.report.history import history
from qiltest.runs import Run, RunStore


@pytest.fixture
def stored_twice(tmp_path: Path, typical: Run, store: Any) -> tuple[Run, ...]:
    """The same run, stored two times."""
    root = tmp_path / "stored"
    return tuple(RunStore(root=root).load(name) for name in sorted(store(root, typical) for _ in range(2)))


def test_a_run_alone_has_no_trend(stored_twice: tuple[Run, ...]) -> None:
    first, _ = stored_twice
    assert [past.run for past in history(first)] == [first.id]
    assert "Error rate over stored runs" not in [chart.title for chart in charts(first)]


def test_the_runs_before_it_are_its_history_oldest_first(stored_twice: tuple[Run, ...]) -> None:
    first, second = stored_twice
    past = history(second)
    assert [item.run for item in past] == [first.id, second.id]
    assert {name: rate.distance for name, rate in past[0].rates} == {"base": 2, "8step": 0, "4step": 8}
    (chart,) = [chart for chart in charts(second) if chart.title == "Error rate over stored runs"]
    assert [row[0] for row in chart.rows] == [first.id, second.id]


def test_runs_of_other_pictures_models_or_readers_are_not_its_history(stored_twice: tuple[Run, ...]) -> None:
    _, second = stored_twice
    for other in (
        replace(second, planned=second.planned[1:]),
        replace(second, model="Qwen/Qwen-Image"),
        replace(second, reader=replace(second.reader, version="2")),
    ):
        assert history(other) == ()


def test_a_damaged_neighbour_does_not_stop_the_report(stored_twice: tuple[Run, ...]) -> None:
    first, second = stored_twice
    (first.path / "events.jsonl").write_bytes(b"not an event\n")
    assert [past.run for past in history(second)] == [second.id]


def test_only_the_last_runs_are_looked_back_at(stored_twice: tuple[Run, ...]) -> None:
    _, second = stored_twice
    assert [past.run for past in history(second, limit=1)] == [second.id]
