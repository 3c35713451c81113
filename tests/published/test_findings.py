from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.published.findings import Agreement, findings, report_marks, right
from qiltest.recipe import Size
from qiltest.runs.aggregate import base_variant, length_rates, speed_ups, step_times, variant_rate
from qiltest.runs.records import Run
from qiltest.suite.cases import Resolution

Fake = Callable[..., Any]
Make = Callable[..., Any]


def finding(run: Run, title: str) -> tuple[str, Agreement]:
    found = next(item for item in findings(run) if item.title == title)
    return found.measured.replace("\u00a0", " "), found.agreement


def timed(fake: Fake, case: Make, base: float, eight: float, four: float) -> Run:
    run = fake(case("wall", "text"))
    for variant, seconds in (("base", base), ("8step", eight), ("4step", four)):
        run.add("wall", variant, "text", seconds=seconds)
    return run.build()


@pytest.mark.parametrize(
    ("eight", "four", "agreement"),
    [
        (100 / 12.4, 100 / 24.8, Agreement.AGREES),
        (100 / 11.6, 100 / 25.4, Agreement.AGREES),
        (100 / 11.4, 100 / 24.0, Agreement.PARTLY),
        (100 / 5.0, 100 / 26.0, Agreement.DIFFERS),
    ],
)
def test_the_speed_is_held_against_twelve_to_twenty_five_times(
    fake: Fake, case: Make, eight: float, four: float, agreement: Agreement
) -> None:
    assert finding(timed(fake, case, 100.0, eight, four), "Speed")[1] is agreement


def test_a_speed_up_pairs_the_same_case_size_and_seed_on_the_same_device(fake: Fake, case: Make) -> None:
    run = timed(fake, case, 10.0, 1.0, 0.5)
    assert {key.split("-")[1]: value for key, value in speed_ups(run).items()} == {"8step": 10.0, "4step": 20.0}
    elsewhere = replace(run.results[1], recipe=replace(run.results[1].recipe, device="cuda"))
    assert len(speed_ups(replace(run, results=(run.results[0], elsewhere, run.results[2])))) == 1


def test_a_speed_without_a_base_is_not_measured(fake: Fake, case: Make) -> None:
    run = timed(fake, case, 10.0, 1.0, 0.5)
    assert finding(replace(run, results=run.results[1:]), "Speed")[1] is Agreement.NOT_MEASURED
    assert base_variant(run) == "base"


def dense(fake: Fake, case: Make, told: Make, *wrong: int) -> Run:
    run = fake(told(case("board", "abcdefghijklmnopqrst"), 2))
    for variant, amount in zip(("base", "8step", "4step"), wrong, strict=True):
        run.add("board", variant, "X" * amount + "abcdefghijklmnopqrst"[amount:])
    return run.build()


@pytest.mark.parametrize(
    ("wrong", "agreement"),
    [
        ((0, 1, 2), Agreement.AGREES),
        ((0, 1, 1), Agreement.AGREES),
        ((0, 0, 1), Agreement.PARTLY),
        ((2, 1, 0), Agreement.DIFFERS),
    ],
)
def test_the_order_on_dense_text_is_strict_at_the_base_only(
    fake: Fake, case: Make, told: Make, wrong: tuple[int, ...], agreement: Agreement
) -> None:
    assert finding(dense(fake, case, told, *wrong), "Dense text")[1] is agreement


def test_the_numbers_behind_a_finding_are_said(fake: Fake, case: Make, told: Make) -> None:
    said, _ = finding(dense(fake, case, told, 0, 1, 2), "Dense text")
    assert said == (
        "base 0 % of characters wrong (1 image); 8step 5.0 % of characters wrong (1 image); "
        "4step 10 % of characters wrong (1 image)"
    )


def test_signs_are_counted_one_by_one(fake: Fake, case: Make, told: Make) -> None:
    run = fake(told(case("street", "STAR KTV", "EASY BAR"), 4))
    run.add("street", "base", "STAR KTV", "EASY BAB")
    run.add("street", "8step", "STAR KTV", "EASY BAR")
    assert finding(run.build(), "Many signs") == (
        "base 1 of 2 signs right, 1 near; 8step 2 of 2 signs right",
        Agreement.PARTLY,
    )


def test_a_variant_that_beats_the_base_bears_out_variability(typical: Run) -> None:
    said, agreement = finding(typical, "Variability")
    assert agreement is Agreement.AGREES
    assert "classroom@256x256-8step-s42 (0 against 1)" in said


def test_resolution_needs_two_of_them(fake: Fake, case: Make, told: Make, typical: Run) -> None:
    assert finding(typical, "Resolution")[1] is Agreement.NOT_MEASURED
    sizes = (Size(256, 256), Size(256, 320))
    both = tuple(Resolution(size=size, tiny=size) for size in sizes)
    run = fake(told(case("shop", "3.14159265", resolutions=both), 6))
    run.add("shop", "base", "3.14159265", size=sizes[0])
    run.add("shop", "base", "3.1415926", size=sizes[1])
    said, agreement = finding(run.build(), "Resolution")
    assert (said, agreement) == ("edits by size: base: 0 at 256x256, 1 at 256x320", Agreement.AGREES)


def test_an_empty_run_has_measured_nothing(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text")).build()
    assert {item.agreement for item in findings(run)} == {Agreement.NOT_MEASURED}
    assert report_marks(run) == ()


def test_each_mark_of_the_report_stands_beside_the_measured_one(typical: Run) -> None:
    found = {mark.sample.split("-s42")[0]: mark.agreement for mark in report_marks(typical)}
    assert found == {
        "coffee-shop@256x256-base": Agreement.AGREES,
        "coffee-shop@256x256-8step": Agreement.AGREES,
        "classroom@256x256-base": Agreement.AGREES,
        "classroom@256x256-8step": Agreement.AGREES,
    }


def test_a_mark_that_the_report_does_not_give_is_not_held_against_it(fake: Fake, case: Make, told: Make) -> None:
    run = fake(told(case("board", "text"), 2, base=None))
    run.add("board", "base", "text")
    (mark,) = report_marks(run.build())
    assert (mark.said, mark.measured, mark.agreement) == (None, True, Agreement.NOT_MEASURED)


def test_what_the_reader_alone_gets_wrong_does_not_make_an_image_wrong(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "wonderful"))
    assert right(run.add("wall", "base", "wonderfu1", noise_floor=1.0)) is True
    assert right(run.add("wall", "8step", "wonderfu1", noise_floor=0.0)) is False
    assert right(run.add("wall", "4step", error="lost")) is None


def test_rates_pool_edits_over_characters(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "abcd", "abcdefghij"))
    run.add("wall", "base", "abcX", "abcdefghij")
    rate = variant_rate(run.results)
    assert rate is not None
    assert (rate.distance, rate.length, rate.value) == (1, 14, 1 / 14)
    by_length = length_rates(run.results)
    assert [None if item is None else (item.distance, item.count) for item in by_length] == [
        (1, 1),
        None,
        (0, 1),
        None,
        None,
    ]


def test_step_times_span_all_images(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "abcd"))
    run.add("wall", "4step", "abcd", seconds=4.0)
    run.add("wall", "4step", "abcd", seconds=8.0, seed=43)
    steps = step_times(run.results)
    assert steps is not None
    assert (steps.least, steps.median, steps.most, steps.count) == (1.0, 1.5, 2.0, 8)
    assert step_times(()) is None
