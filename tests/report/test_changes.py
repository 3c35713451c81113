from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.gate.latency import LatencyJudgement
from qiltest.gate.verdict import Verdict
from qiltest.report.changes import ChangeKind, changes
from qiltest.runs.records import Run
from qiltest.runs.status import Status, status_of, worst

Fake = Callable[..., Any]
Make = Callable[..., Any]


def kinds(run: Run, previous: Run | None = None) -> dict[str, str]:
    items = changes(run, previous).items
    return {f"{item.sample.split('@')[0]}/{item.sample.split('-')[-2]}": item.kind for item in items}


def test_a_run_is_held_against_its_goldens(typical: Run) -> None:
    assert kinds(typical) == {
        "coffee-shop/base": ChangeKind.WORSE,
        "coffee-shop/4step": ChangeKind.WORSE,
        "whiteboard/4step": ChangeKind.WORSE,
        "classroom/4step": ChangeKind.BROKEN,
        "classroom/8step": ChangeKind.NEW,
        "classroom/base": ChangeKind.BETTER,
        "coffee-shop/8step": ChangeKind.SAME,
        "whiteboard/base": ChangeKind.SAME,
    }


def test_the_worst_change_comes_first(typical: Run) -> None:
    items = changes(typical).items
    assert [item.kind.rank for item in items] == sorted(item.kind.rank for item in items)
    worse = changes(typical).of(ChangeKind.WORSE)
    assert [item.excess for item in worse] == sorted((item.excess for item in worse), reverse=True)


def test_a_run_held_against_itself_is_unchanged_where_it_was_scored(typical: Run) -> None:
    found = set(kinds(typical, typical).values())
    assert found == {ChangeKind.SAME, ChangeKind.BROKEN}


def test_an_image_that_the_earlier_run_had_and_this_one_did_not_plan_is_gone(typical: Run) -> None:
    shorter = replace(typical, results=typical.results[1:], planned=typical.planned[1:])
    assert kinds(shorter, typical)["coffee-shop/base"] is ChangeKind.GONE


def test_an_image_that_is_only_not_drawn_yet_is_not_gone(typical: Run) -> None:
    shorter = replace(typical, results=typical.results[1:])
    assert "coffee-shop/base" not in kinds(shorter, typical)


def test_runs_of_two_readers_are_not_compared(typical: Run) -> None:
    other = replace(typical, reader=replace(typical.reader, version="2"))
    found = changes(typical, other)
    assert found.items == ()
    assert "not compared" in found.refused
    assert other.reader.fingerprint in found.refused


def test_runs_of_two_models_are_not_compared(typical: Run) -> None:
    assert "not compared" in changes(typical, replace(typical, model="Qwen/Qwen-Image")).refused


def test_a_golden_of_another_reader_is_not_compared(typical: Run) -> None:
    first = typical.results[0]
    assert first.golden is not None
    strange = replace(first, golden=replace(first.golden, reader="other-1-abc"))
    run = replace(typical, results=(strange, *typical.results[1:]))
    assert kinds(run)["coffee-shop/base"] is ChangeKind.NEW


def test_a_line_broken_elsewhere_is_no_change(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "one two three four"))
    run.add("wall", "base", "one two", "three four", golden=("one two three", "four"))
    assert set(kinds(run.build()).values()) == {ChangeKind.SAME}


def test_another_character_at_the_same_distance_is_told(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "wonderful"))
    run.add("wall", "base", "wunderful", golden=("wanderful",))
    assert set(kinds(run.build()).values()) == {ChangeKind.OTHER}


@pytest.mark.parametrize(("golden", "before"), [("wanderful", 1), ("wandxrful", 2)])
def test_an_error_where_the_golden_has_none_is_worse_whatever_the_sum(
    fake: Fake, case: Make, golden: str, before: int
) -> None:
    run = fake(case("wall", "wonderful"))
    run.add("wall", "base", "wonderfxl", golden=(golden,))
    (change,) = changes(run.build()).items
    assert (change.kind, change.before, change.now) == (ChangeKind.WORSE, before, 1)


def test_slower_is_a_change_though_the_text_is_the_same(typical: Run, slow: LatencyJudgement) -> None:
    second = replace(typical.results[1], latency=slow)
    run = replace(typical, results=(typical.results[0], second, *typical.results[2:]))
    assert kinds(run)["coffee-shop/8step"] is ChangeKind.SLOWER
    assert status_of(second) is Status.FAIL


def test_latency_that_does_not_gate_changes_nothing(typical: Run, slow: LatencyJudgement) -> None:
    second = replace(typical.results[1], latency=replace(slow, gates=False))
    assert status_of(second) is Status.PASS


def test_no_verdict_at_all_is_not_a_pass() -> None:
    assert worst(()) is Status.WAITING
    assert worst((Status.PASS, Status.NEW)) is Status.NEW
    assert worst((Status.ERROR, Status.FAIL, Status.PASS)) is Status.FAIL


def test_what_this_run_accepted_is_new_and_not_failed(typical: Run) -> None:
    accepted = replace(typical.results[0], golden_recorded=True)
    assert status_of(typical.results[0]) is Status.FAIL
    assert status_of(accepted) is Status.NEW


def test_an_accepted_latency_does_not_fail(typical: Run, slow: LatencyJudgement) -> None:
    assert status_of(replace(typical.results[1], latency=slow, latency_recorded=True)) is Status.NEW


def test_where_no_text_is_judged_the_latency_stands_alone(typical: Run, slow: LatencyJudgement) -> None:
    silent = replace(typical.results[1], reading=None, score=None, judgement=None, golden=None)
    assert status_of(silent) is Status.WAITING
    assert status_of(replace(silent, latency=slow)) is Status.FAIL
    unknown = replace(slow, verdict=Verdict.INCOMPARABLE)
    assert status_of(replace(silent, latency=unknown)) is Status.INCOMPARABLE
    assert kinds(replace(typical, results=(replace(silent, latency=slow),)))["coffee-shop/8step"] is ChangeKind.SLOWER
