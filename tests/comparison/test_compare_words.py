"""What a comparison says, and the seeds that it asks for, number by number."""

from dataclasses import replace
from itertools import pairwise

import pytest

from qiltest.comparison import compare as paired
from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Obstacle, Pair, Pairing
from qiltest.comparison.records import Release
from qiltest.comparison.sample_size import MOST_SEEDS, Seen, plan
from qiltest.comparison.statistics import Interval, Method, rate_interval, unseen_share, worse_p
from qiltest.gate.verdict import Verdict


def pairing(changes, *, cases=1, length=100, before=0, **fields):
    pairs = tuple(
        Pair(
            case=f"case-{n % cases}",
            size="256x256",
            seed=n // cases,
            before=before,
            after=before + change,
            length=length,
        )
        for n, change in enumerate(changes)
    )
    return Pairing(before="8step", after="4step", pairs=pairs, **fields)


def compared(*pairings, margin=0.01):
    return compare(pairings, margin=margin, resamples=199)


def one(changes, **fields):
    (found,) = compared(pairing(changes, **fields)).comparisons
    return found


def test_ship_says_change_interval_and_margin():
    found = one([0] * 8)
    assert found.verdict is Release.SHIP
    assert found.reasons == (
        "no worse within the margin: +0.00 edits per 100 characters, 95 % interval +0.00 to +0.00, margin 1.00",
    )
    assert (found.before, found.after, found.unit, found.plan) == ("8step", "4step", "image", None)


def test_the_confidence_and_the_tests_grow_with_the_comparisons():
    both = compared(pairing([1] * 12), pairing([0] * 12)).comparisons
    assert both[0].reasons[0] == (
        "exact text: 12 images lost it and 0 gained it, p = 0.00098 (McNemar, Holm-corrected over 2 tests)"
    )
    assert (
        both[0].reasons[1]
        == "case case-0: 12 images worse and 0 better, p = 0.00098 (sign test, Holm-corrected over 2 tests)"
    )
    assert "97.5 % interval" in both[1].reasons[0]
    assert both[1].interval.confidence == pytest.approx(0.975)


def test_a_rise_above_the_margin_says_the_interval():
    found = one([3, 4] * 4, before=1)
    assert found.verdict is Release.DO_NOT_SHIP
    assert found.reasons[-1].startswith(
        "the error rate rose by more than the margin: +3.50 edits per 100 characters, 95 % interval +3."
    )
    assert found.reasons[-1].endswith(", margin 1.00")


def test_one_image_has_no_interval_and_is_too_few():
    found = one([1])
    assert found.verdict is Release.CANNOT_TELL
    assert found.interval is None
    assert found.reasons == (
        "too few images (1 image): even if every one were worse, it could be chance",
        "the change may be above the margin: +1.00 edits per 100 characters, no interval, margin 1.00",
        "after 1 image, up to 98% of all images could still have one more edit (+0.97 edits per 100 characters)",
    )


def test_a_gain_is_shown_with_its_sign():
    found = one([-1] * 8, before=1)
    assert found.verdict is Release.SHIP
    assert "-1.00 edits per 100 characters, 95 % interval -1.00 to -1.00" in found.reasons[0]


@pytest.mark.parametrize(
    ("kind", "release", "what"),
    [
        (Verdict.ERROR, Release.ERROR, "1 of 9 images could not be scored on one side; each is listed"),
        (Verdict.MISSING, Release.MISSING, "1 of 9 images are missing on one side; each is listed"),
        (Verdict.INCOMPARABLE, Release.INCOMPARABLE, "1 of 9 images are not comparable; each is listed"),
    ],
)
def test_obstacles_are_counted_in_words(kind, release, what):
    found = one([0] * 8, obstacles=(Obstacle(id="x", verdict=kind, why="y"),))
    assert (found.verdict, found.reasons) == (release, (what,))


