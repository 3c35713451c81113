"""The published report's marks on single images: matched by the error that it names, not by any edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import builders as make
from fake_runs import VARIANTS
from qiltest.published.marks import Match, ReportMark, report_marks, right, unmarked
from qiltest.reading import Line
from qiltest.recipe import Size
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring import score_case
from qiltest.suite.load import load_suite

Fake = Callable[..., Any]
SUITE = load_suite(Path(__file__).parents[2] / "cases")
PI = "π≈3.1415926-53589793-23846264-33832795-02384197"
COFFEE = ("Qwen Coffee", "$2 per cup", "通义千问")
BOARD = (
    "一、Qwen-Image的技术路线：",
    "探索视觉生成基础模型的极限，",
    "开创理解与生成一体化的未来。",
    "二、Qwen-Image的模型特色：",
    "1、复杂文字渲染。支持中英渲染、",
    "自动布局；",
    "2、精准图像编辑。支持文字编辑、",
    "物体增减、风格变换。",
    "三、Qwen-Image的未来愿景：",
    "赋能专业内容创作、助力生成式AI发展。",
)
SCHOOL = (
    "Introducing Qwen-Image, a",
    "foundational image generation model",
    "that excels in complex text rendering",
    "and precise image editing",
)


def stacked(texts: Sequence[str], left: float = 400.0, top: float = 100.0) -> list[Line]:
    size = 40.0
    widths = (size * sum(1.0 if ord(char) > 255 else 0.55 for char in text) for text in texts)
    return [
        make.line(text, left, top + 60 * i, width, size)
        for i, (text, width) in enumerate(zip(texts, widths, strict=True))
    ]


def mark(case: str, variant: str, lines: Sequence[Line], size: str = "1328x1328") -> ReportMark:
    """The mark on an image of a shipped case in which these lines are read."""
    record, _ = SUITE.case(case)
    image = make.reading(lines, 1328, 1328)
    sample = make.sample(42, case, variant, Size.parse(size))
    result = CaseResult(sample=sample, score=score_case(record, image))
    (found,) = report_marks(make.run("r", cases=SUITE.cases, variants=VARIANTS, results=(result,)))
    return found


def board(*lines: str) -> list[Line]:
    return [make.line("QWEN", 150, 900, 120, 50), *stacked(lines)]


def coffee(number: str, *others: str) -> list[Line]:
    return [*stacked(others or COFFEE, left=60.0, top=50.0), *stacked([number], left=60.0, top=1100.0)]


def school(old: str = "", new: str = "") -> list[Line]:
    return stacked([text.replace(old, new) if old else text for text in SCHOOL])


@pytest.mark.parametrize(
    ("old", "new", "expected", "why"),
    [
        ("foundational", "fundational", Match.AGREES, "the same error: “fundational” for “foundational”"),
        ("", "", Match.DIFFERS, "right here"),
        (
            "foundational",
            "foundationel",
            Match.OTHERWISE,
            "wrong, but by another error: not “fundational” for “foundational”, “foundationel” is read there; "
            "1 edit in the image",
        ),
        (
            "rendering",
            "renderng",
            Match.OTHERWISE,
            "wrong, but by another error: not “fundational” for “foundational”; 1 edit in the image",
        ),
    ],
)
def test_the_typo_of_the_classroom_is_that_typo(old: str, new: str, expected: Match, why: str) -> None:
    found = mark("classroom", "base", school(old, new))
    assert (found.said, found.agreement, found.why) == (False, expected, why)


def test_the_named_error_is_there_beside_others() -> None:
    lines = school("foundational", "fundational")
    lines[2] = make.line("that excels in complex text renderng", 400, 220, 700, 40)
    found = mark("classroom", "base", lines)
    assert (found.agreement, found.distance) == (Match.AGREES, 2)


@pytest.mark.parametrize(
    "number", [PI.replace("-23846264-", "-238446264-"), PI.replace("-23846264-", "-238446264-")[:-1]]
)
def test_the_doubled_digit_of_the_coffee_shop_is_that_digit(number: str) -> None:
    found = mark("coffee-shop", "base", coffee(number), "713x1280")
    assert (found.agreement, found.why) == (Match.AGREES, "the same error: “-238446264-” for “-23846264-”")


@pytest.mark.parametrize("shown", ["-23846624-", "-2384626-", "-238462264-"])
def test_another_error_in_the_same_group_of_digits_differs_otherwise(shown: str) -> None:
    found = mark("coffee-shop", "base", coffee(PI.replace("-23846264-", shown)), "713x1280")
    assert found.agreement is Match.OTHERWISE
    assert f"“{shown}” is read there" in found.why


def test_a_number_that_is_wrong_somehow_is_told_from_an_error_in_another_text() -> None:
    wrong = mark("coffee-shop", "4step", coffee(PI[:-1]), "1280x1280")
    assert (wrong.agreement, wrong.why) == (Match.AGREES, f"the same error: an error in “{PI[2:]}”")
    elsewhere = mark("coffee-shop", "4step", coffee(PI, "Owen Coffee", "$2 per cup", "通义千问"), "1280x1280")
    assert elsewhere.agreement is Match.OTHERWISE
    assert mark("coffee-shop", "4step", coffee(PI), "1280x1280").agreement is Match.DIFFERS


@pytest.mark.parametrize(
    "lines",
    [
        (*BOARD[:6], "自动布局；2", *BOARD[6:]),
        (*BOARD[:5], "自动布局；自动布局；", "22、精准图像编辑。支持文字编辑、", *BOARD[7:]),
        (*BOARD[:5], "自动布局自动布局；", "22、精准图像编辑。支持文字编辑、", *BOARD[7:]),
    ],
)
def test_the_whiteboards_repeated_phrase_and_extra_digit_are_seen_however_they_are_placed(
    lines: tuple[str, ...],
) -> None:
    found = mark("whiteboard", "4step", board(*lines))
    assert found.agreement is Match.AGREES, found.why


def test_one_of_two_named_errors_agrees_partly() -> None:
    found = mark("whiteboard", "4step", board(*BOARD[:6], "自动布局；", *BOARD[6:]))
    assert (found.agreement, found.why) == (
        Match.PARTLY,
        "the same error: “自动布局自动布局” for “自动布局”; not there: “22、精准” for “2、精准”",
    )


def test_a_whiteboard_that_is_wrong_elsewhere_differs_otherwise() -> None:
    lines = board(*BOARD[:-1], "赋能专业内容创作、助力生成式AI发屏。")
    assert mark("whiteboard", "4step", lines).agreement is Match.OTHERWISE
    assert mark("whiteboard", "4step", board(*BOARD)).agreement is Match.DIFFERS


def test_an_image_that_the_report_calls_right_agrees_without_an_edit_only() -> None:
    assert mark("classroom", "8step", school()).agreement is Match.AGREES
    wrong = mark("classroom", "8step", school("foundational", "fundational"))
    assert (wrong.agreement, wrong.why) == (Match.DIFFERS, "wrong here")


def test_a_text_that_was_not_read_is_not_the_named_error() -> None:
    found = mark("classroom", "base", stacked(["Something else"]))
    assert found.agreement is Match.OTHERWISE
    assert "is read there" not in found.why


def test_an_image_that_was_not_scored_is_not_measured() -> None:
    result = CaseResult(sample=make.sample(42, "classroom", "base", Size(1328, 1328)))
    (found,) = report_marks(make.run("r", cases=SUITE.cases, variants=VARIANTS, results=(result,)))
    assert (found.measured, found.distance, found.agreement) == (None, None, Match.NOT_MEASURED)


def test_images_without_a_mark_are_not_listed_as_compared() -> None:
    places = [(case, r.size, v) for case in SUITE.cases for r in case.resolutions for v in ("base", "8step", "4step")]
    results = tuple(
        CaseResult(sample=make.sample(42, case.id, v, size), score=make.score(0)) for case, size, v in places
    )
    run = make.run("r", cases=SUITE.cases, variants=VARIANTS, results=results)
    assert len(results) == 33
    assert len(report_marks(run)) == 13
    words = unmarked(run)
    assert len(words) == 20
    assert all(text.startswith("no mark given") for text in words.values())


def test_the_report_marks_images_of_its_own_seed_alone() -> None:
    samples = [make.sample(seed, "classroom", "base", Size(1328, 1328)) for seed in (41, 42, 43)]
    results = tuple(CaseResult(sample=sample, score=make.score(0)) for sample in samples)
    run = make.run("r", cases=SUITE.cases, variants=VARIANTS, results=results)
    assert [one.sample for one in report_marks(run)] == [samples[1].id]


def test_every_named_error_of_the_shipped_cases_is_one_that_calibration_plants_too() -> None:
    for case in SUITE.cases:
        planted = {(typo.asked, typo.shown) for typo in case.known_typos}
        named = {(e.expected, e.read) for r in case.resolutions for v in r.report for e in v.errors if e.read}
        assert named <= planted


def test_each_mark_of_the_report_stands_beside_the_measured_one(typical: Run) -> None:
    found = {one.sample.split("-s42")[0]: one.agreement for one in report_marks(typical)}
    assert found == {
        "coffee-shop@256x256-base": Match.AGREES,
        "coffee-shop@256x256-8step": Match.AGREES,
        "classroom@256x256-base": Match.AGREES,
        "classroom@256x256-8step": Match.AGREES,
    }
    (first, *_) = report_marks(typical)
    assert first.why == "wrong too; the report does not say how"


def test_what_the_reader_alone_gets_wrong_does_not_make_an_image_wrong(fake: Fake, case: Fake) -> None:
    run = fake(case("wall", "wonderful"))
    assert right(run.add("wall", "base", "wonderfu1", noise_floor=1.0)) is True
    assert right(run.add("wall", "8step", "wonderfu1", noise_floor=0.0)) is False
    assert right(run.add("wall", "4step", error="lost")) is None
