"""Runs of several sources side by side: `qiltest compare --across`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.cli.main import main
from qiltest.comparison.across import Across, ratio, set_side_by_side
from qiltest.comparison.records import Release
from qiltest.errors import StoreError
from qiltest.recipe import Elsewhere
from qiltest.report.across.page import MAX_ALIKE, render_across, write_across
from qiltest.report.across.record import across_record, source_words, verdict_words
from qiltest.runs.records import CaseResult, Run

Fake = Callable[..., Any]
Make = Callable[..., Any]
TEXT = "a text that is long enough to decide"
IDS = ("20261122-020000-aaaaaa", "20261123-020000-bbbbbb", "20261124-020000-cccccc")


def elsewhere(result: CaseResult, seconds: float | None) -> CaseResult:
    """The result as that of an image made elsewhere, of which nothing was measured."""
    assert result.recipe is not None
    made = Elsewhere(source="comfyui", file="a.png", file_sha256="c" * 64, not_checked=("seed", "LoRA"))
    recipe = replace(result.recipe, elsewhere=made)
    return replace(result, recipe=recipe, timing=None, latents=None, told_seconds=seconds)


@pytest.fixture
def runs(fake: Fake, case: Make) -> tuple[Run, Run, Run]:
    """Eight seeds: generated here, made elsewhere as well, and made elsewhere with an error in each."""
    sources = [fake(case("wall", TEXT), name=name) for name in IDS]
    for seed in range(8):
        for source, read in zip(sources, (TEXT, TEXT, TEXT.replace("long", "lung")), strict=True):
            source.add("wall", "4step", read, seed=seed, seconds=2.0)
    here, *others = sources
    for source, seconds in zip(others, (1.5, None), strict=True):
        source.results = [elsewhere(result, seconds) for result in source.results]
    return (
        here.build(),
        others[0].build(model="elsewhere/comfyui"),
        others[1].build(model="elsewhere/sdcpp"),
    )


@pytest.fixture
def across(runs: tuple[Run, ...]) -> Across:
    return set_side_by_side(runs, margin=0.05)


def test_each_source_is_asked_whether_it_writes_as_well_as_the_first(across: Across) -> None:
    assert [source.label for source in across.sources] == ["tiny", "elsewhere/comfyui", "elsewhere/sdcpp"]
    assert [across.verdict(place) for place in (1, 2)] == [Release.SHIP, Release.DO_NOT_SHIP]
    assert not across.passes
    assert verdict_words(across, 1) == "SHIP: elsewhere/comfyui writes as well as tiny"
    assert verdict_words(across, 2) == "DO NOT SHIP: elsewhere/sdcpp writes worse than tiny"
    assert [one.after for one in across.found.comparisons] == ["4step of elsewhere/comfyui", "4step of elsewhere/sdcpp"]
    assert all("Holm-corrected over 2 tests" in reason for reason in across.against[1][0].reasons[:2])


def test_latencies_of_other_kinds_are_shown_and_never_divided(across: Across, runs: tuple[Run, ...]) -> None:
    assert [[(one.kind, one.seconds) for one in line.latencies] for line in across.lines] == [
        [("loop", 2.0)],
        [("told", 1.5)],
        [],
    ]
    assert [ratio(line, across.lines) for line in across.lines] == [None, None, None]
    faster = replace(runs[0], id=IDS[1], results=tuple(map(_twice_as_fast, runs[0].results)))
    found = set_side_by_side([runs[0], faster])
    assert [ratio(line, found.lines) for line in found.lines] == [None, 2.0]
    shared = replace(faster, results=tuple(map(_disturbed, faster.results)))
    assert ratio(set_side_by_side([runs[0], shared]).lines[1], found.lines) is None


def _twice_as_fast(result: CaseResult) -> CaseResult:
    assert result.timing is not None
    return replace(result, timing=replace(result.timing, denoise_seconds=1.0))


def _disturbed(result: CaseResult) -> CaseResult:
    assert result.timing is not None
    return replace(result, timing=replace(result.timing, disturbed=0.5))


def test_numbers_are_over_the_samples_that_all_sources_have(runs: tuple[Run, ...]) -> None:
    here, there, _ = runs
    fewer = replace(there, results=there.results[:5])
    found = set_side_by_side([here, fewer])
    assert [(line.images, line.exact, line.distance) for line in found.lines] == [(5, 5, 0), (5, 5, 0)]
    assert found.verdict(1) is Release.MISSING
    assert sum(row.cells[1] is None for row in found.rows) == 3
    assert not found.passes


def test_runs_that_cannot_be_set_side_by_side_are_refused(runs: tuple[Run, ...]) -> None:
    with pytest.raises(StoreError, match="fewer than two runs"):
        set_side_by_side(runs[:1])
    with pytest.raises(StoreError, match="one run is given twice"):
        set_side_by_side([runs[0], runs[0]])
    with pytest.raises(StoreError, match="no variant 'base'"):
        set_side_by_side(runs, variant="base")


def test_a_run_whose_images_all_failed_is_not_said_to_be_checked(runs: tuple[Run, ...]) -> None:
    failed = replace(runs[1], results=tuple(replace(one, recipe=None) for one in runs[1].results))
    source = set_side_by_side([runs[0], failed]).sources[1]
    assert not source.checked
    assert source_words(source).endswith("no image has a recipe")


def test_the_record_is_plain_json_and_says_what_was_not_checked(across: Across) -> None:
    record = json.loads(json.dumps(across_record(across), allow_nan=False))
    assert [source["not_checked"] for source in record["sources"]] == [[], ["seed", "LoRA"], ["seed", "LoRA"]]
    assert record["sources"][2]["words"] == "DO NOT SHIP: elsewhere/sdcpp writes worse than tiny"
    first = record["samples"][0]["images"]
    assert [image["distance"] for image in first] == [0, 0, 1]
    assert [image["kind"] for image in first] == ["loop", "told", ""]


def test_the_page_says_verdicts_numbers_and_shows_the_images_that_differ(across: Across, tmp_path: Path) -> None:
    path = tmp_path / "runs" / "across.html"
    write_across(across, path, problems=("a run was killed",))
    text = " ".join(path.read_text(encoding="utf-8").split())
    for said in (
        "elsewhere/comfyui writes as well as tiny",
        "elsewhere/sdcpp writes worse than tiny",
        "not checked: seed, LoRA",
        "as the manifest tells",
        "a run was killed",
        "The images that differ",
        "told latency",
        "0/29 · 1.5 s (told)",
        "0/29 · 2 s<",
    ):
        assert said in text
    assert text.count('class="case fail"') == 8
    assert "<script" not in text
    assert re.search(r"(?:src|href)=\"(?!data:|\./|#)", text) is None


def test_where_nothing_differs_a_few_images_are_shown_to_look_at(runs: tuple[Run, ...], tmp_path: Path) -> None:
    text = render_across(set_side_by_side(runs[:2]), tmp_path)
    assert "No image’s edit count differs" in text
    assert text.count('class="case waiting"') == MAX_ALIKE


def test_hostile_texts_do_nothing_on_the_page(hostile: Run, tmp_path: Path) -> None:
    other = replace(hostile, id=IDS[1], model=hostile.model + "!")
    text = render_across(set_side_by_side([hostile, other]), tmp_path, problems=hostile.problems)
    assert "<script" not in text
    assert "onerror=alert(1)>" not in text.replace("&gt;", "&gt")
    assert "\u202e" not in text


def test_the_command_ends_with_0_where_all_write_as_well(
    runs: tuple[Run, ...], store: Callable[[Path, Run], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [store(tmp_path / "stored", run) for run in runs]
    options = (f"--runs={tmp_path / 'stored'}", "--margin=0.05")
    page = tmp_path / "page.html"
    assert main(["compare", "--across", *names[:2], *options, f"--report={page}"]) == 0
    assert "SHIP: elsewhere/comfyui writes as well as tiny" in capsys.readouterr().out
    assert page.is_file()
    assert main(["compare", "--across", *names, *options, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "DO NOT SHIP"
    assert main(["compare", "--across", *names, *options]) == 1
    assert "elsewhere/sdcpp writes worse than tiny" in capsys.readouterr().out
    assert main(["compare", names[0], "--across", *names[1:], *options]) == 2
    assert "exclude each other" in capsys.readouterr().err
    assert main(["compare", *options]) == 2
    assert "no run is given" in capsys.readouterr().err
