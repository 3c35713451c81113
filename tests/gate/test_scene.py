"""The verdict on a scene: what fails, what is only said, and what cannot be compared."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.gate import Verdict
from qiltest.gate.judge import judge_image, judge_measured
from qiltest.gate.scene import PAGE, change_of, with_scene
from qiltest.quality import examine
from qiltest.quality.scene.records import Cell
from quality_images import scene as drawn_scene

PAGE_SCENE = make.scene(Cell(lightness=100, a=0, b=0, texture=0), structure=0.16)
GONE = "the scene is gone: nothing but text on a plain page (structure 0.02 of the golden's)"
PASSED = make.judgement(Verdict.PASS, reasons=(), distance=0, limit=0, golden_distance=0)
GOLDEN = make.golden()


def judged(judgement=PASSED, scene=make.SCENE, golden=GOLDEN, *, comparable=True, gates=True):
    return with_scene(judgement, scene, golden, comparable=comparable, gates=gates)


def test_the_goldens_scene_changes_nothing():
    assert judged() == PASSED


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_scene_that_is_gone_fails_whatever_the_text_is_and_is_said_first(verdict):
    before = replace(PASSED, verdict=verdict, reasons=("why",))
    assert judged(before, PAGE_SCENE) == replace(before, verdict=Verdict.FAIL, reasons=(GONE, "why"))


def test_where_the_case_reports_quality_it_is_said_and_does_not_fail():
    found = judged(PASSED, PAGE_SCENE, gates=False)
    assert found == replace(PASSED, reasons=(f"not counted: {GONE}",))
    assert judged(gates=False) == PASSED


def test_a_golden_that_is_not_comparable_says_so_already():
    other = replace(PASSED, verdict=Verdict.INCOMPARABLE, reasons=("another model",))
    for scene in (PAGE_SCENE, None, replace(make.SCENE, version=99)):
        assert judged(other, scene, comparable=False) == other


@pytest.mark.parametrize(
    ("scene", "golden", "why"),
    [
        (None, GOLDEN, "the image's scene was not measured"),
        (make.SCENE, replace(GOLDEN, scene=None), "the golden keeps no scene: record it again"),
        (
            replace(make.SCENE, version=8),
            replace(GOLDEN, scene=replace(make.SCENE, version=7)),
            "the golden's scene was measured by version 7, this image's by version 8: record the golden again",
        ),
    ],
)
def test_what_cannot_be_compared_does_not_pass(scene, golden, why):
    assert judged(PASSED, scene, golden) == replace(PASSED, verdict=Verdict.INCOMPARABLE, reasons=(why,))
    failed = replace(PASSED, verdict=Verdict.FAIL, reasons=("text",))
    assert judged(failed, scene, golden) == replace(failed, reasons=("text", why))
    assert judged(PASSED, scene, golden, gates=False) == PASSED
    assert change_of(scene, golden) == ""


def test_without_a_golden_a_page_is_named_and_nothing_fails():
    new = make.judgement(Verdict.NEW, reasons=("no golden for this image yet",))
    assert judged(new, PAGE_SCENE, None, comparable=False) == replace(new, reasons=(*new.reasons, PAGE))
    assert PAGE == "note: the image shows nothing but text on a plain page"
    assert judged(new, make.SCENE, None, comparable=False) == new
    assert judged(new, None, None, comparable=False) == new


def test_the_change_from_a_golden_is_one_sentence_or_nothing():
    assert change_of(PAGE_SCENE, GOLDEN) == GONE
    assert change_of(make.SCENE, GOLDEN) == ""
    assert change_of(make.SCENE, None) == ""


# the whole way


def measured(health, golden, *, case=None, **changes):
    score = make.score()
    facts = {"effective": make.SIZE, "parts": (), "tiny": True}
    sample = make.sample()
    return judge_measured(case or make.case(), score, health, golden, sample=sample, **{**facts, **changes})


def test_the_text_and_the_scene_are_judged_together():
    lost = replace(make.HEALTHY, scene=PAGE_SCENE)
    assert measured(make.HEALTHY, GOLDEN).verdict is Verdict.PASS
    found = measured(lost, GOLDEN)
    assert (found.verdict, found.reasons) == (Verdict.FAIL, (GONE,))
    assert (found.distance, found.limit) == (0, 0)


def test_quality_comes_before_the_scene_and_the_scene_before_the_text():
    noisy = replace(make.HEALTHY, scene=PAGE_SCENE, noise_fine=9.0)
    reasons = judge_measured(
        make.case(), make.score(3), noisy, GOLDEN, sample=make.sample(), effective=make.SIZE, parts=(), tiny=True
    ).reasons
    assert [reason.split()[0] for reason in reasons] == ["noise", "the", "distance"]
    assert reasons[1] == GONE


def test_a_golden_of_another_model_size_or_text_is_not_asked_for_its_scene():
    lost = replace(make.HEALTHY, scene=PAGE_SCENE)
    parted = make.golden(recipe={"model.vae": "e" * 64})
    other = measured(lost, parted, parts=(("vae", "f" * 64),))
    assert other.verdict is Verdict.INCOMPARABLE
    assert not any("scene" in reason for reason in other.reasons)
    assert measured(lost, parted, parts=(("vae", "e" * 64),)).verdict is Verdict.FAIL


def test_a_case_whose_quality_is_reported_passes_without_its_scene():
    case = make.case(limits=replace(make.case().limits, health_gates=False))
    found = measured(replace(make.HEALTHY, scene=PAGE_SCENE), GOLDEN, case=case)
    assert (found.verdict, found.reasons) == (Verdict.PASS, (f"not counted: {GONE}",))


def test_an_images_scene_is_measured_outside_the_lines_of_its_reading():
    pixels = drawn_scene(256)
    line = make.line("as read", 128, 30, 120, 40)
    reading = make.reading([line], 256, 256, reader=make.READER)
    found = judge_image(
        make.case(), examine(pixels), reading, None, sample=make.sample(), effective=make.SIZE, parts=(), tiny=True,
        score=make.score(),
    )  # fmt: skip
    assert found.health.scene == examine(pixels).outside([line]).scene
    assert found.health.scene.text > 0.05
    assert found.health.scene != examine(pixels).outside([]).scene
