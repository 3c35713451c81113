"""The status of an image: the worse of text and latency, and the order of severity."""

from dataclasses import replace

import pytest

import builders as make
from qiltest.gate.latency import LatencyJudgement
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import CaseResult
from qiltest.runs.status import Status, status_of, text_is_judged, worst


def latency(verdict=Verdict.PASS, *, gates=True):
    return LatencyJudgement(verdict=verdict, seconds=1.0, golden_seconds=1.0, limit_seconds=2.0, gates=gates)


def result(verdict=None, **fields):
    judgement = None if verdict is None else make.judgement(verdict)
    return CaseResult(**{"sample": make.sample(), "judgement": judgement, **fields})


def test_severity_is_the_order_of_the_names():
    order = [Status.FAIL, Status.ERROR, Status.MISSING, Status.INCOMPARABLE, Status.NEW, Status.WAITING, Status.PASS]
    assert sorted(Status, key=lambda status: status.rank) == order
    assert [status.icon for status in order] == ["✕", "!", "?", "≠", "+", "…", "✓"]


def test_the_worst_of_several_is_the_most_severe_and_of_none_waiting():
    assert worst([Status.PASS, Status.MISSING, Status.INCOMPARABLE]) is Status.MISSING
    assert worst([Status.PASS, Status.ERROR, Status.WAITING]) is Status.ERROR
    assert worst([]) is Status.WAITING


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_status_of_a_judged_text_is_its_verdict(verdict):
    assert status_of(result(verdict)) is Status(verdict.value)
    assert status_of(result(verdict, latency=latency())) is Status(verdict.value)


def test_an_image_that_is_not_judged_yet_waits():
    assert status_of(result()) is Status.WAITING


def test_an_error_is_an_error_whatever_was_accepted():
    assert status_of(result(Verdict.PASS, error="lost")) is Status.ERROR
    assert status_of(result(Verdict.FAIL, error="lost", golden_recorded=True)) is Status.ERROR


def test_an_accepted_text_is_new():
    assert status_of(result(Verdict.FAIL, golden_recorded=True)) is Status.NEW


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (latency(Verdict.FAIL), Status.FAIL),
        (latency(Verdict.FAIL, gates=False), Status.PASS),
        (latency(Verdict.INCOMPARABLE), Status.INCOMPARABLE),
        (latency(), Status.PASS),
    ],
)
def test_latency_counts_where_it_gates(found, status):
    assert status_of(result(Verdict.PASS, latency=found)) is status


def test_an_accepted_latency_is_new():
    assert status_of(result(Verdict.PASS, latency=latency(Verdict.FAIL), latency_recorded=True)) is Status.NEW


def test_with_random_weights_only_latency_is_judged():
    random = result(latency=latency())
    assert not text_is_judged(random)
    assert status_of(random) is Status.PASS
    assert status_of(replace(random, latency=latency(Verdict.FAIL))) is Status.FAIL


@pytest.mark.parametrize(
    "judged", [result(Verdict.PASS, latency=latency()), result(error="lost", latency=latency()), result()]
)
def test_a_text_is_judged_where_there_is_a_verdict_an_error_or_no_latency_yet(judged):
    assert text_is_judged(judged)
