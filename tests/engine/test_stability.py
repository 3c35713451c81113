"""Which texts move when the same samples are drawn again, and what limits they would need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.engine.stability import SampleStability, stability_of
from qiltest.runs import Run
from qiltest.suite.cases import Case, Limits

Draws = Callable[..., list[Run]]


@pytest.fixture
def drawn(fake: Callable[..., Any], case: Callable[..., Any]) -> Draws:
    """One run per reading of a wall with two texts; `limits` are its case's."""

    def made(*readings: tuple[str, ...], limits: Limits | None = None, image: bytes | None = None) -> list[Run]:
        wall: Case = case("wall", "HAPPY HAIR", "OPEN ALL DAY")
        wall = replace(wall, limits=limits or wall.limits)
        runs = []
        for number, read in enumerate(readings):
            run = fake(wall, name=f"draw-{number}")
            run.add("wall", "base", *read, generated=image)
            runs.append(run.build())
        return runs

    return made


def only(runs: list[Run]) -> SampleStability:
    (found,) = stability_of(runs, tiny=True)
    return found


GOOD = ("HAPPY HAIR", "OPEN ALL DAY")


def test_draws_that_read_alike_are_stable(drawn: Draws) -> None:
    found = only(drawn(GOOD, GOOD, GOOD))
    assert found.stable
    assert (found.texts, found.distances, found.pairs) == ((), (0, 0, 0), 6)


def test_a_text_that_moves_is_named_with_what_was_read_and_the_limit_that_it_needs(drawn: Draws) -> None:
    found = only(drawn(GOOD, ("HAPPY HAIRR", "OPEN ALL DAY"), GOOD))
    assert not found.stable
    (text,) = found.texts
    assert (text.number, text.expected, text.least, text.most) == (1, "HAPPY HAIR", 0, 1)
    assert text.reads == (("HAPPY HAIR", 2), ("HAPPY HAIRR", 1))
    assert (found.needed_tolerance, found.needed_text_tolerance) == (1, 1)
    assert (found.pairs, found.failing_pairs) == (6, 2)
    assert found.images == 2


def test_errors_that_move_from_text_to_text_need_a_limit_though_the_sum_is_the_same(drawn: Draws) -> None:
    found = only(drawn(("HAPPY HAIRR", "OPEN ALL DAY"), ("HAPPY HAIR", "OPEN ALL DAAY")))
    assert found.distances == (1, 1)
    assert (found.needed_tolerance, found.needed_text_tolerance) == (0, 1)
    assert found.failing_pairs == 2


@pytest.mark.parametrize(
    "readings",
    [
        (GOOD, ("HAPPY HAIRR", "OPEN ALL DAY")),
        (("HAPPY HAIRR", "OPEN ALL DAY"), ("HAPPY HAIR", "OPEN ALL DAAY")),
        (GOOD, ("HAPPI HEIR", "OPEN ALL"), ("HAPPY HAIR", "OPIN ALL DAY")),
    ],
)
def test_with_the_limits_that_it_needs_every_draw_passes(drawn: Draws, readings: tuple[tuple[str, ...], ...]) -> None:
    found = only(drawn(*readings))
    assert not found.stable
    limits = Limits(tolerance=found.needed_tolerance, text_tolerance=found.needed_text_tolerance)
    assert only(drawn(*readings, limits=limits)).stable
    less = replace(limits, text_tolerance=found.needed_text_tolerance - 1)
    assert not only(drawn(*readings, limits=less)).stable


def test_one_image_that_is_read_in_two_ways_is_the_readers_fault(drawn: Draws, typical: Run) -> None:
    image = typical.results[0].image
    assert image is not None
    png = image.path.read_bytes()
    found = only(drawn(GOOD, ("HAPPY HAIRR", "OPEN ALL DAY"), image=png))
    assert (found.images, found.reader_moves) == (1, True)
    assert not only(drawn(GOOD, ("HAPPY HAIRR", "OPEN ALL DAY"))).reader_moves


def test_a_draw_that_was_not_scored_is_not_stable(fake: Callable[..., Any], case: Callable[..., Any]) -> None:
    runs = []
    for error in ("", "the device was lost\n  -> try again"):
        run = fake(case("wall", "text"), name=f"draw-{len(runs)}")
        run.add("wall", "base", "text", error=error, image=not error)
        runs.append(run.build())
    found = only(runs)
    assert (found.stable, found.distances, found.errors) == (False, (0, None), ("the device was lost",))
