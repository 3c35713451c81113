"""Which image comes first in a report, which worker is told to be slow, and which variant a speed refers to."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.gate.verdict import Verdict
from qiltest.runs.aggregate import base_variant, has_base, speed_ups
from qiltest.runs.history import HistoryEntry, HistorySample
from qiltest.runs.made_on import made_on_lines
from qiltest.runs.records import CaseResult, MadeOn
from qiltest.runs.status import Status, severity
from qiltest.runs.streaks import FLAKY, Standing, streaks_of


def judged(verdict, distance, limit=0, edits=None):
    judgement = make.judgement(verdict, distance=distance, limit=limit)
    return CaseResult(sample=make.sample(), judgement=judgement, score=None if edits is None else make.score(edits))


@pytest.mark.parametrize(
    ("result", "key"),
    [
        (CaseResult(sample=make.sample(), error="lost"), (Status.ERROR.rank, 0, 0)),
        (judged(Verdict.MISSING, None), (Status.MISSING.rank, 0, 0)),
        (judged(Verdict.FAIL, 5, limit=2, edits=7), (Status.FAIL.rank, -3, -7)),
        (judged(Verdict.NEW, 5, limit=None, edits=5), (Status.NEW.rank, -5, -5)),
        (judged(Verdict.PASS, 1, limit=2, edits=1), (Status.PASS.rank, 1, -1)),
    ],
    ids=["error", "missing", "above its limit", "without a limit", "below its limit"],
)
def test_the_worst_status_comes_first_then_what_is_farther_above_its_limit_then_more_edits(result, key):
    assert severity(result) == key


FIRST, SECOND = MadeOn(worker=1, host="a"), MadeOn(worker=2, host="b")
OTHER = make.gpu_cohort(variant="8step")


def made(worker, seconds, seed, **fields):
    timing = None if seconds is None else make.timing(seconds)
    known = {"sample": make.sample(seed), "timing": timing, "cohort": make.gpu_cohort(), "made_on": worker}
    return CaseResult(**{**known, **fields})


def told(*results):
    """What is told of each worker behind its number of images."""
    found = made_on_lines(make.run("r", results=results))
    return [line.partition(" image")[2].removeprefix("s") for line in found]


def usual(**fields):
    return [made(FIRST, 2.0, seed, **fields) for seed in range(3)]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (2.1, ""),
        (1.9, ""),
        (4.0, "; 100 % slower than its cohort (4step at 1328x1328)"),
        (1.0, "; 50 % faster than its cohort (4step at 1328x1328)"),
    ],
)
def test_a_worker_is_told_by_how_much_it_is_off_and_not_below_8_percent(seconds, said):
    assert told(*usual(), made(SECOND, seconds, 9)) == ["", said]


def test_of_two_cohorts_the_one_that_a_worker_is_farther_off_in_is_told():
    off = [
        *usual(), made(SECOND, 4.0, 9), *usual(cohort=OTHER), made(SECOND, 3.0, 10, cohort=OTHER),
    ]  # fmt: skip
    assert told(*off)[1] == "; 100 % slower than its cohort (4step at 1328x1328)"
    alike = [*usual(), made(SECOND, 4.0, 9), *usual(cohort=OTHER), made(SECOND, 4.0, 10, cohort=OTHER)]
    assert told(*alike)[1] == "; 100 % slower than its cohort (4step at 1328x1328)"


@pytest.mark.parametrize(
    "other",
    [
        {"timing": None},
        {"cohort": None},
        {"made_on": None},
        {"timing": replace(make.timing(40.0), disturbed=0.5)},
        {"timing": replace(make.timing(40.0), disturbed=0.5), "cohort": None},
        {"timing": replace(make.timing(40.0), disturbed=0.5), "made_on": None},
    ],
    ids=["not timed", "no cohort", "no worker", "shared CPU", "shared CPU, no cohort", "shared CPU, no worker"],
)
def test_a_loop_that_compares_with_nothing_says_nothing_of_a_worker(other):
    assert told(*usual(), made(SECOND, 2.0, 8), *(made(SECOND, 40.0, seed, **other) for seed in (9, 10))) == ["", ""]


def test_the_names_of_hosts_and_devices_are_shown_up_to_60_characters():
    worker = MadeOn(worker=1, host="h" * 62, gpu="g" * 63)
    (line,) = made_on_lines(make.run("r", results=(made(worker, 1.0, 1),)))
    assert line == (f"worker 1 on {'h' * 60} […2 more characters], {'g' * 60} […3 more characters]: 1 image")


def plain(name, base=None, steps=50, **fields):
    return make.variant(name, steps=steps, true_cfg_scale=4.0, negative_prompt=" ", base_model=base, **fields)


def few(name, base=None, **fields):
    return make.variant(name, base_model=base, loras=(("real", None),), **fields)


@pytest.mark.parametrize(
    ("variants", "base"),
    [
        ((plain("unnamed", steps=60), plain("own", "A"), few("4step", "A")), "unnamed"),
        ((plain("unnamed", steps=40), plain("own", "A"), few("4step", "A")), "own"),
        ((plain("unnamed"), plain("own", "A"), few("4step", "A")), "unnamed"),
        ((plain("own", "A"), plain("unnamed"), few("4step", "A")), "own"),
        ((plain("unnamed"), few("4step", "A")), "unnamed"),
        ((plain("other", "B"), few("4step", "A")), None),
    ],
)
def test_a_variant_without_a_base_model_may_be_the_base_of_any_by_forwards_then_by_order(variants, base):
    assert base_variant(make.run("r", variants=variants), "4step") == base


def test_without_a_variant_that_it_is_for_the_base_of_no_group_counts():
    variants = (plain("of-a-group", steps=60, group="later"), plain("plain"))
    assert base_variant(make.run("r", variants=variants)) == "plain"


def timed(variant, seconds, **fields):
    known = {
        "sample": make.sample(variant=variant),
        "timing": make.timing(seconds),
        "recipe": make.recipe(variant=variant),
        "cohort": make.cohort(variant=variant),
    }
    return CaseResult(**{**known, **fields})


def test_each_variant_is_timed_against_the_base_of_its_own_model_and_group():
    variants = (
        plain("a", "A", steps=60), plain("b", "B"), plain("a-later", "A", group="later", steps=40),
        few("4-b", "B"), few("4-later", "A", group="later"),
    )  # fmt: skip
    results = [timed("a", 60.0), timed("b", 8.0), timed("a-later", 6.0), timed("4-b", 2.0), timed("4-later", 2.0)]
    run = make.run("r", variants=variants, results=tuple(results))
    assert speed_ups(run) == {timed("4-b", 0).id: 4.0, timed("4-later", 0).id: 3.0}
    assert has_base(run)


def test_a_variant_that_has_no_base_has_no_speed_up_beside_one_that_has():
    variants = (plain("a", "A"), few("4-a", "A"), few("4-b", "B"))
    run = make.run("r", variants=variants, results=(timed("4-b", 1.0), timed("a", 8.0), timed("4-a", 2.0)))
    assert speed_ups(run) == {timed("4-a", 0).id: 4.0}


def night(number, **statuses):
    """A recorded run of these images."""
    samples = {
        name: HistorySample(
            variant="base", status=status, distance=0, length=8, seconds=1.0, recipe="a", golden="g", image="i"
        )
        for name, status in statuses.items()
    }
    return HistoryEntry(
        schema=3, run=f"r{number}", started=f"2026-11-{number:02}T02:00:00+00:00", model="tiny", reader="fake",
        samples=samples,
    )  # fmt: skip


def test_what_fails_anew_comes_before_what_failed_before_and_then_names_decide():
    nights = [
        night(1, b="FAIL", a="PASS", d="PASS", c="PASS"),
        night(2, b="FAIL", a="PASS", d="FAIL", c="FAIL"),
    ]
    found = [(one.sample, one.standing) for one in streaks_of(nights)]
    assert found == [("c", Standing.NEW), ("d", Standing.NEW), ("b", Standing.RECURRING)]


def test_an_image_is_flaky_from_its_third_change_on():
    flaky, steady = ["FAIL", "PASS", "FAIL", "PASS", "PASS"], ["PASS", "FAIL", "PASS", "PASS"]
    (found,) = streaks_of([night(number, a=status) for number, status in enumerate(flaky, start=1)])
    assert (found.standing, found.flips) == (Standing.FLAKY, FLAKY)
    assert streaks_of([night(number, a=status) for number, status in enumerate(steady, start=1)]) == ()


def test_what_is_fixed_says_what_changed_since_it_failed_last():
    nights = [
        replace(night(number, a=status), facts={"torch": f"2.{number}"})
        for number, status in enumerate(["PASS", "PASS", "FAIL", "PASS"], start=1)
    ]
    (found,) = streaks_of(nights)
    assert (found.standing, found.changed) == (Standing.FIXED, ("torch 2.3 -> 2.4",))