def test_the_worst_obstacle_is_told_and_the_others_are_kept():
    obstacles = tuple(Obstacle(id=str(kind), verdict=kind, why="y") for kind in (Verdict.INCOMPARABLE, Verdict.MISSING))
    found = one([0] * 8, obstacles=obstacles)
    assert found.verdict is Release.MISSING
    assert found.reasons == ("1 of 10 images are missing on one side; each is listed",)
    assert found.obstacles == obstacles


def test_nothing_to_compare_has_no_number():
    found = one([])
    assert found.verdict is Release.INCOMPARABLE
    assert found.reasons == ("nothing was compared: no case, resolution and seed is in both",)
    assert (found.rate_before, found.rate_after, found.difference, found.interval) == (None, None, None, None)
    assert (found.unseen, found.exact, found.pairs) == (None, None, 0)


def test_equal_images_are_said_to_be_the_same_bytes():
    pairs = tuple(replace(pair, same_image=True) for pair in pairing([0] * 8).pairs)
    same = replace(pairing([]), pairs=pairs)
    (found,) = compared(same).comparisons
    assert found.same_images == 8
    assert found.reasons[1:] == ("all 8 images are identical on both sides",)
    one_other = replace(same, pairs=(*pairs[:-1], replace(pairs[-1], same_image=False)))
    (found,) = compared(one_other).comparisons
    assert (found.same_images, len(found.reasons)) == (7, 1)


@pytest.mark.parametrize(("cases", "unit"), [(5, "image"), (6, "case")])
def test_six_cases_are_resampled_as_cases(cases, unit):
    found = one([0] * 12, cases=cases)
    assert found.unit == unit
    assert found.interval.units == (12 if unit == "image" else cases)


@pytest.mark.parametrize("margin", [-0.01, 1.0, float("nan"), float("inf")])
def test_a_margin_that_is_no_share_is_refused(margin):
    with pytest.raises(ValueError, match=r"^margin must be in \[0, 1\), got "):
        compared(pairing([0]), margin=margin)


def test_a_run_is_compared_by_the_variants_that_are_named(monkeypatch):
    asked = {}

    def pair_runs(before, after, **fields):
        asked.update(fields, runs=(before, after))
        return paired.replace(_Found(), pairings=(pairing([0] * 8),))

    monkeypatch.setattr(paired, "pair_runs", pair_runs)
    found = paired.compare_runs("old", "new", variant="8step", with_variant="4step", margin=0.02)
    assert asked == {"runs": ("old", "new"), "variant": "8step", "with_variant": "4step"}
    assert (found.margin, found.unpaired) == (0.02, ("variant x: only in run y",))


def _Found():  # noqa: N802
    from qiltest.comparison.pairing import Pairings

    return Pairings(pairings=(), unpaired=("variant x: only in run y",))


SEEN = Seen(
    seeds=2,
    pairs=20,
    length=2000,
    difference=0.0,
    interval=Interval(low=-0.02, high=0.02, confidence=0.95, method=Method.PERCENTILE, units=10),
    broken=0,
    fixed=0,
    margin=0.01,
    alpha=0.05,
    tests=1,
)


def seeds(**fields):
    return plan(replace(SEEN, **fields)).seeds


def test_an_interval_twice_too_wide_needs_four_times_the_seeds():
    assert seeds() == 8
    found = plan(SEEN)
    assert (found.generated, found.limit) == (2, MOST_SEEDS)


def test_the_gap_is_from_the_difference_to_the_margin():
    near = replace(SEEN.interval, low=-0.015, high=0.025)
    assert seeds(difference=0.005, interval=near) == 32  # (0.02 / 0.005)^2 times 2
    above = replace(SEEN.interval, low=0.01, high=0.05)
    assert seeds(difference=0.03, interval=above) == 3  # it reaches 0.02 down to a margin that is 0.02 away
    assert seeds(difference=0.01) is None  # at the margin no number of seeds decides


