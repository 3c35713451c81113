"""The tables of a terminal of 80 columns: nothing is folded inside a word, and the size has a column of its own."""

import re
from dataclasses import replace

import pytest

from fake_runs import VARIANTS
from qiltest.calibration import Floor, Rate
from qiltest.calibration.typos import Typo
from qiltest.cli.calibrate import _tables
from qiltest.cli.main import main
from qiltest.comparison.compare import compare_runs
from qiltest.report.html.page import render_html
from qiltest.report.markdown import render_markdown
from qiltest.report.terminal.comparison import print_comparisons
from qiltest.report.terminal.table import print_run, printed
from qiltest.report.view import view
from qiltest.runs.history import record
from qiltest.text.console import SafeConsole

NAMES = ("anime-street", "movie-poster", "handwriting", "pi-number", "whiteboard")


@pytest.fixture
def run(fake, case):
    """Five cases by three variants, timed, with the speed of each."""
    built = fake(*(case(name, "some text that is not short") for name in NAMES))
    for name in NAMES:
        for variant, seconds in zip(VARIANTS, (87.4, 12.34, 6.789), strict=True):
            built.add(
                name,
                variant.name,
                "some text that is not short",
                golden=("some text that is not short",),
                seconds=seconds,
            )
    return built.build(device_name="NVIDIA H200")


def lines(run, width=80):
    return list(printed(lambda console: print_run(console, run), width=width, colour=False))


def words(shown):
    return set(" ".join(shown).split())


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_every_word_is_whole_and_every_line_fits(run, width):
    shown = lines(run, width)
    assert max(map(len, shown)) <= width
    assert {*NAMES, "256x256", "PASS", "0/22", "87.4s", "12.3s", "6.79s", "(7.08×)", "(12.9×)"} <= words(shown)
    assert "case" in " ".join(shown).split()


def test_size_and_seed_have_columns_of_their_own(run, fake, case):
    header = next(line for line in lines(run) if line.startswith("case "))
    assert header.split() == ["case", "size", "base", "8step", "4step"]
    several = fake(case("wall", "text"))
    for seed in (42, 43):
        several.add("wall", "base", "text", golden=("text",), seed=seed)
    shown = lines(several.build())
    assert next(line for line in shown if line.startswith("case ")).split() == ["case", "size", "seed", "base"]
    assert [line.split()[:3] for line in shown if line.startswith("wall ")] == [
        ["wall", "256x256", "42"],
        ["wall", "256x256", "43"],
    ]


def test_more_variants_than_fit_make_further_tables(run):
    names = [f"variant-number-{number}" for number in range(7)]
    planned = tuple(replace(run.planned[0], variant=name) for name in names)
    shown = lines(replace(run, planned=planned, results=()))
    assert max(map(len, shown)) <= 80
    headers = [line.split()[2:] for line in shown if line.startswith("case ")]
    assert len(headers) > 1
    assert [name for header in headers for name in header] == names


def test_what_a_mark_means_stands_below(run):
    disturbed = [replace(result, timing=replace(result.timing, disturbed=0.43)) for result in run.results[:2]]
    shown = [line.replace("\u00a0", " ") for line in lines(replace(run, results=(*disturbed, *run.results[2:])))]
    assert "87.4s*" in words(shown)
    assert shown[-1] == "* not comparable (CPU shared, 43 %): other work ran beside it"
    judged = replace(run.results[0].judgement, reasons=("no golden: absolute limit 1",))
    results = tuple(replace(result, judgement=judged) for result in run.results)
    shown = lines(replace(run, results=results))
    assert shown[-1] == "(1) no golden: absolute limit 1"
    assert sum("0/22 (1)" in line for line in shown) == len(NAMES)


def test_the_table_of_a_comparison_fits_80_columns(run):
    found = compare_runs(run, run, variant="base", with_variant="4step")
    shown = list(printed(lambda console: print_comparisons(console, found), width=80, colour=False))
    table = shown[: next(number for number, line in enumerate(shown) if line.startswith("all "))]
    assert max(map(len, table)) <= 80
    assert set(NAMES) <= words(table)
    assert re.search(r"^case +better +same +worse +edits +per 100 +p *$", "\n".join(table), re.MULTILINE)


def test_the_tables_of_calibrate_fit_80_columns():
    rate = Rate(found=10, of=12)
    floors = [
        Floor(
            case=name,
            reader="rapidocr",
            fingerprint="x",
            images=12,
            floor=1.5,
            mean=1.25,
            deviation=0.5,
            percentile_95=3.25,
            largest=12,
            exact_texts=rate,
            typos=dict.fromkeys((*Typo, "known"), rate),
        )
        for name in NAMES
    ]
    tables = list(_tables(floors))
    assert len(tables) == 2
    for table in tables:
        shown = list(printed(lambda console, table=table: console.print(table), width=80, colour=False))
        assert max(map(len, shown)) <= 80
        assert set(NAMES) <= words(shown)


def test_the_history_of_a_case_fits_80_columns(run, monkeypatch, capsys, tmp_path):
    record(replace(run, path=tmp_path / "runs" / "20261123-020000-000000-abcd", id="20261123-020000-000000-abcd"))
    monkeypatch.setattr("qiltest.cli.history.console", lambda: SafeConsole(width=80))
    assert main(["history", "anime-street", "--runs", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= 80
    assert {f"256x256-{name}-s42" for name in ("base", "8step", "4step")} <= words(shown)
    assert sum(line.startswith("20261123-020000-000000-abcd") for line in shown) > 1


def test_nothing_is_said_of_denoising_where_the_images_were_made_elsewhere(fake, case):
    built = fake(case("wall", "text"))
    built.add("wall", "base", error="missing: no file wall@256x256-base-s42.png")  # no image, so no recipe either
    here, there = built.build(), built.build(model="elsewhere/comfyui")
    assert "denoise time" in lines(here)[0]
    assert lines(there)[0] == "elsewhere/comfyui: edits / characters"
    tables = [render_markdown(view(one), one.path) for one in (here, there)]
    assert ["## Latency and error rate" in table for table in tables] == [True, False]
    assert not re.search("denoise|step, median|speed-up", tables[1])
    assert "| base | – | 1 |" in tables[1]
    heads = [
        re.search(r'id="overview">Overview <small>([^<]*)', render_html(view(one), one.path)) for one in (here, there)
    ]
    assert [head[1] for head in heads] == ["edits / limit; × base speed", "edits / limit"]
