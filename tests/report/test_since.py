"""What is new since the golden, and the one line that says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.gate.latency import LatencyJudgement
from qiltest.report.headline import verdict_of
from qiltest.report.since import Failure, Since, failure_of, gating_extras, wrong_texts
from qiltest.report.terminal.failure import failure_message, failure_reason
from qiltest.runs.records import CaseResult, Run
from qiltest.suite.cases import Case
from qiltest.suite.selection import Task
from qiltest.suite.variants import ModelKind

Fake = Callable[..., Any]
Make = Callable[..., Any]


def only(run: Any) -> Case:
    """The first case of a run."""
    first: Case = run.cases[0]
    return first


def message(run: Run, result: CaseResult, command: str = "") -> list[str]:
    case, variant = run.case(result.sample.case), run.variant(result.sample.variant)
    kind = ModelKind.TINY
    task = Task(case=case, resolution=case.resolutions[0], variant=variant, seed=result.sample.seed, kind=kind)
    return failure_message(result, task, command=command).splitlines()


@pytest.mark.parametrize(
    ("now", "golden", "since"),
    [
        ("HAPPY HAIRR", "HAPPY HAIR", Since.NEW),
        ("HAPPY HAIRR", "HAPPY HAIRR", Since.ACCEPTED),
        ("HAPPY HAIRR", "HAPPY  HAIRR", Since.ACCEPTED),
        ("HAPPY HAIRR", "HAPPI HAIR", Since.NEW),
        ("HAPPY HAIRR", "HABBI HAIRR", Since.BETTER),
        # fewer edits, but at a place where the golden has none: the gate fails it
        ("HAPPI HAIR", "HAPPY HAKKR", Since.NEW),
        # the same character, misread in another way: the gate passes it
        ("HAPPI HAIR", "HAPPJ HAIR", Since.ACCEPTED),
        ("HAPPY HAIRR", None, Since.UNKNOWN),
    ],
)
def test_an_error_is_new_accepted_or_better(fake: Fake, case: Make, now: str, golden: str | None, since: Since) -> None:
    run = fake(case("wall", "HAPPY HAIR"))
    result = run.add("wall", "base", now, golden=None if golden is None else (golden,))
    assert [found for _, found in wrong_texts(result, only(run))] == [since]


def test_a_golden_of_another_reader_or_of_other_texts_accepts_nothing(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    result = run.add("wall", "base", "texd", golden=("texd",))
    assert result.golden is not None
    other = replace(result, golden=replace(result.golden, reader="another"))
    assert [since for _, since in wrong_texts(other, only(run))] == [Since.UNKNOWN]
    asked = tuple(replace(text, expected="test") for text in result.golden.texts)
    other = replace(result, golden=replace(result.golden, texts=asked))
    assert [since for _, since in wrong_texts(other, only(run))] == [Since.UNKNOWN]


def test_new_errors_come_before_larger_ones_that_the_golden_has(accepted_error: Run) -> None:
    (result,) = accepted_error.results
    assert [(text.expected, since) for text, since in wrong_texts(result, accepted_error.cases[0])] == [
        ("HAPPY HAIR", Since.NEW),
        ("臘月二十四日家家", Since.ACCEPTED),
    ]
    assert (
        failure_reason(result, accepted_error.cases[0]) == "FAIL: 'HAPPY HAIRR' for 'HAPPY HAIR' (distance 4, limit 3)"
    )
    lines = message(accepted_error, result)
    assert lines[2:6] == [
        "expected      HAPPY HAIR",
        "read          HAPPY HAI{+R+}R   distance 1, new since the golden",
        "expected      臘月二十四日家家",
        "read          [-臘-]{+胆+}月二十四[-日家-]{+曰冢+}家   distance 3, as in the golden: accepted",
    ]


def test_extra_text_that_is_new_is_the_reason_and_not_an_accepted_error(fake: Fake, case: Make) -> None:
    run = fake(case("board", "支持中英渲染、自动布局", "OPEN"))
    golden = ("支持中英渲染、自动布局", "OPFN")
    result = run.add("board", "base", *golden, "自动布局", golden=golden)
    assert [since for _, since in gating_extras(result)] == [Since.NEW]
    assert failure_reason(result, only(run)) == "FAIL: leaked text '自动布局' (distance 5, limit 1)"
    kept = run.add("board", "8step", *golden, "自动布局", golden=(*golden, "自动布局"))
    assert [since for _, since in gating_extras(kept)] == [Since.ACCEPTED]


def test_the_reason_says_what_else_is_wrong(fake: Fake, case: Make, slow: LatencyJudgement) -> None:
    run = fake(case("wall", "one", "two"))
    assert failure_reason(run.add("wall", "base", "ome", "tvo", golden=("one", "two")), only(run)) == (
        "FAIL: 'ome' for 'one' and 1 more error (distance 2, limit 0)"
    )
    assert failure_reason(run.add("wall", "base", "one", golden=("one", "two")), only(run)) == (
        "FAIL: nothing for 'two' (distance 3, limit 0)"
    )
    assert failure_reason(run.add("wall", "8step", "one", "two"), only(run)) == "NEW: no golden for this image yet"
    lost = run.add("wall", "4step", error="the device was lost\n  -> try again", image=False)
    assert failure_reason(lost, only(run)) == "ERROR: the device was lost"
    late = run.add("wall", "4step", "one", "two", golden=("one", "two"), latency=slow)
    assert failure_reason(late, only(run)) == "FAIL: latency: 2 s is above the limit 1.2 s"
    far = run.add("wall", "4step", "x" * 500, "two", golden=("one", "two"))
    assert len(failure_reason(far, only(run))) <= 330


def test_an_image_is_worse_failed_or_slower(fake: Fake, case: Make, slow: LatencyJudgement) -> None:
    run = fake(case("wall", "text"), replace(case("gate", "text"), limits=replace(case("gate").limits, absolute=0)))
    assert failure_of(run.add("wall", "base", "texd", golden=("text",)), run.cases[0]) is Failure.WORSE
    assert failure_of(run.add("wall", "base", "text", golden=("text",), latency=slow), run.cases[0]) is Failure.SLOWER
    assert failure_of(run.add("gate", "base", "texd"), run.cases[1]) is Failure.FAILED
    assert failure_of(run.add("gate", "base", "texd", golden=("texd",)), run.cases[1]) is Failure.FAILED


def test_the_headline_says_how_many_are_worse_and_why_the_others_do_not_pass(
    fake: Fake, case: Make, slow: LatencyJudgement
) -> None:
    run = fake(case("wall", "text"))

    def headline() -> str:
        return verdict_of(run.build())[1]

    run.add("wall", "base", "texd", golden=("text",))
    assert headline() == "1 of 1 image is worse than its golden"
    run.add("wall", "8step", "texd", golden=("text",))
    assert headline() == "2 of 2 images are worse than their goldens"
    run.add("wall", "4step", "text", golden=("text",), latency=slow)
    assert headline() == "3 of 3 images do not pass: 2 worse, 1 slower"
    for seed in (1, 2, 3):
        run.add("wall", "base", error="the device was lost", image=False, seed=seed)
    run.add("wall", "base", "text", seed=4)
    run.add("wall", "base", "text", golden=("text",), seed=5)
    assert headline() == "7 of 8 images do not pass: 2 worse, 1 slower, 3 not judged, 1 new"


def test_a_session_that_was_refused_says_why_in_its_headline(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    run.add("wall", "base", "text")
    refused = run.build(results=(), exit_status=4, problems=("no weights here\n  -> download them",))
    status, headline, notes = verdict_of(refused)
    assert (status.value, headline) == ("ERROR", "Nothing was generated: no weights here")
    assert notes == ("no weights here\n  -> download them",)


@pytest.mark.parametrize(
    ("now", "golden"),
    [("HAPPI HAIR", "HAPPY HAKKR"), ("HAPPI HAIR", "HAPPJ HAIR"), ("HAPPY HAIRR", "HABBI HAIRR"), ("HAPY", "HAPPY")],
)
def test_a_text_is_new_where_the_gate_counts_a_new_error(fake: Fake, case: Make, now: str, golden: str) -> None:
    run = fake(case("wall", "HAPPY HAIR"))
    result = run.add("wall", "base", now, golden=(golden,))
    ((_, since),) = wrong_texts(result, only(run))
    assert result.judgement is not None
    assert (since is Since.NEW) == bool(result.judgement.new_errors)


def test_extra_text_that_is_read_a_little_differently_is_as_the_gate_has_it(fake: Fake, case: Make) -> None:
    run = fake(case("board", "支持中英渲染、自动布局"))
    golden = ("支持中英渲染、自动布局", "自动布局")
    result = run.add("board", "base", "支持中英渲染、自动布局", "自动布局", golden=golden)
    assert [since for _, since in gating_extras(result)] == [Since.ACCEPTED]
    assert result.judgement is not None
    assert result.judgement.new_errors == 0


def test_a_text_that_may_be_missing_is_not_counted_among_those_that_are_right(fake: Fake, case: Make) -> None:
    asked = case("wall", "one", "Alibaba", "two")
    texts = (asked.texts[0], replace(asked.texts[1], required=False), asked.texts[2])
    run = fake(replace(asked, texts=texts))
    result = run.add("wall", "base", "one", "tvo", golden=("one", "two"))
    lines = message(run.build(), result)
    assert "1 of 2 expected texts right, 1 optional text missing" in "\n".join(lines)