def test_the_interval_may_ask_for_too_many_seeds():
    wide = replace(SEEN.interval, low=-0.3, high=0.3)
    assert seeds(interval=wide) is None
    assert seeds(interval=replace(SEEN.interval, high=0.22360679)) == MOST_SEEDS


def test_images_must_be_enough_for_a_verdict_at_all():
    few = {"seeds": 1, "pairs": 1, "length": 100, "interval": None}
    found = seeds(**few)
    assert found == next(n for n in range(2, 99) if worse_p(n, 0) <= 0.05 and unseen_share(n, 0.025) / 100 <= 0.01)
    assert seeds(**few, tests=2) == next(n for n in range(2, 99) if 2 * worse_p(n, 0) <= 0.05)
    short = {**few, "length": 10}
    assert seeds(**short) == next(n for n in range(2, 99) if unseen_share(n, 0.025) / 10 <= 0.01)
    assert seeds(**short, tests=2) == next(n for n in range(2, 99) if unseen_share(n, 0.0125) / 10 <= 0.01)
    assert seeds(**few, difference=0.02) is None  # nothing is known of how it varies


def test_lost_texts_decide_where_they_grow_in_proportion():
    lost = {"broken": 3, "fixed": 0, "difference": 0.01}
    assert seeds(**lost) == 4  # 6 to 0 is 0.031
    assert seeds(**lost, tests=2) == 5  # 7 to 0 is 0.016
    assert seeds(**{**lost, "fixed": 3}) is None
    assert seeds(**{**lost, "fixed": 4}) is None
    assert seeds(broken=3, fixed=2, difference=0.01) > 20


def test_the_smaller_of_both_numbers_is_told():
    assert seeds(broken=3) == 4
    assert seeds(broken=1, pairs=20) == 8


def test_more_seeds_never_ask_for_fewer():
    found = [seeds(interval=replace(SEEN.interval, high=high)) for high in (0.02, 0.03, 0.04, 0.05)]
    assert all(first <= second for first, second in pairwise(found))


def test_a_pair_without_characters_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^tea@1x1-s3: invalid distances 0, 1 of 0 characters$"):
        Pair(case="tea", size="1x1", seed=3, before=0, after=1, length=0)
    with pytest.raises(ValueError, match=r"^tea@1x1-s3: invalid distances -1, 1 of 5 characters$"):
        Pair(case="tea", size="1x1", seed=3, before=-1, after=1, length=5)
    assert Pair(case="tea", size="1x1", seed=3, before=0, after=2, length=1).change == 2


def test_the_same_image_cannot_be_paired_twice():
    pair = Pair(case="tea", size="1x1", seed=3, before=0, after=1, length=5)
    with pytest.raises(ValueError, match=r"^duplicate pair of 8step and 4step$"):
        Pairing(before="8step", after="4step", pairs=(pair, pair))


def test_exact_texts_are_counted_in_mcnemars_four_cells():
    cells = [(0, 0)] * 4 + [(0, 1)] * 3 + [(1, 0)] * 2 + [(1, 1)]
    pairs = tuple(
        Pair(case="tea", size="1x1", seed=n, before=old, after=new, length=10) for n, (old, new) in enumerate(cells)
    )
    found = compare([Pairing(before="a", after="b", pairs=pairs)], alpha=0.1, resamples=99)
    exact = found.comparisons[0].exact
    assert (exact.both, exact.broken, exact.fixed, exact.neither) == (4, 3, 2, 1)
    assert (found.alpha, found.comparisons[0].interval.confidence) == (0.1, pytest.approx(0.9))


def test_an_interval_of_units_without_characters_names_what_it_was_given():
    with pytest.raises(ValueError, match=r"^no interval for \[1, 2\] edits of \[0, 0\] characters$"):
        rate_interval([1, 2], [0, 0], confidence=0.95, resamples=9)
