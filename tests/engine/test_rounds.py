"""How many timed loops an image has: as many as before where they decide something, one where one decides."""

import math

import pytest

import builders as make
from fake_generator import FakeGenerator
from qiltest.engine.loops import LOOPS, Loops, Timed, most_rounds, rounds_of
from qiltest.gate.latency import Cohort, LatencyGolden, limit_seconds


def golden(seconds):
    cohort = Cohort(
        model="m", device_name="d", dtype="bfloat16", effective="64x64", variant="4step", nfe=4,
        attention_backend="native", compiled=False, torch="2.11",
    )  # fmt: skip
    return LatencyGolden(schema=1, cohort=cohort, seconds=seconds, fastest=seconds, slowest=seconds, images=1)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.03])
def test_a_first_loop_near_the_golden_is_the_only_one(seconds):
    assert rounds_of(None, seconds=seconds, known=0, golden=golden(1.0)) == 1


@pytest.mark.parametrize("seconds", [1.05, limit_seconds(1.0), 1.5])
def test_a_first_loop_near_the_limit_or_beyond_it_is_repeated(seconds):
    assert rounds_of(None, seconds=seconds, known=0, golden=golden(1.0)) == LOOPS


def test_without_a_golden_loops_are_repeated_for_the_median():
    assert rounds_of(None, seconds=1.0, known=0, golden=None) == LOOPS


@pytest.mark.parametrize("asked", [1, 3, 7])
def test_who_asks_for_a_number_has_it_whatever_the_golden(asked):
    assert rounds_of(asked, seconds=1.0, known=0, golden=golden(1.0)) == asked


def test_a_time_that_is_no_number_never_counts_as_near():
    with pytest.raises(ValueError, match="NaN"):
        rounds_of(None, seconds=math.nan, known=0, golden=golden(1.0))


@pytest.mark.parametrize("seconds", [0.1, 1.0, 1.05, 2.5, 40.0])
@pytest.mark.parametrize("known", [0, 1, 2, 5])
def test_no_image_has_more_loops_than_it_had_before_there_was_this_rule(seconds, known):
    for reference in (None, golden(1.0)):
        assert (
            1
            <= rounds_of(None, seconds=seconds, known=known, golden=reference)
            <= most_rounds(None, seconds=seconds, known=known)
        )


def made(golden_of, known=0):
    loops = Loops(FakeGenerator(seconds=1.0), Timed(rounds=None, warms_up=False, device="cpu"), golden_of)
    return loops.make(make.recipe(), known=known)


def test_spared_loops_are_told_so_that_no_later_image_has_them():
    one = made(lambda _: golden(1.0))
    assert (len(one.loops), one.spared) == (1, LOOPS - 1)
    assert len(made(lambda _: golden(0.9), known=1 + one.spared).loops) == 1


def test_where_nobody_knows_goldens_no_loop_is_spared():
    one = made(None)
    assert (len(one.loops), one.spared) == (LOOPS, 0)
