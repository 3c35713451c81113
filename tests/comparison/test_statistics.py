"""Exact tests, Holm's correction and intervals, against hand and scipy."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from qiltest.comparison.statistics import Method, holm, rate_interval, two_sided_p, unseen_share, worse_p

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
