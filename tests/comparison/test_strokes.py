"""Broken strokes decide a comparison by images, with the cases' tests corrected for it, and never by one image."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Pair, Pairing, pair_up
from qiltest.comparison.records import Release
from qiltest.comparison.strokes import PairedStrokes, able, paired_strokes, tally_of
from qiltest.report.comparison.wording import correction, stroke_words
from qiltest.runs.records import CaseResult


def judged(marks, glyphs="net-1"):
    return replace(make.score(), strokes=marks, glyphs=glyphs)


def strokes(before, after, characters=40):
    return PairedStrokes(characters=characters, before=before, after=after)


def pairs(*sides, cases=2, edits=(0, 0)):
    """Pairs with these broken strokes before and after, None where nothing was judged."""
    return tuple(
        Pair(
            case=f"c{n % cases}", size="9x9", seed=n, before=edits[0], after=edits[1], length=90,
            strokes=None if side is None else strokes(*side),
        )
        for n, side in enumerate(sides)
    )  # fmt: skip


def compared(*sides, cases=2, pairings=1, **fields):
    own = pairs(*sides, cases=cases, **fields)
    found = compare([Pairing(before="a", after=f"b{n}", pairs=own) for n in range(pairings)], resamples=99)
    return found, found.comparisons[0]


def test_characters_count_where_both_sides_were_judged():
    assert paired_strokes(judged("..x-x?"), judged(".?x.-.")) == PairedStrokes(characters=4, before=2, after=2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (judged(""), judged("")),
        (judged("x--"), judged("-x.")),
        (judged("x."), judged("x.", "net-2")),
        (judged("x."), judged("", "")),
    ],
    ids=["not judged", "never on both sides", "another network", "a run of before"],
)
def test_strokes_that_cannot_be_compared_are_none(before, after):
    assert paired_strokes(before, after) is None


def test_more_broken_strokes_decide_where_the_text_is_the_same():
    _, found = compared(*[(0, 3)] * 9, *[(0, 0)] * 31)
    assert found.verdict is Release.DO_NOT_SHIP
    assert found.reasons == (
        "broken strokes: 0 characters before and 27 after, of 1600 judged in both (log-odds above -2); 9 images with "
        "more and 0 with fewer, p = 0.012 (permutation test by images, Holm-corrected over 3 tests)",
    )


def test_one_image_never_decides_however_many_of_its_characters_are_broken():
    found, one = compared((0, 40), *[(0, 0)] * 39)
    assert one.verdict is Release.SHIP
    assert (one.strokes.more, one.strokes.p, found.stroke_tests) == (1, 1.0, 0)


def test_as_many_more_as_fewer_ship():
    assert compared(*[(0, 2)] * 9, *[(2, 0)] * 9, *[(0, 0)] * 22)[1].verdict is Release.SHIP


def test_fewer_broken_strokes_ship():
    assert compared(*[(3, 0)] * 20, *[(0, 0)] * 20)[1].verdict is Release.SHIP


def test_an_image_counts_by_how_many_more_are_broken():
    # 7 images with one more each and 2 with eight fewer each: more images are worse, but not more characters are broken
    assert compared(*[(0, 1)] * 7, *[(8, 0)] * 2, *[(0, 0)] * 31)[1].strokes.p == 1.0


def test_strokes_are_one_more_test_beside_the_cases_where_they_can_decide():
    few, many = [(0, 1)] * 5 + [(0, 0)] * 35, [(0, 1)] * 6 + [(0, 0)] * 34
    found, one = compared(*few)
    assert (found.case_tests, found.stroke_tests) == (2, 0)
    assert one.strokes.p_holm == one.strokes.p == 0.0625
    found, one = compared(*many)
    assert (found.case_tests, found.stroke_tests) == (2, 1)
    assert (one.strokes.p, one.strokes.p_holm) == (0.03125, 3 * 0.03125)
    assert "and 2 cases (broken strokes as 1 more); margin" in correction(found)


def test_each_comparison_is_corrected_for():
    sides = [(0, 3)] * 9 + [(0, 0)] * 31
    found, one = compared(*sides, pairings=2)
    assert found.stroke_tests == 2
    assert one.strokes.p_holm == pytest.approx(6 * 2 / 2**9)


def test_a_decision_by_text_needs_no_more_than_before_where_strokes_say_nothing():
    _, found = compared(*[None] * 8, cases=1, edits=(0, 1))
    assert found.strokes is None
    assert [case.p_holm for case in found.cases] == [case.p for case in found.cases]
    _, judged_too = compared(*[(1, 1)] * 8, cases=1, edits=(0, 1))
    assert judged_too.cases == found.cases


def test_what_was_not_compared_is_said():
    _, found = compared((0, 1), None, None, (0, 0))
    words = stroke_words(found.strokes)
    assert words.startswith(
        "broken strokes: 0 before and 1 after, of 80 characters judged on both sides (log-odds above -2); more in 1 "
    )
    assert "; 2 pairs without any; for worse p = 1" in words
    assert stroke_words(compared(None)[1].strokes) == (
        "broken strokes: not compared, because no character was judged on both sides by one glyph network"
    )


def test_a_tally_is_none_where_nothing_was_judged():
    assert tally_of([None, None]) is None
    assert not able(tally_of([strokes(0, 1)] * 5), 0.05)
    assert able(tally_of([strokes(0, 1)] * 6), 0.05)


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="3 and 0 broken of 2 characters"):
        strokes(3, 0, characters=2)


def test_pairs_of_runs_have_the_strokes_of_their_scores():
    def run(name, marks):
        result = CaseResult(sample=make.sample(), score=judged(marks), recipe=make.recipe())
        return make.run(name, results=(result,))

    before, after = run("one", ".."), run("two", ".x")
    (pair,) = pair_up(before, after, variant="4step", with_variant="4step").pairs
    assert pair.strokes == PairedStrokes(characters=2, before=0, after=1)


def test_a_run_that_claims_more_characters_than_any_has_is_tested_by_images_alone():
    many = [strokes(0, 10**7, characters=10**7)] * 9
    assert tally_of(many).p == 2 / 2**9
