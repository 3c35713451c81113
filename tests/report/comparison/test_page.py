"""The page of a paired comparison."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.cli.main import main
from qiltest.comparison.compare import compare_runs
from qiltest.comparison.records import Release
from qiltest.report.comparison.page import write_page
from qiltest.report.comparison.view import MAX_PAIRS, comparison_view
from qiltest.runs.records import Run

Fake = Callable[..., Any]
Make = Callable[..., Any]
OLD, NEW = "20261122-020000-aaaaaa", "20261123-020000-bbbbbb"


@pytest.fixture
def releases(fake: Fake, case: Make) -> tuple[Run, Run]:
    """Ten seeds of two cases, before and after: the sign lost a digit eight times, the wall fixed one letter."""
    cases = case("sign", "π≈3.14159-26535", "open"), case("wall", "通义千问")
    before, after = fake(*cases, name=OLD), fake(*cases, name=NEW)
    for seed in range(10):
        before.add("sign", "4step", "π≈3.14159-26535", "open", seed=seed)
        after.add("sign", "4step", "π≈3.1459-26535" if seed < 8 else "π≈3.14159-26535", "open", seed=seed)
        before.add("wall", "4step", "通义干问" if seed == 3 else "通义千问", seed=seed)
        after.add("wall", "4step", "通义千问", seed=seed)
    return before.build(), after.build()


@pytest.fixture
def page(releases: tuple[Run, Run], tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "page.html"
    write_page(compare_runs(*releases), *releases, path)
    return path


def test_what_decided_stands_first_and_every_pair_that_differs_is_there(releases: tuple[Run, Run]) -> None:
    found = compare_runs(*releases)
    assert found.verdict is Release.DO_NOT_SHIP
    view = comparison_view(found, *releases)
    assert view.headline == "Worse"
    (only,) = view.comparisons
    shown = [(case.case.id, [pair.pair.seed for pair in case.pairs]) for case in only.cases]
    assert shown == [("sign", list(range(8))), ("wall", [3])]
    assert {pair.kind for pair in only.cases[0].pairs} == {"WORSE"}
    assert only.cases[1].pairs[0].summary == "1 → 0 edits, gained its exact text"
    assert only.cases[0].pairs[0].summary == "0 → 1 edit, lost its exact text"


def test_the_new_side_says_what_the_old_one_read(releases: tuple[Run, Run]) -> None:
    (only,) = comparison_view(compare_runs(*releases), *releases).comparisons
    pair = only.cases[0].pairs[0]
    assert [text.golden_read for text in pair.before.texts] == [None, None]
    assert [text.golden_read for text in pair.after.texts] == ["π≈3.14159-26535", None]
    assert pair.after.wrong[0].sentences == ("“1” missing after “3.14” (character 7)",)


def test_goldens_of_the_runs_are_no_part_of_it(fake: Fake, case: Make) -> None:
    runs = [fake(case("wall", "text"), name=name) for name in (OLD, NEW)]
    for run, read in zip(runs, ("text", "texd"), strict=True):
        run.add("wall", "4step", read, golden=("tezt",))
    built = [run.build() for run in runs]
    (only,) = comparison_view(compare_runs(*built), *built).comparisons
    assert only.cases[0].pairs[0].after.texts[0].golden_read == "text"


def test_of_too_many_pairs_those_that_changed_most_are_shown_and_the_rest_is_named(fake: Fake, case: Make) -> None:
    runs = [fake(case("wall", "some text"), name=name) for name in (OLD, NEW)]
    most = MAX_PAIRS + 5
    for seed in range(most):
        runs[0].add("wall", "4step", "some text", seed=seed, generated=b"x")
        runs[1].add("wall", "4step", "s0me te" if seed == most - 1 else "s0me text", seed=seed, generated=b"y")
    built = [run.build() for run in runs]
    (only,) = comparison_view(compare_runs(*built), *built).comparisons
    pairs = only.cases[0].pairs
    assert len(pairs) == MAX_PAIRS
    assert pairs[0].pair.seed == most - 1
    assert len(only.left_out) == 5
    assert set(only.left_out).isdisjoint(pair.pair.id for pair in pairs)


def test_other_runs_than_those_compared_are_refused(releases: tuple[Run, Run], tmp_path: Path) -> None:
    found = compare_runs(*releases)
    fewer = replace(releases[1], results=releases[1].results[:-1])
    with pytest.raises(ValueError, match="is not a comparison of these runs"):
        write_page(found, releases[0], fewer, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_page_says_the_verdict_the_table_and_mcnemar_in_words(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert "<title>DO NOT SHIP: Worse · qiltest</title>" in text
    assert "Exact text: 11 in both, 8 lost, 1 gained, 0 in neither; McNemar p = 0.039" in text
    assert "case sign: 8 images worse and 0 better, p = 0.016 (sign test, Holm-corrected over 2 tests)" in text
    assert "<b>8 lost</b>" in text
    assert "Holm-corrected over 1 variant and 2 cases; margin 1.00 edits per 100 characters, significance" in text


def test_a_page_without_a_differing_pair_shows_some_to_look_at(fake: Fake, case: Make, tmp_path: Path) -> None:
    runs = [fake(case("wall", "a text that is long enough to decide"), name=name) for name in (OLD, NEW)]
    for run in runs:
        for seed in range(12):
            run.add("wall", "4step", "a text that is long enough to decide", seed=seed)
    built = [run.build() for run in runs]
    found = compare_runs(*built)
    write_page(found, *built, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert found.verdict is Release.SHIP
    assert "No image’s edits or strokes changed" in text
    assert text.count('<div class="row pair') == 6


def test_what_could_not_be_compared_is_named(fake: Fake, case: Make, tmp_path: Path) -> None:
    runs = [fake(case("wall", "text"), name=name) for name in (OLD, NEW)]
    for seed in range(3):
        runs[0].add("wall", "4step", "text", seed=seed)
        runs[1].add("wall", "4step", "text", seed=seed, error="the <device> was lost" if seed == 2 else "")
    built = [run.build() for run in runs]
    write_page(compare_runs(*built), *built, tmp_path / "page.html", problems=("run <x> is unfinished",))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "wall@256x256-s2: after: the &lt;device&gt; was lost" in text
    assert "run &lt;x&gt; is unfinished" in text
    assert "An image to be compared has no score" in text


def test_the_verb_writes_the_page_and_says_where(
    releases: tuple[Run, Run], store: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "stored"
    ids = [store(root, run) for run in releases]
    path = tmp_path / "out" / "page.html"
    assert main(["compare", *ids, "--runs", str(root), "--report", str(path)]) == 1
    assert f"page: {path}" in capsys.readouterr().out
    assert "DO NOT SHIP" in path.read_text(encoding="utf-8")
    assert main(["compare", *ids, "--runs", str(root), "--report", str(path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "DO NOT SHIP"
    assert main(["compare", *ids, "--runs", str(root), "--report", str(tmp_path)]) == 2
    assert "the page could not be written" in capsys.readouterr().err


@pytest.mark.timeout(180)
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_an_error_a_request_or_a_sideways_scroll(
    page: Path, open_page: Callable[..., Any], width: int, scheme: str
) -> None:
    opened = open_page(page, width=width, scheme=scheme)
    opened.tab.wait_for_timeout(200)
    assert opened.problems == []
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.shown() == 18
    sizes = opened.tab.evaluate(
        "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth, () => 0)))"
    )
    assert len(sizes) > 18
    assert all(sizes)


@pytest.mark.timeout(180)
def test_before_and_after_are_marked_filtered_and_flipped(page: Path, open_page: Callable[..., Any]) -> None:
    opened = open_page(page)
    tab = opened.tab
    worse = tab.locator(".cell[data-label^=after]").first
    assert worse.locator("dl.sides .gap.read").count() == 1
    assert worse.locator(".image polygon.spot").count() == 1
    tab.locator(".filters label.pass").click()
    assert opened.shown() == 2
    tab.locator(".filters button[type=reset]").click()
    worse.locator(".compare").click()
    assert [tab.locator(f"#flip .name.{side}").inner_text() for side in "ab"] == ["before: 4step", "after: 4step"]
    tab.keyboard.press("Space")
    assert tab.evaluate("document.querySelector('#flip .over').style.clipPath") == "inset(0px 0% 0px 0px)"
    tab.keyboard.press("Escape")
    tab.keyboard.press("n")
    assert tab.evaluate("document.activeElement.dataset.label") == "after: 4step"
    assert opened.problems == []


@pytest.mark.timeout(180)
def test_hostile_runs_come_out_harmless(hostile: Run, tmp_path: Path, open_page: Callable[..., Any]) -> None:
    path = tmp_path / "page.html"
    found = compare_runs(hostile, hostile, variant="8step", with_variant="base")
    write_page(
        found, hostile, hostile, path, variant="8step", with_variant="base", problems=('<script>alert("p")</script>',)
    )
    opened = open_page(path, width=390)
    opened.tab.wait_for_timeout(200)
    assert opened.problems == []
    assert opened.shown() == 2
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= 390
    text = path.read_text(encoding="utf-8")
    assert "\0" not in text
    assert "\u202e" not in text


def test_an_image_is_linked_by_its_side_and_name(page: Path) -> None:
    anchors = re.findall(r'<section class="cell[^"]*" id="([^"]+)"', page.read_text(encoding="utf-8"))
    assert anchors
    assert len(set(anchors)) == len(anchors)
    assert all(re.fullmatch(r"(before|after)-[\w-]+@\d+x\d+-\w+-s\d+", anchor) for anchor in anchors)
