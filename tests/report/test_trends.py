"""Trends over the recorded runs: the numbers, the page, the exports."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from qiltest.cli.main import main
from qiltest.errors import StoreError
from qiltest.report.trends.charts import drift_words
from qiltest.report.trends.export import benchmark_json, json_lines
from qiltest.report.trends.page import MOST_RUNS, trends_view, write_trends
from qiltest.report.trends.series import LAST, failing, latencies, rates
from qiltest.runs import Run
from qiltest.runs.history import HistoryEntry, HistorySample, record
from qiltest.runs.records import Purpose

ONE, TWO = "wall@256x256-base-s42", "sign@256x256-4step-s42"


def run(day: int, one: float | None = 10.0, two: float | None = 1.0, **fields: Any) -> HistoryEntry:
    """A run of two images; the second one has `day` edits and fails from the third day on."""
    first = HistorySample(variant="base", status="PASS", distance=0, length=50, seconds=one)
    status = "FAIL" if day > 2 else "PASS"
    second = HistorySample(variant="4step", status=status, distance=day, length=100, seconds=two)
    known: dict[str, Any] = {
        "schema": 3,
        "run": f"run-{day:02}",
        "started": f"2026-11-{day:02}T02:00:00+00:00",
        "model": "tiny",
        "reader": "fake",
        "facts": {"device": "NVIDIA H100", "torch": "2.14.1" if day < 4 else "2.15.0"},
        "samples": {ONE: first, TWO: second},
    }
    return HistoryEntry(**{**known, **fields})


def test_rates_and_failing_images_have_one_value_a_run() -> None:
    entries = [run(1), run(2), run(3)]
    assert rates(entries) == {"base": (0.0, 0.0, 0.0), "4step": (0.01, 0.02, 0.03)}
    assert failing(entries) == (0, 0, 1)


def test_a_latency_is_held_against_the_median_of_the_last_five() -> None:
    entries = [run(day, one=seconds) for day, seconds in enumerate((10, 10, 10, 10, 10, 10, 30), start=1)]
    (base, _) = latencies(entries)
    assert (base.variant, base.device) == ("base", "NVIDIA H100")
    assert base.values == (1.0,) * 6 + (3.0,)
    assert base.medians == (None,) + (1.0,) * 6
    assert base.newest == 3.0
    assert LAST == 5


def test_runs_on_another_device_and_without_times_leave_a_gap() -> None:
    entries = [run(1), run(2, facts={"device": "a CPU"}), run(3, one=None), run(4)]
    assert latencies(entries)[0].values == (1.0, None, None, 1.0)
    assert latencies([]) == ()
    assert latencies([run(1, one=None, two=None)]) == ()


def test_a_drift_is_found_that_no_single_night_shows() -> None:
    creeping = [run(day, one=10 * (1 + 0.004 * day + 0.002 * (-1) ** day)) for day in range(1, 29)]
    (base, still) = latencies(creeping)
    assert base.drift is not None
    assert base.drift.shown
    assert 0.003 < base.drift.slope < 0.005
    assert drift_words(base).startswith("Drift: +0.3")
    assert base.newest is not None
    assert base.newest < 1.02
    assert still.drift is not None
    assert not still.drift.shown
    assert drift_words(still).startswith("No drift shown: +0.00 % per run")
    assert latencies(creeping[:7])[0].drift is None


class Checked(HTMLParser):
    """What a page loads or runs, and whether its tables, headings and images have names."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.unnamed: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in {"script", "img", "iframe", "object", "form"} or "onclick" in found or "style" in found:
            self.loads.append(tag)
        self.ids += [str(found["id"])] if "id" in found else []
        self.labels += str(found["aria-labelledby"]).split() if "aria-labelledby" in found else []
        if (tag == "svg" and "aria-labelledby" not in found) or (tag == "th" and "scope" not in found):
            self.unnamed.append(tag)


def checked(path: Path) -> tuple[str, Checked]:
    text = path.read_text(encoding="utf-8")
    found = Checked()
    found.feed(text)
    return text, found


def test_the_page_says_since_when_what_changed_and_every_number(tmp_path: Path) -> None:
    (tmp_path / "runs" / "run-05").mkdir(parents=True)
    (tmp_path / "runs" / "run-05" / "report.html").write_text("")
    path = tmp_path / "trends.html"
    write_trends([run(day) for day in range(1, 10)], path, runs=tmp_path / "runs", notes=["Only case sign."])
    text, found = checked(path)
    for said in (
        "1 of 2 images do not pass in the newest of 9 runs",
        "7 runs in a row, first 2026-11-03 (run-03); last good 2026-11-02 (run-02)",
        "torch 2.14.1 -&gt; 2.15.0",
        "Only case sign.",
        'href="./runs/run-05/report.html"',
        "Texts: error rate",
        "Images that do not pass",
        "Latency: base",
        "median of 5 before",
    ):
        assert said in text
    assert text.count('href="./runs/') == 1
    assert found.loads == []
    assert found.unnamed == []
    assert len(found.ids) == len(set(found.ids))
    assert set(found.labels) <= set(found.ids)


