"""The history of runs: one line a run, read back as far as it is whole."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.errors import StoreError
from qiltest.report.html.charts import charts
from qiltest.runs import Run
from qiltest.runs.history import HISTORY, history, past_of, read, record


def later(run: Run, name: str) -> Run:
    """The run again, under another id and a later time."""
    return replace(run, id=name, path=run.path.parent / name, started=f"2026-11-24T02:00:{name[-2:]}+00:00")


def test_a_run_is_one_line_and_reads_back_as_it_was(typical: Run) -> None:
    path = record(typical)
    assert path == typical.path.parent / HISTORY
    assert path.read_bytes().count(b"\n") == 1
    assert path.read_bytes().isascii()
    assert read(path) == ((past_of(typical),), 0)


def test_the_file_grows_by_lines_and_the_last_of_a_run_counts(typical: Run) -> None:
    path = record(typical)
    first = path.read_bytes()
    record(replace(typical, results=typical.results[:1]))
    assert path.read_bytes().startswith(first)
    (entry,), bad = read(path)
    assert (len(entry.samples), bad) == (1, 0)


def test_a_line_that_was_cut_short_costs_itself_alone(typical: Run) -> None:
    path = record(typical)
    with path.open("ab") as file:
        file.write(b'{"schema":1,"run":"killed')
    record(later(typical, "run-02"))
    entries, bad = read(path)
    assert [entry.run for entry in entries] == [typical.id, "run-02"]
    assert bad == 1


@pytest.mark.parametrize("change", [{"schema": 1}, {"run": 7}, {"points": {"x": {}}}, {"more": 1}, {"model": None}])
def test_a_line_of_another_shape_is_left_out_and_counted(typical: Run, change: dict[str, Any]) -> None:
    path = record(typical)
    line = json.loads(path.read_bytes())
    path.write_text(json.dumps({**line, **change}) + "\n")
    assert read(path) == ((), 1)


def test_a_number_that_is_not_finite_is_left_out_and_counted(typical: Run) -> None:
    path = record(typical)
    path.write_text(path.read_text().replace('"seconds":12.0', '"seconds":NaN'))
    assert read(path) == ((), 1)


def test_no_file_is_an_empty_history(tmp_path: Path) -> None:
    assert read(tmp_path / HISTORY) == ((), 0)


@pytest.mark.parametrize("kind", ["folder", "fifo", "file above"])
def test_a_history_that_is_no_plain_file_is_said_in_one_line_and_no_report_waits_for_it(
    typical: Run, kind: str
) -> None:
    path = typical.path.parent / HISTORY
    if kind == "folder":
        path.mkdir(parents=True)
    elif kind == "fifo":
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
    else:
        (typical.path / "file").write_text("")
        path = typical.path / "file" / HISTORY
    why = {"folder": "Is a directory", "fifo": "Not a regular file", "file above": "Not a directory"}[kind]
    with pytest.raises(StoreError, match=f"the history cannot be read: {why}"):
        read(path)
    if kind != "file above":
        with pytest.raises(OSError, match="it is not a plain file"):
            record(typical)
        assert [entry.run for entry in history(typical)] == [typical.id]


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 1_000_000,
        b'{"samples":{' + b",".join(b'"a%d":{}' % number for number in range(20_000)) + b"}}",
        b'{"samples":{' + b",".join(b'"a%d":1' % number for number in range(80_000)) + b"}}",
        b'{"schema":' + b"9" * 5_000 + b"}",
        b'{"schema":2,"schema":2}',
        b"x" * (9 << 20),
        b"\xff\xfe",
    ],
    ids=["nested", "brackets", "names", "digits", "twins", "long", "bytes"],
)
def test_a_line_made_to_hurt_costs_itself_alone(typical: Run, line: bytes) -> None:
    path = record(typical)
    path.write_bytes(line + b"\n" + path.read_bytes() + line)
    entries, bad = read(path)
    assert [entry.run for entry in entries] == [typical.id]
    assert bad >= 2


def test_many_writers_lose_no_line(typical: Run) -> None:
    runs = [later(typical, f"run-{number:02}") for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record, runs))
    entries, bad = read(typical.path.parent / HISTORY)
    assert ([entry.run for entry in entries], bad) == ([run.id for run in runs], 0)


def test_only_runs_of_the_same_images_model_and_reader_up_to_now_count(typical: Run) -> None:
    now = later(typical, "run-30")
    for other in (
        typical,
        replace(later(typical, "run-10"), model="Qwen/Qwen-Image"),
        replace(later(typical, "run-11"), reader=replace(typical.reader, version="2")),
        replace(later(typical, "run-12"), results=typical.results[1:]),
        later(typical, "run-40"),
    ):
        record(other)
    assert [entry.run for entry in history(now)] == [typical.id, "run-30"]
    assert [entry.run for entry in history(now, limit=1)] == ["run-30"]


def test_a_trend_needs_two_runs(typical: Run) -> None:
    def titles(run: Run) -> list[str]:
        return [chart.title for chart in charts(run)]

    assert "Error rate over runs" not in titles(typical)
    record(typical)
    second = later(typical, "run-02")
    (chart,) = [chart for chart in charts(second) if chart.title == "Error rate over runs"]
    assert [row[0] for row in chart.rows] == [typical.id, "run-02"]
    assert chart.rows[0][1:] == ("2.6\u00a0%", "0\u00a0%", "18\u00a0%")


@pytest.mark.parametrize(
    ("first", "labels"),
    [("2026-11-23T23:00:00+00:00", ("11-23", "11-24")), ("2026-11-24T01:30:00+00:00", ("11-24 01:30", "11-24 02:00"))],
)
def test_runs_of_one_day_are_told_apart_by_their_time(typical: Run, first: str, labels: tuple[str, str]) -> None:
    record(replace(typical, started=first))
    (chart,) = [chart for chart in charts(later(typical, "run-02")) if chart.title == "Error rate over runs"]
    shown = [shape.text for shape in chart.elements if shape.style == "tick" and shape.anchor == "middle"]
    assert tuple(shown) == labels
