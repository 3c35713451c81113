"""Exact tests, Holm's correction and intervals, against hand and scipy."""

import itertools
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from qiltest.comparison.sample_size import MOST_SEEDS, fewest_seeds, grown
from qiltest.comparison.statistics import (
    Method,
    difference_bounds,
    flipped_p,
    holm,
    median_bounds,
    rate_interval,
    share_bounds,
    two_sided_p,
    unseen_share,
    worse_p,
)

counts = st.integers(0, 60)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@pytest.mark.parametrize(("losses", "wins", "p"), [(5, 0, 0.0625), (6, 0, 0.03125), (0, 0, 1.0), (3, 3, 1.0)])
def test_five_losses_to_none_may_be_chance_and_six_are_not(losses, wins, p):
    assert worse_p(losses, wins) == pytest.approx(p)
    assert two_sided_p(losses, wins) == pytest.approx(p)
    assert two_sided_p(wins, losses) == pytest.approx(p)


@given(counts, counts)
def test_the_two_sided_p_is_scipys(losses, wins):
    expected = binomtest(losses, losses + wins).pvalue if losses + wins else 1.0
    assert two_sided_p(losses, wins) == pytest.approx(expected)
    if losses > wins:
        assert worse_p(losses, wins) == pytest.approx(expected)


@given(counts, counts)
def test_one_loss_more_or_one_win_less_never_raises_the_p_for_worse(losses, wins):
    assert worse_p(losses + 1, wins) <= worse_p(losses, wins) + 1e-12
    assert worse_p(losses, wins) <= worse_p(losses, wins + 1) + 1e-12


def test_holm_by_hand():
    # sorted 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, 0.5 x 1
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx((0.06, 0.04, 0.5, 0.06))
    assert holm([0.04]) == (0.04,)
    assert holm([]) == ()


@given(p_values, st.data())
def test_holm_never_lowers_a_p_and_keeps_their_order(values, data):
    adjusted = holm(values)
    assert all(p <= q <= 1 for p, q in zip(values, adjusted, strict=True))
    first, second = (data.draw(st.integers(0, len(values) - 1)) for _ in range(2))
    if values[first] <= values[second]:
        assert adjusted[first] <= adjusted[second]


@given(p_values, st.data(), st.floats(0, 1))
def test_a_smaller_p_never_raises_what_holm_makes_of_any(values, data, share):
    at = data.draw(st.integers(0, len(values) - 1))
    smaller = [value * share if index == at else value for index, value in enumerate(values)]
    assert all(p <= q + 1e-12 for p, q in zip(holm(smaller), holm(values), strict=True))


def test_equal_units_give_a_point_by_percentile_and_never_nan():
    found = rate_interval([0] * 11, [40] * 11, confidence=0.95)
    assert (found.low, found.high, found.method, found.units) == (0, 0, Method.PERCENTILE, 11)
    found = rate_interval([3, 6, 9], [30, 60, 90], confidence=0.95)
    assert (found.low, found.high, found.method) == (pytest.approx(0.1), pytest.approx(0.1), Method.PERCENTILE)


def test_one_unit_has_no_interval():
    assert rate_interval([1], [40], confidence=0.95) is None
    assert rate_interval([], [], confidence=0.95) is None


def test_an_interval_is_that_of_resampling_by_hand():
    # two units of equal length resampled: both first 1/4, one of each 1/2, both second 1/4
    found = rate_interval([0, 10], [50, 50], confidence=0.4)
    assert (found.low, found.high) == (pytest.approx(0.1), pytest.approx(0.1))
    wide = rate_interval([0, 10], [50, 50], confidence=0.95)
    assert (wide.low, wide.high) == (pytest.approx(0.0), pytest.approx(0.2))


def test_an_interval_of_many_units_is_near_the_normal_one():
    edits = [number % 5 - 2 for number in range(100)]
    found = rate_interval(edits, [10] * 100, confidence=0.95)
    half = 1.96 * math.sqrt(2) / 10 / math.sqrt(100)
    assert found.method is Method.BCA
    assert found.low == pytest.approx(-half, rel=0.08)
    assert found.high == pytest.approx(half, rel=0.08)


units = st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 50)), min_size=2, max_size=12)