def test_nothing_on_the_page_runs_and_only_its_own_style_applies(tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>\u202e'
    entry = run(1, model=hostile, facts={"device": hostile, hostile: hostile})
    sample = HistorySample(variant=hostile, status="FAIL", distance=1, length=3, seconds=1.0)
    entries = [entry, run(2, model=hostile, run=hostile, samples={f"x@1x1-{hostile}": sample})]
    path = tmp_path / "trends.html"
    write_trends(entries, path, runs=tmp_path)
    text, found = checked(path)
    assert found.loads == []
    assert "\u202e" not in text
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert "default-src" in policy
    assert "unsafe" not in policy


def test_a_long_past_keeps_the_page_small(tmp_path: Path) -> None:
    samples = {f"case-{number}@1x1-base-s1": run(1).samples[ONE] for number in range(300)}
    entries = [run(1 + number % 28, run=f"run-{number}", samples=samples) for number in range(60)]
    view = trends_view(entries, tmp_path, runs=tmp_path)
    assert len(view.columns) == MOST_RUNS
    assert (len(view.images), view.left_out) == (60, 240)
    write_trends(entries, tmp_path / "trends.html", runs=tmp_path)
    assert (tmp_path / "trends.html").stat().st_size < 500_000


def test_a_page_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the page cannot be written"):
        write_trends([run(1)], tmp_path, runs=tmp_path)


def test_the_benchmark_form_has_name_unit_value_and_extra() -> None:
    found = json.loads(benchmark_json([run(1), run(3)]))
    assert {"name": f"{TWO}: text", "unit": "edits", "value": 3, "extra": found[0]["extra"]} in found
    assert {one["name"]: one["value"] for one in found} == {
        "base: error rate": 0.0,
        "4step: error rate": 3.0,
        f"{ONE}: text": 0,
        f"{ONE}: denoise": 10.0,
        f"{TWO}: text": 3,
        f"{TWO}: denoise": 1.0,
    }
    assert all(set(one) == {"name", "unit", "value", "extra"} for one in found)
    assert found[0]["extra"].startswith("run run-03\ndevice: NVIDIA H100\ntorch: 2.14.1")


def test_json_lines_have_one_image_of_one_run_each() -> None:
    lines = [json.loads(line) for line in json_lines([run(1), run(4)])]
    assert [(line["run"], line["sample"]) for line in lines] == [
        ("run-01", ONE),
        ("run-01", TWO),
        ("run-04", ONE),
        ("run-04", TWO),
    ]
    assert (lines[3]["distance"], lines[3]["facts"]["torch"], lines[3]["purpose"]) == (4, "2.15.0", "suite")


@pytest.fixture
def recorded(fake: Callable[..., Any], case: Callable[..., Any]) -> Path:
    """A folder of runs: two of the suite, and a check."""
    folder = Path()
    for number, read in enumerate(("text", "texd"), start=1):
        made = fake(case("wall", "text"), name=f"2026112{number}-020000-000000-aaaa")
        made.add("wall", "4step", read, golden=("text",))
        folder = record(made.build(started=f"2026-11-2{number}T02:00:00+00:00")).parent
    check: Run = made.build(started="2026-11-23T02:00:00+00:00", purpose=Purpose.CHECK)
    record(replace(check, id="check"))
    return folder


def test_the_command_without_a_case_says_since_when(recorded: Path, capsys: Any) -> None:
    assert main(["history", "--runs", str(recorded)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny, 2 runs; newest 20261122-020000-000000-aaaa: 0 of 1 pass"
    assert lines[1:] == [
        "since when: 1 new",
        "  new       wall@256x256-4step-s42: did not fail before; last good 2026-11-21 (20261121-020000-000000-aaaa); "
        "changed then: nothing that is recorded: same recipe, different image",
    ]


def test_the_command_writes_the_page_and_prints_the_exports(recorded: Path, tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "page.html"
    assert main(["history", "--runs", str(recorded), "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"page: {page}\n"
    assert "in the newest of 2 runs" in page.read_text()
    assert main(["history", "wall", "--runs", str(recorded), "--export", "jsonl"]) == 0
    assert [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()] == ["PASS", "FAIL"]
    assert main(["history", "--runs", str(recorded), "--export", "benchmark"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_checks_are_apart_and_named_by_file_and_hash(recorded: Path, tmp_path: Path, capsys: Any) -> None:
    assert main(["history", "wall", "--runs", str(recorded), "--json"]) == 0
    assert [one["purpose"] for one in json.loads(capsys.readouterr().out)] == ["suite", "suite"]
    assert main(["history", "wall", "--checks", "--runs", str(recorded), "--json"]) == 0
    assert [one["run"] for one in json.loads(capsys.readouterr().out)] == ["check"]
    facts = {"candidate": {"lora.source": "/loras/new.safetensors", "lora.sha256": "ab" * 32}}
    entry = run(1, purpose=Purpose.CHECK, variants=facts)
    assert entry.candidates == ("new.safetensors (abababababab)",)
    (tmp_path / "other").mkdir()
    assert main(["history", "--checks", "--runs", str(tmp_path / "other")]) == 2
    assert "no check is recorded" in capsys.readouterr().err
