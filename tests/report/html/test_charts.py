from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.generation.families import FAMILIES
from qiltest.report import write_html
from qiltest.report.html.charts import WIDTH, Chart, charts
from qiltest.report.speeds import speeds_of
from qiltest.runs.aggregate import by_variant, median_speed_up, speed_ups
from qiltest.runs.records import Run

Fake = Callable[..., Any]
Make = Callable[..., Any]


def by_title(run: Run) -> dict[str, Chart]:
    return {chart.title: chart for chart in charts(run)}


def test_the_charts_hold_the_numbers_of_the_run(typical: Run) -> None:
    found = by_title(typical)
    assert list(found) == ["Error rate by variant", "Denoise latency", "Error rate by text length", "Step latency"]
    rates = {row[0]: row[2:] for row in found["Error rate by variant"].rows}
    assert rates == {"base": ("2", "77", "3"), "8step": ("0", "66", "2"), "4step": ("8", "44", "2")}
    latency = {row[0]: row[1:3] for row in found["Denoise latency"].rows}
    assert latency["4step"] == ("550\u00a0ms", "22×")


def test_a_longer_bar_is_a_higher_rate(typical: Run) -> None:
    elements = by_title(typical)["Error rate by variant"].elements
    bars = {shape.style: shape.x2 for shape in elements if shape.kind == "rect"}
    assert bars["v1"] < bars["v0"] < bars["v2"]
    assert bars["v0"] / bars["v2"] == pytest.approx((2 / 77) / (8 / 44), rel=0.02)


def test_nothing_is_drawn_outside_the_chart(typical: Run) -> None:
    for chart in charts(typical):
        for shape in chart.elements:
            assert 0 <= shape.x <= WIDTH
            assert 0 <= shape.y <= chart.height
            right = shape.x + shape.x2 if shape.kind == "rect" else shape.x2
            assert right <= WIDTH


def test_a_rate_of_nought_everywhere_is_a_chart_and_no_division_by_nought(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "text")
    assert by_title(run.build())["Error rate by variant"].rows == (("base", "0\u00a0%", "0", "4", "1"),)


def test_a_run_without_a_number_has_no_chart(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", error="lost", image=False)
    assert charts(run.build()) == ()


def test_a_variants_speed_up_is_the_median_over_its_images_against_the_base_wherever_it_is_shown(
    fake: Fake, case: Make
) -> None:
    run = fake(case("wall", "text"))
    # ratios 20, 5 and 3; the medians of the seconds, 10 and 2.5, would say 4
    for seed, (base, fast) in enumerate([(20.0, 1.0), (10.0, 2.0), (9.0, 3.0)]):
        run.add("wall", "base", "text", seconds=base, seed=seed)
        run.add("wall", "4step", "text", seconds=fast, seed=seed)
    run.add("wall", "4step", "text", seconds=100.0, seed=9)  # no base to compare with
    run.add("wall", "8step", "text", seconds=100.0, seed=9)
    built = run.build()
    ratios = speed_ups(built)
    by_name = {variant.name: median_speed_up(results, ratios) for variant, results in by_variant(built)}
    assert by_name == {"base": None, "8step": None, "4step": 5.0}
    assert {row[0]: row[2] for row in by_title(built)["Denoise latency"].rows} == {
        "base": "–",
        "8step": "–",
        "4step": "5×",
    }
    rows = speeds_of(built, FAMILIES[0], matrix_rate=1e15).rows
    assert {row.variant: row.speed_up for row in rows} == by_name


def test_a_latency_that_is_not_comparable_is_marked(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "text", seconds=10.0)
    run.add("wall", "4step", "text", seconds=0.5)
    plain = run.build()
    base, fast = plain.results
    noisy = replace(plain, results=(base, replace(fast, timing=replace(fast.timing, disturbed=0.43))))
    assert "500\u00a0ms · 20×" in [shape.text for shape in by_title(plain)["Denoise latency"].elements]
    chart = by_title(noisy)["Denoise latency"]
    assert "500\u00a0ms · CPU shared" in [shape.text for shape in chart.elements]
    assert "“CPU shared” marks what is not comparable" in chart.note
    assert chart.columns[-1] == "not comparable (CPU shared)"
    assert [(row[0], row[-1]) for row in chart.rows] == [("base", "0"), ("4step", "1")]


def test_a_run_without_the_base_speaks_of_no_base_speed(fake: Fake, case: Make, tmp_path: Path) -> None:
    def shown(*variants: str) -> str:
        run = fake(case("wall", "text"))
        for variant in variants:
            run.add("wall", variant, "text", seconds=1.0)
        built = run.build()
        timing = replace(built.results[-1].timing, disturbed=0.43)
        results = (*built.results[:-1], replace(built.results[-1], timing=timing))
        write_html(replace(built, results=results), tmp_path / "report.html")
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    assert "base speed" not in shown("8step", "4step")
    page = shown("base", "4step")
    for said in ("edits / limit; × base speed", "twice the base speed", "<dt>base speed</dt>", "base speed, median"):
        assert said in page


def test_without_the_base_no_variant_has_a_speed_up(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "8step", "text", seconds=2.0)
    run.add("wall", "4step", "text", seconds=1.0)
    rows = speeds_of(run.build(), FAMILIES[0], matrix_rate=1e15).rows
    assert [row.speed_up for row in rows] == [None, None]
