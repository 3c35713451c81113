"""A release whose images lost their scene does not ship, whatever its text says."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.comparison.compare import compare
from qiltest.comparison.pairing import Pair, Pairing, pair_up
from qiltest.comparison.records import Release
from qiltest.comparison.statistics import above_p
from qiltest.quality.scene import ChangeKind, SceneChange
from qiltest.quality.scene.records import Cell
from qiltest.runs.records import CaseResult

PAGE = make.scene(Cell(lightness=100, a=0, b=0, texture=0), structure=0.16)
WHY = "the scene is gone: nothing but text on a plain page (structure 0.02 of the former image's)"
GONE = SceneChange(kind=ChangeKind.GONE, message="gone")
OTHER = SceneChange(kind=ChangeKind.REPLACED, message="replaced")


def compared(*lost, equal=30, pairings=1, edits=0):
    """The comparison of equal images, of which some lost their scene so."""
    scenes = [*lost, *[None] * equal]
    pairs = tuple(
        Pair(case=f"c{n % 8}", size="9x9", seed=n, before=0, after=edits, length=90, lost=change)
        for n, change in enumerate(scenes)
    )
    found = compare([Pairing(before="a", after=f"b{n}", pairs=pairs) for n in range(pairings)], resamples=99)
    return found.comparisons[0]


def test_images_that_keep_their_scene_ship():
    assert compared().verdict is Release.SHIP
    assert not any("scene" in reason for reason in compared().reasons)


def test_one_image_whose_scene_is_gone_does_not_ship():
    found = compared(GONE)
    assert (found.verdict, found.reasons) == (
        Release.DO_NOT_SHIP, ("1 of 31 images lost their scene: c0@9x9-s0: gone",),
    )  # fmt: skip
    assert compared(OTHER, GONE, GONE).reasons == ("2 of 33 images lost their scene: c1@9x9-s1: gone",)


def test_a_few_other_scenes_ship_and_are_named():
    found = compared(OTHER)
    assert found.verdict is Release.SHIP
    assert found.reasons[-1] == "look at these: 1 of 31 images may show another scene: c0@9x9-s0: replaced"


def test_more_other_scenes_than_equal_releases_have_do_not_ship():
    # of 24 images at 5 %: five or more with p = 0.0060, four with p = 0.0298
    assert compared(*[OTHER] * 4, equal=20).verdict is Release.SHIP
    found = compared(*[OTHER] * 5, equal=19)
    assert found.verdict is Release.DO_NOT_SHIP
    assert found.reasons == ("5 of 24 images show another scene: c0@9x9-s0: replaced; p = 0.006 (at most 5% may)",)


def test_other_scenes_of_other_noise_are_named_and_decide_nothing():
    pairs = tuple(
        Pair(case=f"c{n % 8}", size="9x9", seed=n, before=0, after=0, length=90, lost=OTHER, same_noise=False)
        for n in range(40)
    )
    (found,) = compare([Pairing(before="old", after="new", pairs=pairs)], resamples=99).comparisons
    assert found.verdict is Release.SHIP
    assert found.reasons[-1].startswith("look at these: 40 of 40 images may show another scene (of other noise")


def test_a_scene_that_is_gone_decides_whatever_the_noise():
    pairs = tuple(
        Pair(case=f"c{n % 8}", size="9x9", seed=n, before=0, after=0, length=90, lost=GONE, same_noise=False)
        for n in range(40)
    )
    (found,) = compare([Pairing(before="old", after="new", pairs=pairs)], resamples=99).comparisons
    assert found.verdict is Release.DO_NOT_SHIP


def test_other_scenes_are_corrected_for_the_number_of_comparisons():
    assert compared(*[OTHER] * 5, equal=19, pairings=4).verdict is Release.DO_NOT_SHIP
    assert compared(*[OTHER] * 5, equal=19, pairings=5).verdict is Release.SHIP


def test_lost_text_is_said_before_lost_scenes():
    reasons = compared(GONE, edits=1).reasons
    assert reasons[0].startswith("exact text: ")
    assert reasons[-1].startswith("1 of 31 images lost their scene")


@pytest.mark.parametrize(
    ("found", "count", "p"), [(0, 10, 1.0), (1, 1, 0.05), (2, 2, 0.0025), (1, 2, 0.0975), (0, 0, 1.0)]
)
def test_the_p_of_so_many_is_exact(found, count, p):
    assert above_p(found, count, 0.05) == pytest.approx(p)


# pairing


def result(variant, health=make.HEALTHY, **fields):
    return CaseResult(
        sample=make.sample(variant=variant), score=make.score(), health=health, judgement=make.judgement(), **fields
    )


def paired(before=make.HEALTHY, after=make.HEALTHY, **fields):
    run = make.run("r1", results=(result("8step", before), result("4step", after)), **fields)
    (pair,) = pair_up(run, run, variant="8step", with_variant="4step").pairs
    return pair


def test_a_pair_knows_whether_its_scene_is_gone():
    assert paired().lost is None
    lost = paired(after=replace(make.HEALTHY, scene=PAGE)).lost
    assert lost == SceneChange(kind=ChangeKind.GONE, message=WHY)
    assert paired(before=replace(make.HEALTHY, scene=PAGE)).lost.kind is ChangeKind.REPLACED


def test_the_message_names_whose_scene_it_was():
    red = make.scene(Cell(lightness=50, a=60, b=40, texture=4))
    assert "are 78.1 from the former image's (limit 5.5)" in paired(after=replace(make.HEALTHY, scene=red)).lost.message


@pytest.mark.parametrize(
    "other", [None, replace(make.HEALTHY, scene=None), replace(make.HEALTHY, scene=replace(PAGE, version=9))]
)
def test_scenes_that_were_not_both_measured_by_one_version_are_not_compared(other):
    assert paired(after=other).lost is None
    assert paired(before=other).lost is None


def test_a_case_that_reports_quality_keeps_its_pairs():
    free = make.case(limits=replace(make.case().limits, health_gates=False))
    assert paired(after=replace(make.HEALTHY, scene=PAGE), cases=(free,)).lost is None
    other = replace(free, id="tea")
    assert paired(after=replace(make.HEALTHY, scene=PAGE), cases=(other, make.case())).lost is not None
    assert paired(after=replace(make.HEALTHY, scene=PAGE), cases=(make.case(), free)).lost is None
