"""The verdict on an image as a whole: text, quality, limits and golden together, and what each sentence says."""

from dataclasses import replace

import numpy as np
import pytest

import builders as make
from qiltest.gate.agreement import count_again, edits_again, may_be_extra
from qiltest.gate.judge import judge, judge_image, judge_measured, unread
from qiltest.gate.verdict import Verdict, with_quality
from qiltest.quality import examine
from qiltest.recipe import Size
from qiltest.suite.cases import ExpectedText, LineBreaks, ReportVerdict

PASSED = make.judgement(Verdict.PASS, reasons=("text",))
NOISY = replace(make.HEALTHY, noise_fine=6.0)


@pytest.mark.parametrize(
    ("health", "gates", "verdict", "added"),
    [
        (make.HEALTHY, True, Verdict.PASS, 0),
        (None, True, Verdict.PASS, 0),
        (NOISY, True, Verdict.FAIL, 1),
        (NOISY, False, Verdict.PASS, 0),
        (replace(make.HEALTHY, spread=0.0), True, Verdict.ERROR, 1),
        (replace(make.HEALTHY, spread=0.0), False, Verdict.PASS, 0),
    ],
    ids=["good", "not measured", "noise", "noise that was asked for", "blank", "blank, only reported"],
)
def test_noise_fails_and_a_blank_image_is_an_error_where_quality_gates(health, gates, verdict, added):
    found = with_quality(PASSED, health, gates=gates)
    assert found.verdict is verdict
    assert len(found.reasons) == 1 + added
    assert found.reasons[-1] == "text"


def test_quality_gates_unless_the_case_says_otherwise():
    assert with_quality(PASSED, NOISY).verdict is Verdict.FAIL


def test_an_image_is_scored_judged_and_returned_with_what_it_was_compared_with():
    pixels = np.random.default_rng(1).integers(0, 255, (128, 256, 3), dtype=np.uint8)
    reading = make.reading([make.line("Qwen Cofee", 10, 10, 100, 20)], 256, 128, reader=make.READER)
    golden = make.golden(recipe={"model.vae": "e" * 64})
    facts = {"sample": make.sample(), "effective": make.SIZE, "parts": (("vae", "e" * 64),), "tiny": True}
    found = judge_image(make.case(), examine(pixels), reading, golden, **facts)
    assert (found.score.distance, found.score.texts[0].read) == (1, "Qwen Cofee")
    assert found.golden is golden
    assert found.judgement == judge_measured(make.case(), found.score, found.health, golden, **facts)
    assert found.judgement.limit == 0
    other = judge_image(make.case(), examine(pixels), reading, golden, **facts | {"parts": (("vae", "f" * 64),)})
    assert any("another model" in reason for reason in other.judgement.reasons)
    larger = judge_image(make.case(), examine(pixels), reading, golden, **facts | {"effective": Size(512, 512)})
    assert "the golden's image is 256x128, this one is 512x512" in larger.judgement.reasons


def measured(case, distance, *, tiny, variant="4step", golden=None):
    sample = make.sample(variant=variant)
    facts = {"sample": sample, "effective": make.SIZE, "parts": (), "tiny": tiny}
    return judge_measured(case, make.score(distance), make.HEALTHY, golden, **facts)


def test_a_limit_below_what_the_reader_adds_to_correct_images_is_an_error():
    limits = replace(make.case().limits, absolute=0, noise_floor=((make.READER.name, 2.0),))
    found = measured(make.case(limits=limits), 0, tiny=True)
    assert (found.verdict, found.noise_floor) == (Verdict.ERROR, 2.0)