@settings(max_examples=30, deadline=None)
@given(units)
@example([(7, 39), (7, 39)])
def test_an_interval_is_finite_ordered_the_same_again_and_mirrored_by_opposite_signs(data):
    edits, lengths = zip(*data, strict=True)
    found = rate_interval(edits, lengths, confidence=0.9, resamples=199)
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)
    assert found.low <= found.high
    assert found == rate_interval(edits, lengths, confidence=0.9, resamples=199)
    mirrored = rate_interval([-edit for edit in edits], lengths, confidence=0.9, resamples=199)
    assert (mirrored.low, mirrored.high) == (pytest.approx(-found.high, abs=1e-9), pytest.approx(-found.low, abs=1e-9))


@pytest.mark.parametrize("images", [1, 6, 110])
def test_the_unseen_share_is_scipys_exact_bound_for_none_of_n(images):
    exact = binomtest(0, images).proportion_ci(confidence_level=0.95, method="exact").high
    assert unseen_share(images, 0.025) == pytest.approx(exact)


@given(counts, counts)
def test_flipping_the_signs_of_single_pairs_is_the_sign_test(losses, wins):
    assert flipped_p([1] * losses + [-1] * wins + [0]) == worse_p(losses, wins)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@example([2, 1, -1])
@example([0, 0])
def test_the_p_of_clusters_is_that_of_all_their_signs(sums):
    ways = [sum(sign * abs(one) for sign, one in zip(signs, sums, strict=True)) for signs in _signs(len(sums))]
    share = sum(total >= sum(sums) for total in ways) / len(ways)
    assert flipped_p(sums) == pytest.approx(min(1, 2 * share) if any(sums) else 1.0)


def _signs(number):
    return list(itertools.product((1, -1), repeat=number))


def test_pairs_of_one_cluster_are_one_observation():
    # 40 pairs that all changed, in one cluster or in 40
    assert flipped_p([40]) == 1.0
    assert flipped_p([1] * 40) < 1e-11


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.025, 0.05]))
def test_the_bounds_of_a_share_are_scipys_exact_ones(hits, images, tail):
    hits = min(hits, images)
    exact = binomtest(hits, images).proportion_ci(confidence_level=1 - 2 * tail, method="exact")
    assert share_bounds(hits, images, tail=tail) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_no_image_bounds_no_share():
    assert share_bounds(0, 0, tail=0.05) == (0.0, 1.0)


def test_the_bounds_of_a_difference_hold_as_often_as_they_say():
    """All outcomes of ten pairs with shares 0.3 and 0.1, each with its chance."""
    more, fewer, pairs, tail = 0.3, 0.1, 10, 0.05
    above = below = 0.0
    for a in range(pairs + 1):
        for b in range(pairs + 1 - a):
            ways = math.comb(pairs, a) * math.comb(pairs - a, b)
            chance = ways * more**a * fewer**b * (1 - more - fewer) ** (pairs - a - b)
            low, high = difference_bounds(a, b, pairs, tail=tail)
            below += chance * (high < more - fewer)
            above += chance * (low > more - fewer)
    assert below <= tail
    assert above <= tail


@pytest.mark.parametrize("pairs", [36, 37, 100])
def test_pairs_without_a_difference_bound_it_by_ten_points_from_36_on(pairs):
    low, high = difference_bounds(0, 0, pairs, tail=0.05)
    assert -0.1 <= low <= 0 <= high <= 0.1
    assert difference_bounds(0, 0, 35, tail=0.05)[1] > 0.1


@pytest.mark.parametrize(("values", "bounds"), [(5, None), (6, (0, 5)), (9, (1, 7)), (12, (2, 9)), (0, None)])
def test_the_bounds_of_a_median_leave_out_what_a_fair_coin_hardly_ever_undercuts(values, bounds):
    assert median_bounds([float(value) for value in range(values)][::-1], tail=0.025) == bounds
    if bounds:
        out = bounds[0]
        assert binomtest(out, values, 0.5, alternative="less").pvalue <= 0.025
        assert binomtest(out + 1, values, 0.5, alternative="less").pvalue > 0.025


@pytest.mark.parametrize("needed", [2, 3, 7, 100, MOST_SEEDS])
def test_the_fewest_seeds_are_found(needed):
    assert fewest_seeds(1, lambda seeds: seeds >= needed) == needed


def test_no_number_of_seeds_is_named_beyond_the_limit():
    assert fewest_seeds(1, lambda seeds: seeds > MOST_SEEDS) is None
    assert fewest_seeds(MOST_SEEDS, lambda seeds: True) is None
    assert grown(3, 20, 8) == 7
