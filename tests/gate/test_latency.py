"""Latency by cohort."""

import json
import math
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders as make
from qiltest.errors import GoldenError
from qiltest.gate import Cohort, GoldenStore, LatencyStore, Verdict, judge_latency
from qiltest.gate.latency import ABSOLUTE_FLOOR, RELATIVE_FLOOR, SCHEMA, LatencyGolden, limit_seconds

COHORT = make.gpu_cohort()
positive = st.floats(min_value=1e-3, max_value=1e4)


def golden(seconds: float) -> LatencyGolden:
    return LatencyGolden(schema=SCHEMA, cohort=COHORT, seconds=seconds, fastest=seconds, slowest=seconds, images=1)


@pytest.fixture
def store(tmp_path):
    return LatencyStore(goldens=GoldenStore(root=tmp_path))


@pytest.mark.parametrize(
    ("base", "seconds", "verdict"),
    [
        (1.30, 1.30, Verdict.PASS),
        (1.30, 1.40, Verdict.PASS),
        (1.30, 1.41, Verdict.FAIL),
        (32.0, 34.5, Verdict.PASS),
        (32.0, 34.6, Verdict.FAIL),
        (0.10, 0.149, Verdict.PASS),
        (0.10, 0.151, Verdict.FAIL),
        (1.30, 0.01, Verdict.PASS),
    ],
)
def test_a_latency_fails_past_a_relative_and_an_absolute_floor(base, seconds, verdict):
    assert judge_latency(seconds, golden(base), gates=True).verdict is verdict


@given(positive)
def test_exactly_at_the_limit_it_holds(base):
    assert judge_latency(limit_seconds(base), golden(base), gates=True).verdict is Verdict.PASS
    entry = math.nextafter(limit_seconds(base), math.inf)
    assert judge_latency(entry, golden(base), gates=True).verdict is Verdict.FAIL


@given(positive, positive)
def test_it_fails_exactly_where_both_floors_are_passed(base, seconds):
    failed = judge_latency(seconds, golden(base), gates=True).verdict is Verdict.FAIL
    assert failed == (seconds > base * (1 + RELATIVE_FLOOR) and seconds > base + ABSOLUTE_FLOOR)


@given(positive, positive, positive)
def test_a_slower_loop_never_turns_a_verdict_for_the_better(base, seconds, more):
    slower = judge_latency(seconds + more, golden(base), gates=True).verdict
    if judge_latency(seconds, golden(base), gates=True).verdict is Verdict.FAIL:
        assert slower is Verdict.FAIL


def test_without_a_golden_of_the_cohort_it_is_incomparable():
    judgement = judge_latency(1.0, None, gates=True)
    assert judgement.verdict is Verdict.INCOMPARABLE
    assert judgement.limit_seconds is None
    assert judgement.reasons


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 0.0, -1.0])
@pytest.mark.parametrize("held", [None, golden(1.0)])
def test_what_is_no_latency_is_an_error_and_leaves_no_odd_number(seconds, held):
    judgement = judge_latency(seconds, held, gates=True)
    assert judgement.verdict is Verdict.ERROR
    assert math.isfinite(judgement.seconds)


def test_the_limit_is_shown(store):
    judgement = judge_latency(1.0, golden(2.0), gates=False)
    assert judgement.limit_seconds == limit_seconds(2.0) == pytest.approx(2.16)
    assert judgement.golden_seconds == 2.0
    assert not judgement.gates


def test_a_golden_is_the_median_of_a_run_and_comes_back(store):
    store.save(COHORT, [1.0, 9.0, 1.2])
    held = store.load(COHORT)
    assert (held.seconds, held.fastest, held.slowest, held.images) == (1.2, 1.0, 9.0, 3)


def test_a_golden_of_this_process_has_the_fields_that_it_had_before_there_were_servers(store):
    text = store.save(COHORT, [1.0]).read_text()
    assert "kind" not in text
    assert "concurrency" not in text
    served = replace(COHORT, kind="wall", concurrency=1)
    assert '"kind": "wall"' in store.save(served, [1.0]).read_text()
    assert store.load(served).cohort == served


def test_a_cohort_that_differs_in_any_field_has_another_golden(store):
    store.save(COHORT, [1.0])
    others = {
        "model": "random", "device_name": "NVIDIA H200", "dtype": "float32", "effective": "928x1664", "variant": "base",
        "nfe": 8, "attention_backend": "flash", "compiled": True, "torch": "2.15",
        "offload": "group", "kind": "wall", "concurrency": 4, "beside": 1,
        "compiled_way": "2",
    }  # fmt: skip
    assert set(others) == {field.name for field in fields(Cohort)}
    for name, value in others.items():
        assert store.load(replace(COHORT, **{name: value})) is None


@pytest.mark.parametrize("seconds", [[], [0.0], [math.nan], [1.0, -1.0], [math.inf]])
def test_what_is_no_latency_is_not_recorded(store, seconds):
    with pytest.raises(GoldenError, match="latencies must be finite and positive"):
        store.save(COHORT, seconds)
    assert store.load(COHORT) is None


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": 0.0},
        {"seconds": "1.0"},
        {"fastest": 5.0},
        {"slowest": 0.5},
        {"images": 0},
        {"slowest": 1.1},
        {"images": 2, "slowest": 3.0, "seconds": 1.5},
        {"schema": 2},
        {"cohort": asdict(replace(COHORT, torch="2.15"))},
        {"note": "x"},
    ],
)
def test_a_file_that_is_no_baseline_is_an_error(store, change):
    path = store.save(COHORT, [1.0])
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(GoldenError, match="invalid latency golden"):
        store.load(COHORT)


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"seconds": NaN}'])
def test_a_file_that_is_not_whole_is_an_error(store, text):
    store.save(COHORT, [1.0]).write_text(text)
    with pytest.raises(GoldenError, match="invalid latency golden"):
        store.load(COHORT)


def test_a_latency_beside_other_gpus_is_one_of_its_own_and_one_alone_keeps_its_key_and_its_file(store):
    alone = store.save(COHORT, [1.0])
    beside = store.save(replace(COHORT, beside=7), [2.0])
    assert alone != beside
    assert "beside" not in alone.read_text()
    assert store.load(COHORT).seconds == 1.0
    assert store.load(replace(COHORT, beside=7)).seconds == 2.0
