"""The published report's claims against runs: three answers, with the seeds that would decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import builders as make
from fake_runs import VARIANTS
from qiltest.published.claims import CLAIMS
from qiltest.published.evidence import Answer
from qiltest.published.findings import Finding, claim_lines, findings
from qiltest.published.section import published_in, published_lines
from qiltest.recipe import Size
from qiltest.runs.aggregate import base_variant, length_rates, speed_ups, step_times, variant_rate
from qiltest.runs.records import CaseResult, Run
from qiltest.suite.cases import Resolution

Fake = Callable[..., Any]
Make = Callable[..., Any]
CONFIRMED, CONTRADICTED, NOT_DECIDED = Answer.CONFIRMED, Answer.CONTRADICTED, Answer.NOT_DECIDED


def finding(run: Run, title: str) -> Finding:
    found = next(item for item in findings(run) if item.title == title)
    return replace(found, measured=found.measured.replace("\u00a0", " "))


def answer(run: Run, title: str) -> Answer:
    """The answer alone, without the search for the seeds that would decide."""
    return next(claim for claim in CLAIMS if claim.title == title).judge(run)[1].answer()


def timed(fake: Fake, case: Make, eight: float, four: float, *, cases: int = 1) -> Run:
    names = [f"wall-{number}" for number in range(cases)]
    run = fake(*(case(name, "text") for name in names))
    for number, name in enumerate(names):
        for variant, seconds in (("base", 100.0), ("8step", 100 / eight), ("4step", 100 / four)):
            run.add(name, variant, "text", seconds=seconds * (1 + number / 1000 * (variant != "base")))
    built: Run = run.build()
    return built


@pytest.mark.parametrize(
    ("eight", "four", "expected"),
    [
        (12.5, 25.0, CONFIRMED),
        (11.6, 25.4, CONFIRMED),
        (11.4, 24.0, CONTRADICTED),
        (12.5, 25.7, CONTRADICTED),
        (11.503, 25.0, NOT_DECIDED),
    ],
)
def test_the_speed_is_held_against_twelve_to_twenty_five_times(
    fake: Fake, case: Make, eight: float, four: float, expected: Answer
) -> None:
    assert answer(timed(fake, case, eight, four, cases=8), "Speed") is expected


def test_a_speed_of_one_pair_decides_nothing_and_more_seeds_would(fake: Fake, case: Make) -> None:
    found = finding(timed(fake, case, 12.5, 25.0), "Speed")
    assert (found.answer, found.seeds, found.seeds_needed) == (NOT_DECIDED, 1, 6)


def test_speeds_on_both_sides_of_a_limit_are_not_decided_by_more_seeds(fake: Fake, case: Make) -> None:
    found = finding(timed(fake, case, 11.503, 25.0, cases=8), "Speed")
    assert found.needs == (
        "1 seed drawn; no number of seeds would decide: too few cases, or cases on both sides of a limit"
    )


def test_a_speed_up_pairs_the_same_case_size_and_seed_on_the_same_device(fake: Fake, case: Make) -> None:
    run = timed(fake, case, 10.0, 20.0)
    assert {key.split("-")[2]: value for key, value in speed_ups(run).items()} == {"8step": 10.0, "4step": 20.0}
    elsewhere = replace(run.results[1], recipe=replace(run.results[1].recipe, device="cuda"))
    assert len(speed_ups(replace(run, results=(run.results[0], elsewhere, run.results[2])))) == 1


def test_a_speed_without_a_base_is_not_decided(fake: Fake, case: Make) -> None:
    run = timed(fake, case, 10.0, 20.0)
    found = finding(replace(run, results=run.results[1:]), "Speed")
    assert (found.answer, found.needs) == (NOT_DECIDED, "nothing was measured")
    assert base_variant(run) == "base"


def test_of_one_seed_nothing_about_text_is_confirmed_or_contradicted(drawn: Make) -> None:
    worst_first = {"base": 3, "8step": 2, "4step": 0}
    best_first = dict(zip(worst_first, reversed(worst_first.values()), strict=True))
    for order, verb in ((worst_first, "contradict"), (best_first, "confirm")):
        found = {one.title: one for one in findings(drawn(1, lambda c, s, v, n, order=order: order[v]))}
        assert {one.answer for one in found.values()} == {NOT_DECIDED}
        assert found["Dense text"].seeds_needed == 7
        assert found["Dense text"].needs == f"1 seed drawn; about 7 would {verb} it, if further ones come out alike"


def by_variant(base: int, eight: int, four: int) -> Callable[[str, str, str, int], int]:
    return lambda case, size, variant, seed: {"base": base, "8step": eight, "4step": four}[variant]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ((0, 1, 2), CONFIRMED),
        ((0, 2, 2), CONFIRMED),
        # within the margin of one edit per 100 characters
        ((0, 2, 1), CONFIRMED),
        ((0, 3, 1), CONTRADICTED),
        ((1, 0, 2), CONTRADICTED),
        ((1, 1, 2), NOT_DECIDED),
    ],
)
def test_the_order_on_dense_text_is_strict_at_the_base_only(
    drawn: Make, wrong: tuple[int, int, int], expected: Answer
) -> None:
    assert answer(drawn(7, by_variant(*wrong), tables=(2,)), "Dense text") is expected


def test_of_equal_images_no_number_of_seeds_shows_an_order(drawn: Make) -> None:
    found = finding(drawn(8, by_variant(1, 1, 2), tables=(2,)), "Dense text")
    assert found.seeds_needed is None
    assert found.needs == (
        "8 seeds drawn; no number of seeds would decide: no difference was measured (base has fewer edits than 8step)"
    )


def test_a_variant_that_was_not_drawn_leaves_a_claim_on_it_open(drawn: Make) -> None:
    run = drawn(8, by_variant(0, 1, 2), tables=(2,))
    two = replace(run, results=tuple(r for r in run.results if r.sample.variant != "8step"))
    found = finding(two, "Dense text")
    assert (found.answer, found.seeds_needed) == (NOT_DECIDED, None)
    assert "the run has no image by 8step" in found.needs


def test_variants_that_the_report_does_not_have_are_left_out(drawn: Make) -> None:
    run = drawn(8, by_variant(0, 1, 2), tables=(2,))
    others = tuple(replace(r, sample=replace(r.sample, variant="candidate"), score=None) for r in run.results[:3])
    assert finding(replace(run, results=(*run.results, *others)), "Dense text").measured == (
        finding(run, "Dense text").measured
    )


def test_the_numbers_behind_a_finding_are_said(drawn: Make) -> None:
    assert finding(drawn(8, by_variant(0, 1, 2), tables=(2,)), "Dense text").measured == (
        "base 0 % of characters wrong (8 images); 8step 1.0 % of characters wrong (8 images); "
        "4step 2.0 % of characters wrong (8 images); "
        "base has fewer edits than 8step: so in 8 of 8 seeds, the opposite in 0 (p = 0.0078); "
        "8step has at most 1 edit per 100 characters more than 4step: so in 8 of 8 seeds, the opposite in 0 "
        "(p = 0.0078)"
    )


@pytest.mark.parametrize(("seeds", "expected"), [(35, NOT_DECIDED), (36, CONFIRMED)])
def test_equally_well_needs_so_many_seeds_that_a_difference_of_ten_points_would_have_shown(
    drawn: Make, seeds: int, expected: Answer
) -> None:
    assert answer(drawn(seeds, by_variant(0, 0, 0), tables=(1,)), "Basic tasks") is expected


def test_one_edit_in_one_image_does_not_contradict_that_all_perform_equally_well(drawn: Make) -> None:
    def edits(case: str, size: str, variant: str, seed: int) -> int:
        return int((case, variant, seed) == ("couplets", "4step", 0))

    one = finding(drawn(1, edits, tables=(1,)), "Basic tasks")
    assert one.answer is NOT_DECIDED
    assert "4step 4 of 5 images right" in one.measured
    assert "wrong: couplets@1328x1328-4step-s0 (1 edit)" in one.measured
    assert answer(drawn(60, edits, tables=(1,)), "Basic tasks") is CONFIRMED


def test_one_scene_that_differs_contradicts_that_all_perform_equally_well(drawn: Make) -> None:
    def edits(case: str, size: str, variant: str, seed: int) -> int:
        return int((case, variant) == ("couplets", "4step") and seed % 4)

    assert answer(drawn(40, edits, tables=(1,)), "Basic tasks") is CONTRADICTED


def test_some_scenes_alone_do_not_confirm_a_claim_on_all_of_a_table(drawn: Make) -> None:
    run = drawn(40, by_variant(0, 0, 0), tables=(1,))
    some = replace(run, results=tuple(r for r in run.results if r.sample.case != "couplets"))
    found = finding(some, "Basic tasks")
    assert found.answer is NOT_DECIDED
    assert found.needs.endswith("no images by all three variants of 1 of the report's 5 cases for it")


def test_signs_are_counted_one_by_one(fake: Fake, case: Make, told: Make) -> None:
    run = fake(told(case("street", "STAR KTV", "EASY BAR"), 4))
    run.add("street", "base", "STAR KTV", "EASY BAB")
    run.add("street", "8step", "STAR KTV", "EASY BAR")
    found = finding(run.build(), "Many signs")
    assert found.measured == "base 1 of 2 signs right, 1 near; 8step 2 of 2 signs right"
    assert found.answer is NOT_DECIDED


@pytest.mark.parametrize(
    ("seeds", "wrong", "expected"),
    [
        (1, (1, 1, 1), NOT_DECIDED),
        (2, (1, 1, 1), CONFIRMED),
        (45, (1, 1, 0), NOT_DECIDED),
        (46, (1, 1, 0), CONTRADICTED),
    ],
)
def test_all_face_challenges_where_more_than_one_image_in_ten_of_each_is_wrong(
    drawn: Make, seeds: int, wrong: tuple[int, int, int], expected: Answer
) -> None:
    assert answer(drawn(seeds, by_variant(*wrong), tables=(4,)), "Many signs") is expected


def test_one_scene_in_which_a_lora_is_the_better_shows_that_it_can_be(drawn: Make) -> None:
    def edits(case: str, size: str, variant: str, seed: int) -> int:
        return int((case, variant) == ("classroom", "base"))

    # both LoRAs beat the base there: 22 tests, each 2 ** -(seeds - 1)
    assert answer(drawn(9, edits), "Variability") is NOT_DECIDED
    found = finding(drawn(10, edits), "Variability")
    assert found.answer is CONFIRMED
    assert "most clearly classroom@1328x1328, 8step: fewer in 10 of 10 seeds, more in 0" in found.measured


def test_that_a_lora_can_be_better_is_contradicted_where_it_is_shown_to_be_better_nowhere(drawn: Make) -> None:
    assert answer(drawn(41, by_variant(1, 1, 1)), "Variability") is NOT_DECIDED
    run = drawn(42, by_variant(1, 1, 1))
    assert answer(run, "Variability") is CONTRADICTED
    some = replace(run, results=tuple(r for r in run.results if r.sample.case != "couplets"))
    assert answer(some, "Variability") is NOT_DECIDED


def test_resolution_needs_two_of_them(fake: Fake, case: Make, told: Make, typical: Run) -> None:
    alone = finding(typical, "Resolution")
    assert (alone.answer, alone.measured) == (NOT_DECIDED, "no case was scored at two resolutions")
    sizes = (Size(256, 256), Size(256, 320))
    both = tuple(Resolution(size=size, tiny=size) for size in sizes)
    run = fake(told(case("shop", "3.14159265", resolutions=both), 6))
    run.add("shop", "base", "3.14159265", size=sizes[0])
    run.add("shop", "base", "3.1415926", size=sizes[1])
    found = finding(run.build(), "Resolution")
    assert (found.measured, found.answer) == ("edits by size: base: 0 at 256x256, 1 at 256x320", NOT_DECIDED)


@pytest.mark.parametrize(
    ("seeds", "worse_at", "expected"),
    [
        # what the report saw: the base at one size, a LoRA at the other
        (8, {"base": "713x1280", "8step": "", "4step": "1280x1280"}, CONFIRMED),
        (6, {"base": "713x1280", "8step": "", "4step": "1280x1280"}, NOT_DECIDED),
        (8, {"base": "713x1280", "8step": "", "4step": ""}, NOT_DECIDED),
        (50, {"base": "713x1280", "8step": "", "4step": ""}, CONTRADICTED),
        (50, {"base": "", "8step": "1280x1280", "4step": "1280x1280"}, CONTRADICTED),
    ],
)
def test_resolution_matters_where_it_does_for_the_base_and_a_lora(
    drawn: Make, seeds: int, worse_at: dict[str, str], expected: Answer
) -> None:
    run = drawn(seeds, lambda case, size, variant, seed: int(worse_at[variant] == size), tables=(6,))
    assert answer(run, "Resolution") is expected


def bad(*cases: str) -> Callable[[str, str, str, int], int]:
    """The LoRAs draw these cases wrong, the base none."""
    return lambda case, size, variant, seed: int(variant != "base" and case in cases)


MANY = ("anime-street", "capybara", "coffee-shop", "couplets", "movie-poster", "neon-street", "pi-number")


def test_the_lowest_ratio_of_bad_cases_must_hold_over_the_seeds_and_over_the_scenes(drawn: Make) -> None:
    assert answer(drawn(7, bad(*MANY)), "Bad cases") is CONFIRMED
    few_seeds = finding(drawn(6, bad(*MANY)), "Bad cases")
    assert (few_seeds.answer, few_seeds.seeds_needed) == (NOT_DECIDED, 7)
    one_seed = finding(drawn(1, bad(*MANY[:4])), "Bad cases")
    assert "no number of seeds would decide: one seed tells too little of how the scenes differ" in one_seed.needs
    few_scenes = finding(drawn(40, bad(*MANY[:4])), "Bad cases")
    assert (few_scenes.answer, few_scenes.seeds_needed) == (NOT_DECIDED, None)
    assert "too few of them differ" in few_scenes.needs
    assert "in 40 of 40 seeds, the opposite in 0 (p = 1.8e-12 by seed, 0.12 by case)" in few_scenes.measured


def test_a_lora_with_fewer_bad_cases_contradicts_it_unless_scenes_are_missing(drawn: Make) -> None:
    run = drawn(7, lambda case, size, variant, seed: int(variant != "4step" and case in MANY))
    assert answer(run, "Bad cases") is CONTRADICTED
    some = replace(run, results=tuple(r for r in run.results if r.sample.case != "classroom"))
    assert answer(some, "Bad cases") is NOT_DECIDED


@pytest.mark.parametrize(
    ("detail", "expected"),
    [((2.0, 1.0, 1.0), CONFIRMED), ((1.0, 2.0, 1.0), CONTRADICTED), ((1.0, 1.0, 1.0), NOT_DECIDED)],
)
def test_finer_hair_is_decided_over_the_seeds_against_both_loras(
    drawn: Make, detail: tuple[float, float, float], expected: Answer
) -> None:
    amounts = dict(zip(("base", "8step", "4step"), detail, strict=True))
    run = drawn(7, by_variant(0, 0, 0), tables=(3,))
    found = tuple(replace(r, health=replace(make.HEALTHY, detail=amounts[r.sample.variant])) for r in run.results)
    assert answer(replace(run, results=found), "Fine detail") is expected
    few = tuple(result for result in found if result.sample.seed < 5)
    assert answer(replace(run, results=few), "Fine detail") is NOT_DECIDED


def test_images_whose_detail_cannot_be_compared_are_said_and_not_counted(drawn: Make) -> None:
    run = drawn(2, by_variant(0, 0, 0), tables=(3,))

    def grainy(result: CaseResult) -> CaseResult:
        noise = 4.0 if result.sample.seed else 0.3
        base = result.sample.variant == "base"
        return replace(result, health=replace(make.HEALTHY, detail=3.0 if base else 1.0, noise_fine=noise))

    found = finding(replace(run, results=tuple(map(grainy, run.results))), "Fine detail")
    assert "base is finer than 8step in 1 of 2 seeds" in found.measured
    assert "base and 8step are not comparable in 1 of 2 seeds: the image with more detail also has" in found.measured
    assert "so in 1 of 1 seed" in found.measured


def test_an_empty_run_has_measured_nothing(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text")).build()
    assert {(item.answer, item.needs) for item in findings(run)} == {(NOT_DECIDED, "nothing was measured")}


def test_the_terminal_has_a_line_for_each_answer(drawn: Make, fake: Fake, case: Make) -> None:
    run = drawn(10, by_variant(0, 1, 2))
    assert list(claim_lines(findings(run))) == [
        "confirmed: dense text, bad cases",
        "contradicted: variability",
        "not decided: speed (not measured), basic tasks (12 seeds would), fine detail (not measured), "
        "many signs (46 seeds would), resolution (42 seeds would)",
    ]
    first, *rest = published_lines(run)
    assert first == "the performance report's claims (the embedded model's images, not Qwen-Image's):"
    assert rest == [f"  {line}" for line in claim_lines(findings(run))]
    assert list(published_lines(fake(case("wall", "text")).build())) == []


def test_variants_of_another_base_model_are_no_evidence(drawn: Make) -> None:
    run = drawn(10, by_variant(0, 1, 2))
    own = tuple(replace(variant, base_model="qwen/qwen-image") for variant in VARIANTS)
    assert published_in(replace(run, variants=own)) == published_in(run)
    other = tuple(replace(variant, base_model="Qwen/Qwen-Image-2512") for variant in VARIANTS)
    found = published_in(replace(run, variants=other))
    assert found is not None
    assert {(item.answer, item.needs) for item in found.findings} == {(NOT_DECIDED, "nothing was measured")}
    assert found.marks == ()
    mixed = published_in(replace(run, variants=(*own[:2], other[2])))
    assert mixed == published_in(replace(run, results=tuple(r for r in run.results if r.sample.variant != "4step")))


def test_the_terminal_says_why_no_number_of_seeds_would_decide(drawn: Make) -> None:
    (line,) = [line for line in claim_lines(findings(drawn(1, bad(*MANY[:4])))) if line.startswith("not decided: ")]
    assert (
        "bad cases (no number of seeds would decide: one seed tells too little of how the scenes differ to name one ("
    ) in line


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
