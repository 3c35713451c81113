"""SHIP, DO NOT SHIP or CANNOT TELL."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qiltest.comparison.compare import MARGIN, compare
from qiltest.comparison.pairing import Obstacle, Pair, Pairing
from qiltest.comparison.records import Comparison, Release
from qiltest.comparison.statistics import Method
from qiltest.gate.verdict import Verdict

FEW = 199


def pairing(rows, *, length=40, **fields):
    """A pairing of rows (case, seed, edits before, edits after)."""
    pairs = tuple(
        Pair(case=case, size="256x256", seed=seed, before=before, after=after, length=length)
        for case, seed, before, after in rows
    )
    return Pairing(before="8step", after="4step", pairs=pairs, **fields)


def compared(rows, *, margin=MARGIN, length=40, **fields) -> Comparison:
    (found,) = compare([pairing(rows, length=length, **fields)], margin=margin, resamples=FEW).comparisons
    return found


def rows_of(changes, cases=11):
    """Rows over so many cases, one seed after the other; a change below 0 goes from edits to none."""
    return [(f"case-{n % cases}", n // cases, max(0, -change), max(0, change)) for n, change in enumerate(changes)]


def test_wins_ties_losses_and_rates_by_hand():
    found = compared([("a", 1, 2, 0), ("a", 2, 1, 1), ("b", 1, 0, 3), ("b", 2, 0, 0)], length=50)
    assert (found.wins, found.ties, found.losses, found.pairs) == (1, 2, 1, 4)
    assert (found.rate_before, found.rate_after) == (pytest.approx(3 / 200), pytest.approx(4 / 200))
    assert found.difference == pytest.approx(1 / 200)
    exact = found.exact
    assert (exact.both, exact.broken, exact.fixed, exact.neither) == (1, 1, 1, 1)
    assert exact.p == exact.p_holm == 1
    first, second = found.cases
    assert (first.case, first.wins, first.ties, first.losses) == ("a", 1, 1, 0)
    assert (second.case, second.wins, second.ties, second.losses) == ("b", 0, 1, 1)
    assert (first.difference, second.difference) == (pytest.approx(-0.02), pytest.approx(0.03))


def test_six_losses_to_none_are_worse_and_five_cannot_tell():
    six, five = compared(rows_of([1] * 6)), compared(rows_of([1] * 5))
    assert six.verdict is Release.DO_NOT_SHIP
    assert six.exact.p == pytest.approx(0.03125)
    assert "6 images lost it and 0 gained it, p = 0.031" in six.reasons[0]
    assert five.verdict is Release.CANNOT_TELL
    assert five.exact.p == pytest.approx(0.0625)
    assert five.plan.seeds == 2


def test_the_same_scores_on_enough_images_ship():
    found = compared(rows_of([0] * 11))
    assert found.verdict is Release.SHIP
    assert (found.interval.low, found.interval.high, found.interval.method) == (0, 0, Method.PERCENTILE)
    assert found.plan is None


def test_a_single_image_decides_nothing_and_leaves_no_nan():
    found = compared(rows_of([0]))
    assert found.verdict is Release.CANNOT_TELL
    assert found.interval is None
    assert found.reasons[0].startswith("too few images (1 image)")
    # one edit in 40 characters, in 1 - 0.025^(1/n) of images: below the margin 0.01 from n = 8 on
    assert 1 - 0.025 ** (1 / 8) < 0.01 * 40 < 1 - 0.025 ** (1 / 7)
    assert found.plan.seeds == 8


def test_many_short_texts_are_needed_to_exclude_a_small_margin():
    found = compared(rows_of([0] * 11), length=10)
    assert found.verdict is Release.CANNOT_TELL
    assert "of all images could still have one more edit" in found.reasons[0]
    # 1 - 0.025^(1/n) <= 0.1 from n = 36 on: 4 seeds of 11 images
    assert found.plan.seeds == 4
    assert compared(rows_of([0] * 44), length=10).verdict is Release.SHIP


def test_a_rate_above_the_margin_is_worse_also_where_no_text_was_exact():
    rows = [(case, seed, 5, 8 + seed) for case, seed, _, _ in rows_of([0] * 22)]
    found = compared(rows)
    assert found.exact.neither == 22
    assert found.verdict is Release.DO_NOT_SHIP
    assert "the error rate rose by more than the margin" in found.reasons[-1]
    assert found.interval.low > MARGIN


def test_the_margin_decides_what_is_not_worse():
    changes = [1, 0, 0, -1, 0, 0, 1, 0, 0, 0, 0] * 4
    assert compared(rows_of(changes), margin=0.02).verdict is Release.SHIP
    assert compared(rows_of(changes), margin=0.001).verdict is Release.CANNOT_TELL


def test_one_broken_case_is_named_though_the_others_balance_it():
    rows = [(f"case-{n}", seed, 1, seed % 3) for n in range(8) for seed in range(12)]
    rows += [("zz-broken", seed, 1, 2) for seed in range(12)]
    found = compared(rows, margin=0.5)
    assert found.verdict is Release.DO_NOT_SHIP
    # 12 to 0 is 2 / 2^12; of 9 cases
    assert found.cases[-1].p_holm == pytest.approx(9 * 2 / 2**12)
    said = "case zz-broken: 12 images worse and 0 better, p = 0.0044 (sign test, Holm-corrected over 9 tests)"
    assert found.reasons == (said,)


def test_two_comparisons_are_corrected_for():
    worse = pairing(rows_of([1] * 6))
    (alone,) = compare([worse], margin=0.5, resamples=FEW).comparisons
    both = compare([worse, pairing(rows_of([0] * 6))], margin=0.5, resamples=FEW)
    assert alone.verdict is Release.DO_NOT_SHIP
    assert both.comparisons[0].exact.p_holm == pytest.approx(2 * 0.03125)
    assert both.comparisons[0].verdict is Release.CANNOT_TELL
    assert both.comparisons[0].interval.confidence == pytest.approx(0.975)
    assert both.case_tests == 12


def test_few_cases_are_judged_by_their_images():
    assert compared(rows_of([0, 1] * 9, cases=5)).unit == "image"
    found = compared(rows_of([0, 1] * 9, cases=6))
    assert (found.unit, found.interval.units) == ("case", 6)


def test_an_image_without_a_score_keeps_a_release_back():
    error = Obstacle(id="a@1x1-s1", verdict=Verdict.ERROR, why="after: out of memory")
    other = Obstacle(id="b@1x1-s1", verdict=Verdict.INCOMPARABLE, why="different readers are not comparable")
    assert compared(rows_of([0] * 20), obstacles=(other, error)).verdict is Release.ERROR
    found = compared(rows_of([0] * 20), obstacles=(other,))
    assert found.verdict is Release.INCOMPARABLE
    assert found.reasons == ("1 of 21 images are not comparable; each is listed",)
    assert compared(rows_of([1] * 20), obstacles=(error,)).verdict is Release.DO_NOT_SHIP


def test_an_image_that_never_came_keeps_a_release_back_and_has_a_verdict_of_its_own():
    missing = Obstacle(id="a@1x1-s1", verdict=Verdict.MISSING, why="after: planned, but not generated")
    other = Obstacle(id="b@1x1-s1", verdict=Verdict.INCOMPARABLE, why="different readers are not comparable")
    error = Obstacle(id="c@1x1-s1", verdict=Verdict.ERROR, why="after: out of memory")
    found = compared(rows_of([0] * 20), obstacles=(other, missing))
    assert found.verdict is Release.MISSING
    assert found.reasons == ("1 of 22 images are missing on one side; each is listed",)
    assert compared(rows_of([0] * 20), obstacles=(error, missing)).verdict is Release.ERROR
    assert compared(rows_of([1] * 20), obstacles=(missing,)).verdict is Release.DO_NOT_SHIP


def test_no_pair_is_incomparable_and_holds_no_number():
    found = compared([], unpaired=("a@1x1-s1: only in run x, variant 4step",))
    assert found.verdict is Release.INCOMPARABLE
    assert (found.difference, found.interval, found.exact, found.rate_before) == (None, None, None, None)
    assert found.unpaired
    nothing = compare([], resamples=FEW)
    assert nothing.verdict is Release.INCOMPARABLE
    assert not nothing.passes


def test_the_worst_verdict_stands_for_all():
    good, worse = pairing(rows_of([0] * 33)), pairing(rows_of([9] * 33))
    both = compare([good, worse], resamples=FEW)
    assert [found.verdict for found in both.comparisons] == [Release.SHIP, Release.DO_NOT_SHIP]
    assert both.verdict is Release.DO_NOT_SHIP
    assert not both.passes
    assert compare([good], resamples=FEW).passes


def test_equal_bytes_are_said():
    same = pairing(rows_of([0] * 11))
    same = replace(same, pairs=tuple(replace(pair, same_image=True) for pair in same.pairs))
    (found,) = compare([same], resamples=FEW).comparisons
    assert found.same_images == 11
    assert found.reasons[1] == "all 11 images are identical on both sides"


def test_the_seeds_that_would_decide_do():
    changes = [3, 0, 0, 0, -3, 0, 0, 0, 0, 0, 0]
    seeds = compared(rows_of(changes)).plan.seeds
    assert compared(rows_of(changes)).verdict is Release.CANNOT_TELL
    assert 1 < seeds < 10
    # further seeds that differ as these did, but not always on the same case
    more = [changes[(place + 3 * seed) % 11] for seed in range(seeds) for place in range(11)]
    assert compared(rows_of(more)).verdict is Release.SHIP


def test_a_difference_on_the_margin_is_decided_by_no_number_of_seeds():
    found = compared(rows_of([2, -2] * 6, cases=12), margin=0.0)
    assert found.verdict is Release.CANNOT_TELL
    assert found.plan.seeds is None


@pytest.mark.parametrize("margin", [math.nan, math.inf, -0.01, 1.0])
def test_a_margin_that_is_no_share_is_refused(margin):
    with pytest.raises(ValueError, match="margin must be in"):
        compare([], margin=margin)


def test_a_pair_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="duplicate pair"):
        pairing([("a", 1, 0, 0), ("a", 1, 0, 1)])


edits = st.integers(0, 12)
generated = st.lists(st.tuples(st.sampled_from("abcdefgh"), edits, edits), min_size=1, max_size=24).map(
    lambda rows: [(case, seed, before, after) for seed, (case, before, after) in enumerate(rows)]
)
fast = settings(max_examples=40, deadline=None)


@fast
@given(generated)
def test_swapping_the_runs_mirrors_the_result(rows):
    there = compared(rows)
    back = compared([(case, seed, after, before) for case, seed, before, after in rows])
    assert (back.wins, back.ties, back.losses) == (there.losses, there.ties, there.wins)
    assert back.difference == -there.difference
    assert (back.rate_before, back.rate_after) == (there.rate_after, there.rate_before)
    assert (back.exact.broken, back.exact.fixed, back.exact.p) == (
        there.exact.fixed,
        there.exact.broken,
        there.exact.p,
    )
    if there.interval is not None:
        assert back.interval.low == pytest.approx(-there.interval.high, abs=1e-9)
        assert back.interval.high == pytest.approx(-there.interval.low, abs=1e-9)


@fast
@given(generated, edits)
def test_an_equal_pair_adds_a_tie_and_nothing_else(rows, same):
    before, after = compared(rows), compared([*rows, ("a", 999, same, same)])
    assert (after.wins, after.ties, after.losses) == (before.wins, before.ties + 1, before.losses)
    assert (after.exact.broken, after.exact.fixed) == (before.exact.broken, before.exact.fixed)
    assert abs(after.difference) <= abs(before.difference)


@fast
@given(generated, st.data(), st.integers(1, 40), st.sampled_from([0.0, 0.01, 0.2]))
def test_a_worse_score_never_turns_do_not_ship_into_ship(rows, data, more, margin):
    at = data.draw(st.integers(0, len(rows) - 1))
    worse = [(c, s, b, a + more * (place == at)) for place, (c, s, b, a) in enumerate(rows)]
    before, after = compared(rows, margin=margin).verdict, compared(worse, margin=margin).verdict
    assert not (before is Release.DO_NOT_SHIP and after is Release.SHIP)


@fast
@given(generated, st.randoms())
def test_the_order_of_images_decides_nothing(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = compared(rows), compared(shuffled)
    assert (one.wins, one.losses, one.difference) == (other.wins, other.losses, other.difference)
    assert one.cases == other.cases


@fast
@given(generated, st.sampled_from([0.0, 0.01, 0.5]))
def test_a_verdict_has_its_reasons_and_ship_stays_within_the_margin(rows, margin):
    found = compared(rows, margin=margin)
    assert found.reasons
    assert (found.plan is not None) == (found.verdict is Release.CANNOT_TELL)
    if found.verdict is Release.SHIP:
        assert found.interval.high <= margin
        assert found.difference + found.unseen <= margin
    if found.plan is not None and found.plan.seeds is not None:
        assert found.plan.generated < found.plan.seeds <= found.plan.limit


def test_a_number_that_is_not_finite_cannot_be_told():
    found = compared(rows_of([0] * 11))
    with pytest.raises(ValueError, match="8step against 4step is not finite"):
        replace(found, difference=math.nan)
    with pytest.raises(ValueError, match="not finite"):
        replace(found, interval=replace(found.interval, high=math.inf))


def test_a_rise_of_less_than_the_margin_that_is_shown_still_ships():
    rows = [(case, seed, 5, 5 + seed % 2) for case, seed, _, _ in rows_of([0] * 22)]
    found = compared(rows, margin=0.05)
    assert found.interval.low > 0
    assert found.verdict is Release.SHIP


def test_a_rise_that_is_shown_but_not_by_how_much_cannot_tell():
    rows = [(case, seed, 5, 5 + 4 * (place % 5 == 0)) for place, (case, seed, _, _) in enumerate(rows_of([0] * 33))]
    found = compared(rows, margin=0.018)
    assert 0 < found.interval.low < 0.018 < found.difference
    assert found.verdict is Release.CANNOT_TELL


def test_what_is_not_seen_is_half_the_error_of_one_side_by_hand():
    assert compared(rows_of([0] * 11)).unseen == pytest.approx((1 - 0.025 ** (1 / 11)) / 40)
