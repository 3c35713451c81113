"""Speed-ups, error rates and step times: the exact numbers, and what is left out of them."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.recipe import Size
from qiltest.runs import aggregate
from qiltest.runs.aggregate import ErrorRate, Steps
from qiltest.runs.records import CaseResult

BASE = make.variant("base", steps=50, true_cfg_scale=4.0, negative_prompt=" ")
FEW = make.variant("4step", loras=(("real", None),))


def result(variant, seconds, seed=42, *, disturbed=0.0, **fields):
    timing = None if seconds is None else replace(make.timing(seconds), disturbed=disturbed)
    known = {
        "sample": make.sample(seed, variant=variant),
        "recipe": make.recipe(variant=variant),
        "cohort": make.cohort(variant=variant),
        "timing": timing,
    }
    return CaseResult(**{**known, **fields})


def run(*results):
    return make.run("a", variants=(BASE, FEW), results=results)


def scored(*texts):
    """A result whose score has texts of these (distance, length), the required ones."""
    score = replace(make.score(), texts=tuple(make.text_score(d, length=n) for d, n in texts))
    return result("4step", 1.0, score=score)


def test_a_speed_up_is_the_base_loop_over_the_variants_loop_of_the_same_sample():
    found = run(result("base", 8.0), result("base", 6.0, 7), result("4step", 0.5), result("4step", 0.25, 7))
    assert aggregate.speed_ups(found) == {"coffee@256x128-4step-s42": 16.0, "coffee@256x128-4step-s7": 24.0}


def test_a_variant_without_its_base_does_not_hide_the_speed_ups_of_the_others():
    found = run(result("4step", 0.5, 1), result("base", 8.0), result("4step", 0.5))
    assert aggregate.speed_ups(found) == {"coffee@256x128-4step-s42": 16.0}


@pytest.mark.parametrize(
    "other",
    [
        result("base", None),
        result("base", 8.0, 43),
        result("base", 8.0, recipe=make.recipe(effective=Size(512, 512))),
        result("base", 8.0, recipe=make.recipe(device="cuda")),
        result("base", 8.0, cohort=make.cohort(device_name="another CPU")),
        result("base", 8.0, recipe=None),
        result("base", 8.0, cohort=None),
    ],
    ids=["not-timed", "seed", "size", "device", "device-name", "no-recipe", "no-cohort"],
)
def test_there_is_no_speed_up_over_another_size_device_or_seed(other):
    assert aggregate.speed_ups(run(other, result("4step", 0.5))) == {}


def test_results_without_a_recipe_or_cohort_are_of_one_unknown_device():
    pair = (result("base", 8.0, cohort=None, recipe=None), result("4step", 0.5, cohort=None, recipe=None))
    assert aggregate.speed_ups(run(*pair)) == {"coffee@256x128-4step-s42": 16.0}


def test_an_image_that_was_not_timed_has_no_speed_up():
    assert aggregate.speed_ups(run(result("base", 8.0), result("4step", None))) == {}


def test_a_loop_of_no_seconds_has_no_speed_up_and_one_of_less_than_a_second_has():
    found = run(result("base", 8.0), result("4step", 0.0), result("base", 8.0, 1), result("4step", 1.0, 1))
    assert aggregate.speed_ups(found) == {"coffee@256x128-4step-s1": 8.0}


def test_a_loop_on_a_shared_cpu_has_no_speed_up_and_says_how_far_it_was_disturbed():
    found = run(
        result("base", 8.0, disturbed=0.5), result("4step", 0.5), result("base", 8.0, 1), result("4step", 0.5, 1)
    )
    assert aggregate.speed_ups(found) == {"coffee@256x128-4step-s1": 16.0}
    assert aggregate.shared_cpu(found) == {"coffee@256x128-base-s42": 0.5, "coffee@256x128-4step-s42": 0.5}


def test_the_larger_disturbance_of_a_pair_counts():
    found = run(result("base", 8.0, disturbed=0.3), result("4step", 0.5, disturbed=0.7))
    assert aggregate.shared_cpu(found)["coffee@256x128-4step-s42"] == 0.7


@pytest.mark.parametrize(("base", "known"), [(8.0, True), (None, False)])
def test_a_base_counts_as_there_once_it_is_timed(base, known):
    assert aggregate.has_base(run(result("base", base), result("4step", 0.5))) is known


def test_a_timed_image_of_another_variant_is_no_base():
    assert not aggregate.has_base(run(result("4step", 0.5)))


def test_the_median_speed_up_is_over_the_results_given():
    results = [result("4step", 0.5, seed) for seed in (1, 2, 3)]
    ratios = {results[0].id: 2.0, results[1].id: 10.0, results[2].id: 4.0, "another": 100.0}
    assert aggregate.median_speed_up(results, ratios) == 4.0
    assert aggregate.median_speed_up(results, {"another": 100.0}) is None


def test_the_rate_by_length_counts_each_text_in_the_class_that_holds_its_length():
    found = aggregate.length_rates([scored((1, 1), (2, 4), (3, 5), (1, 9)), scored((0, 40), (4, 4000), (1, 10))])
    assert found == (
        ErrorRate(distance=3, length=5, count=2),
        ErrorRate(distance=4, length=14, count=2),
        ErrorRate(distance=1, length=10, count=1),
        None,
        ErrorRate(distance=4, length=4040, count=2),
    )


def test_texts_that_are_not_required_and_results_without_a_score_are_in_no_rate():
    free = replace(make.score(), texts=(make.text_score(5, length=10, required=False),))
    assert aggregate.length_rates([result("4step", 1.0, score=free), result("4step", 1.0)]) == (None,) * 5


def test_the_rate_of_a_variant_is_pooled_over_its_scored_images():
    results = [
        result("4step", 1.0, score=make.score(3)),
        result("4step", 1.0),
        result("4step", 1.0, score=make.score(1)),
    ]
    rate = aggregate.variant_rate(results)
    assert rate == ErrorRate(distance=4, length=20, count=2)
    assert rate.value == 0.2
    assert aggregate.variant_rate([result("4step", 1.0)]) is None


def test_step_times_are_those_of_all_timed_results():
    first = replace(make.timing(), step_seconds=(0.1, 0.5))
    second = replace(make.timing(), step_seconds=(0.2, 0.3, 0.9))
    results = [result("4step", 1.0, timing=t) for t in (first, None, second)]
    assert aggregate.step_times(results) == Steps(least=0.1, median=0.3, most=0.9, count=5)
    assert aggregate.step_times([result("4step", None)]) is None


def test_the_median_loop_is_over_timed_results():
    assert aggregate.denoise_median([result("4step", s) for s in (1.0, None, 4.0, 2.0)]) == 2.0
    assert aggregate.denoise_median([result("4step", None)]) is None


def test_variants_come_with_most_forwards_first_and_only_those_that_have_results():
    few, base = result("4step", 1.0), result("base", 2.0)
    assert aggregate.by_variant(run(few, base)) == ((BASE, (base,)), (FEW, (few,)))
    assert aggregate.by_variant(run(few)) == ((FEW, (few,)),)


def test_of_two_plain_variants_without_a_group_the_one_with_most_forwards_is_the_base():
    short = make.variant("short", steps=10)
    grouped = make.variant("grouped", steps=90, group="later")
    found = make.run("a", variants=(short, BASE, grouped, FEW))
    assert aggregate.base_variant(found, "4step") == "base"
    assert aggregate.base_variant(found) == "base"
