"""How often a claim is confirmed or contradicted by luck, and whether what is there is found: by simulation.

Each test draws runs with a fixed seed of its own, judges them as a report does, and counts the answers. Where a claim
is just not true, "confirmed" is false; where it is just true, "contradicted" is. Both are at most 5 % of the runs. The
rates, which `--log-cli-level=INFO` shows, are in docs/measurements/report-claims.md.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import builders as make
from qiltest.published.claims import CLAIMS, SPEED_RANGE
from qiltest.published.evidence import Answer, Medians
from qiltest.runs.records import CaseResult, Run

Make = Callable[..., Any]
Draw = Callable[[np.random.Generator], Callable[[str, str, str, int], int]]
#: runs of each simulation.
RUNS = 200
MOST_FALSE = 0.05
CONFIRMED, CONTRADICTED = Answer.CONFIRMED, Answer.CONTRADICTED


def rates(title: str, runs: Callable[[np.random.Generator], Run], number: int = RUNS) -> dict[Answer, float]:
    """The share of each answer among simulated runs."""
    claim = next(one for one in CLAIMS if one.title == title)
    rng = np.random.default_rng(20_260)
    found = Counter(claim.judge(runs(rng))[1].answer() for _ in range(number))
    shares = {answer: found[answer] / number for answer in Answer}
    logging.getLogger(__name__).info("%s: %s", title, {answer.value: share for answer, share in shares.items()})
    return shares


def poisson(**means: float) -> Draw:
    """Edits by variant, independent of each other."""
    names = {"base": "base", "eight": "8step", "four": "4step"}
    mean = {names[name]: value for name, value in means.items()}
    return lambda rng: lambda case, size, variant, seed: int(rng.poisson(mean[variant]))


def faults(**shares: float) -> Draw:
    """One edit in this share of the images, by variant."""
    names = {"base": "base", "eight": "8step", "four": "4step"}
    share = {names[name]: value for name, value in shares.items()}
    return lambda rng: lambda case, size, variant, seed: int(rng.random() < share[variant])


def runs_of(drawn: Make, seeds: int, draw: Draw, *tables: int) -> Callable[[np.random.Generator], Run]:
    return lambda rng: drawn(seeds, draw(rng), tables=tables or (1, 2, 3, 4, 5, 6))


@pytest.mark.parametrize("seeds", [1, 8, 20])
def test_an_order_that_is_not_there_is_neither_confirmed_nor_contradicted(drawn: Make, seeds: int) -> None:
    found = rates("Dense text", runs_of(drawn, seeds, poisson(base=1, eight=1, four=1), 2))
    assert found[CONFIRMED] + found[CONTRADICTED] <= (MOST_FALSE if seeds > 1 else 0)


def test_an_order_of_which_one_half_holds_is_not_confirmed(drawn: Make) -> None:
    # 8step is as good as 4step, the base no better than 8step: then the other way round
    half = rates("Dense text", runs_of(drawn, 20, poisson(base=1, eight=1, four=6), 2))
    assert half[CONFIRMED] <= MOST_FALSE


def test_an_order_that_is_there_is_found_with_enough_seeds(drawn: Make) -> None:
    there = poisson(base=0.5, eight=3, four=6)
    assert rates("Dense text", runs_of(drawn, 24, there, 2), 100)[CONFIRMED] >= 0.9
    reverse = poisson(base=3, eight=0.5, four=0.5)
    assert rates("Dense text", runs_of(drawn, 24, reverse, 2), 100)[CONTRADICTED] >= 0.9


def test_a_difference_just_at_the_margin_does_not_pass_for_equal(drawn: Make) -> None:
    def one_scene(rng: np.random.Generator) -> Callable[[str, str, str, int], int]:
        worse = {("couplets", "4step"): 0.1}
        return lambda case, size, variant, seed: int(rng.random() < worse.get((case, variant), 0.0))

    found = rates("Basic tasks", runs_of(drawn, 50, one_scene, 1), 80)
    assert found[CONFIRMED] <= MOST_FALSE
    assert found[CONTRADICTED] <= MOST_FALSE


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_equal_variants_are_not_called_different(drawn: Make, share: float) -> None:
    same = faults(base=share, eight=share, four=share)
    for seeds in (1, 20):
        assert rates("Basic tasks", runs_of(drawn, seeds, same, 1), 80)[CONTRADICTED] <= MOST_FALSE


def test_equal_variants_are_found_equal_and_unequal_ones_unequal_with_enough_seeds(drawn: Make) -> None:
    nearly_faultless = faults(base=0.005, eight=0.005, four=0.005)
    assert rates("Basic tasks", runs_of(drawn, 120, nearly_faultless, 1), 20)[CONFIRMED] >= 0.9
    worse = faults(base=0.02, eight=0.02, four=0.6)
    assert rates("Basic tasks", runs_of(drawn, 40, worse, 1), 40)[CONTRADICTED] >= 0.9


@pytest.mark.parametrize("seeds", [1, 8, 60])
def test_faults_in_one_image_of_ten_are_neither_called_a_challenge_nor_none(drawn: Make, seeds: int) -> None:
    found = rates("Many signs", runs_of(drawn, seeds, faults(base=0.1, eight=1.0, four=1.0), 4))
    assert found[CONFIRMED] <= MOST_FALSE
    assert found[CONTRADICTED] <= MOST_FALSE


def test_a_challenge_is_found_with_few_seeds(drawn: Make) -> None:
    hard = faults(base=0.7, eight=0.8, four=0.9)
    assert rates("Many signs", runs_of(drawn, 8, hard, 4), 100)[CONFIRMED] >= 0.9


@pytest.mark.parametrize("seeds", [1, 12])
def test_among_many_scenes_the_luckiest_does_not_show_that_a_lora_can_be_better(drawn: Make, seeds: int) -> None:
    same = poisson(base=1, eight=1, four=1)
    assert rates("Variability", runs_of(drawn, seeds, same), 100)[CONFIRMED] <= MOST_FALSE


def test_one_scene_in_which_a_lora_is_better_is_found(drawn: Make) -> None:
    def one_scene(rng: np.random.Generator) -> Callable[[str, str, str, int], int]:
        return lambda case, size, variant, seed: int(
            rng.poisson(3.0 if (case, variant) == ("classroom", "base") else 0.3)
        )

    assert rates("Variability", runs_of(drawn, 16, one_scene), 40)[CONFIRMED] >= 0.9


@pytest.mark.parametrize("seeds", [1, 12])
def test_sizes_that_do_not_matter_or_matter_for_the_base_alone_are_not_called_a_difference(
    drawn: Make, seeds: int
) -> None:
    def base_alone(rng: np.random.Generator) -> Callable[[str, str, str, int], int]:
        return lambda case, size, variant, seed: int(rng.poisson(1 + 4 * (variant == "base" and size == "713x1280")))

    nowhere = rates("Resolution", runs_of(drawn, seeds, poisson(base=1, eight=1, four=1), 6))
    assert nowhere[CONFIRMED] + nowhere[CONTRADICTED] <= MOST_FALSE
    assert rates("Resolution", runs_of(drawn, seeds, base_alone, 6))[CONFIRMED] <= MOST_FALSE


def test_sizes_that_matter_are_found(drawn: Make) -> None:
    def both(rng: np.random.Generator) -> Callable[[str, str, str, int], int]:
        worse = {("base", "713x1280"), ("4step", "1280x1280")}
        return lambda case, size, variant, seed: int(rng.poisson(2.5 if (variant, size) in worse else 0.3))

    assert rates("Resolution", runs_of(drawn, 20, both, 6), 100)[CONFIRMED] >= 0.9


@pytest.mark.parametrize("seeds", [1, 12])
def test_scenes_that_suit_one_variant_by_luck_do_not_show_the_lowest_ratio(drawn: Make, seeds: int) -> None:
    """Each scene suits each variant as it happens, with every seed: more seeds show that ever more clearly."""

    def by_scene(rng: np.random.Generator) -> Callable[[str, str, str, int], int]:
        shares: dict[tuple[str, str], float] = {}
        return lambda case, size, variant, seed: int(
            rng.random() < shares.setdefault((case, variant), float(rng.beta(0.3, 0.6)))
        )

    found = rates("Bad cases", runs_of(drawn, seeds, by_scene), 120)
    assert found[CONFIRMED] + found[CONTRADICTED] <= (MOST_FALSE if seeds > 1 else 0)


def test_seeds_that_suit_one_variant_by_luck_do_not_show_the_lowest_ratio(drawn: Make) -> None:
    """The same noise is good or bad for a variant in all scenes."""

    def by_seed(rng: np.random.Generator) -> Callable[[str, str, str, int], int]:
        shares: dict[tuple[int, str], float] = {}
        return lambda case, size, variant, seed: int(
            rng.random() < shares.setdefault((seed, variant), float(rng.beta(0.3, 0.6)))
        )

    found = rates("Bad cases", runs_of(drawn, 8, by_seed), 120)
    assert found[CONFIRMED] + found[CONTRADICTED] <= MOST_FALSE


def test_the_lowest_ratio_is_found_where_most_scenes_bear_it_out(drawn: Make) -> None:
    lowest = faults(base=0.1, eight=0.4, four=0.5)
    assert rates("Bad cases", runs_of(drawn, 12, lowest), 40)[CONFIRMED] >= 0.9


def test_hair_that_is_as_fine_is_not_called_finer(drawn: Make) -> None:
    empty = drawn(10, lambda case, size, variant, seed: 0, tables=(3,))

    def measured(rng: np.random.Generator, ahead: float = 0.0) -> Run:
        def detail(result: CaseResult) -> float:
            return float(np.exp(rng.normal(ahead * (result.sample.variant == "base"), 0.4)))

        found = (replace(r, health=replace(make.HEALTHY, detail=detail(r))) for r in empty.results)
        return replace(empty, results=tuple(found))

    found = rates("Fine detail", measured)
    assert found[CONFIRMED] + found[CONTRADICTED] <= MOST_FALSE
    assert rates("Fine detail", lambda rng: measured(rng, 2.0), 100)[CONFIRMED] >= 0.9


@pytest.mark.parametrize("cases", [6, 10])
def test_a_speed_just_at_a_limit_is_neither_confirmed_nor_contradicted(cases: int) -> None:
    """The judgement of the medians alone: cases whose speed-up lies around the lower limit."""
    rng, found = np.random.default_rng(20_260), Counter[Answer]()
    low, high = SPEED_RANGE[0] - 0.5, SPEED_RANGE[1] + 0.5
    for _ in range(RUNS * 2):
        values = tuple((name, tuple(rng.normal(mean, 0.3, cases))) for name, mean in (("8step", low), ("4step", 20.0)))
        found[Medians(low=low, high=high, values=values, by_case=True, seeds=1).answer()] += 1
    logging.getLogger(__name__).info("Speed, %d cases: %s", cases, found)
    assert found[CONFIRMED] + found[CONTRADICTED] <= RUNS * 2 * MOST_FALSE