def test_the_report_limits_the_images_that_it_marks_right_and_no_others():
    case = make.case(limits=replace(make.case().limits, from_report=True))
    marks = (ReportVerdict(variant="4step", passes=True, finding=""),)
    case = replace(case, resolutions=(replace(case.resolutions[0], report=marks),))
    assert measured(case, 1, tiny=False).verdict is Verdict.FAIL
    assert measured(case, 1, tiny=False).limit == 0
    assert measured(case, 1, tiny=True).verdict is Verdict.NEW
    assert measured(case, 1, tiny=False, variant="8step").verdict is Verdict.NEW
    elsewhere = replace(case, resolutions=(replace(case.resolutions[0], size=Size(512, 512)),))
    assert measured(elsewhere, 1, tiny=False).verdict is Verdict.NEW


def reasons(golden, *, parts=()):
    score = make.score()
    return judge(score, golden, make.case().limits, case=make.case(), effective=make.SIZE, parts=parts).reasons


def test_other_bytes_of_a_model_are_named_part_by_part_with_what_is_the_same():
    golden = make.golden(recipe={"model.vae": "e" * 64, "model.transformer": "c" * 64, "model.text_encoder": "d" * 64})
    now = (("vae", "f" * 64), ("transformer", "a" * 64), ("text_encoder", "d" * 64))
    (said,) = reasons(golden, parts=now)
    assert said.startswith("the golden is of another model: other bytes in ")
    assert sorted(said.removeprefix("the golden is of another model: other bytes in ").split("; ")[0].split(", ")) == [
        f"transformer {'c' * 12} -> {'a' * 12}",
        f"vae {'e' * 12} -> {'f' * 12}",
    ]
    assert said.endswith("; text_encoder the same")
    assert "the same" not in reasons(golden, parts=(*now[:2], ("text_encoder", "b" * 64)))[0]
    assert reasons(golden, parts=(*now[:2], ("text_encoder", "b" * 64)))[0].endswith(f"{'b' * 12}")


def test_a_score_without_any_text_read_says_who_may_accept_it():
    assert unread(make.score(10, read="")) == (
        "no expected text was read with half of its characters right, so only `qiltest review` accepts it, by itself"
    )
    assert unread(make.score(5)) == ""


def test_what_was_read_in_several_lines_is_counted_again_as_several_lines():
    layout = make.case("x", "self-made")
    text = layout.texts[0]
    assert count_again(layout, ["self\nmade"]).distances == (0,)
    assert edits_again(layout, text, "self\nmade") == ()
    strict = make.case("x", "self-made", line_breaks=LineBreaks.STRICT)
    assert count_again(strict, ["self\nmade"]).distances == (1,)
    assert count_again(layout, [""]).distances == (9,)


def test_a_line_may_be_extra_only_where_it_repeats_or_extends_what_was_read():
    case = make.case("x", "a foundational image model")
    whole = "a foundational\nimage model"
    assert may_be_extra(case, [whole], "foundational image", "leaked")
    assert may_be_extra(case, [whole], "foundational image", "doubled")
    assert not may_be_extra(case, [""], "foundational image", "doubled")
    assert not may_be_extra(case, [whole], "something else", "leaked")


def test_optional_marks_are_no_part_of_what_a_line_repeats():
    marked = ExpectedText(text="GOOD☺☺☺☺☺☺", optional_marks=("☺",))
    case = replace(make.case("x"), texts=(marked,))
    assert may_be_extra(case, ["GOOD"], "GOOD", "doubled")


def test_a_case_whose_quality_is_only_reported_passes_with_noise():
    case = make.case(limits=replace(make.case().limits, health_gates=False))
    facts = {"sample": make.sample(), "effective": make.SIZE, "parts": (), "tiny": True}
    assert judge_measured(case, make.score(), NOISY, make.golden(), **facts).verdict is Verdict.PASS
    assert judge_measured(make.case(), make.score(), NOISY, make.golden(), **facts).verdict is Verdict.FAIL


def test_an_image_said_to_be_of_another_model_is_told_by_both_names():
    golden = make.golden(recipe={"model.name": "Qwen/Qwen-Image"})
    assert reasons(golden, parts=(("name", "Qwen/Qwen-Image-2512"),)) == (
        "the golden is of an image of Qwen/Qwen-Image, this one is of Qwen/Qwen-Image-2512: another model",
    )
