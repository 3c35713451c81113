"""Latency gates with `-m gpu`, against a golden of the same cohort only."""

import json

import pytest

from qiltest.gate import Verdict

GPU = ("-m", "gpu", "--qil-model=tiny")


def latency_files(suite):
    return [name for name in suite.goldens() if "/latency/" in name]


def recorded(suite):
    assert suite.run(*GPU, "--qil-update=missing").ret == 0


def test_one_golden_a_cohort(suite):
    recorded(suite)
    names = latency_files(suite)
    assert len(names) == 2
    golden = json.loads((suite.path / "golden" / names[0]).read_text())
    assert golden["seconds"] == 0.5
    assert golden["images"] == 2
    assert golden["cohort"]["variant"] == "base"
    assert golden["cohort"]["torch"] == "2.14"
    suite.run(*GPU).assert_outcomes(passed=4)
    assert {r.latency.verdict for r in suite.latest().results} == {Verdict.PASS}


@pytest.mark.parametrize("seconds", [0.54, 0.55])
def test_a_latency_within_either_floor_passes(suite, seconds):
    recorded(suite)
    suite.plan(coffee__fast={"seconds": seconds})
    suite.run(*GPU).assert_outcomes(passed=4)


def test_a_latency_past_both_floors_fails_its_test(suite):
    recorded(suite)
    suite.plan(coffee__fast={"seconds": 0.56})
    result = suite.run(*GPU)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "latency * 0.560 s, limit 0.550 s",
            "FAIL * 0.560 s is above the limit 0.550 s (golden 0.500 s, past both 8% and 0.05 s)",
            "accept * --qil-update=changed --qil-accept=*",
        ]
    )


def test_a_slower_cohort_is_accepted_by_an_update(suite):
    recorded(suite)
    suite.plan(coffee__fast={"seconds": 0.8}, poster__fast={"seconds": 0.8})
    assert suite.run(*GPU).ret == 1
    result = suite.run(*GPU, "--qil-update=changed")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["qiltest: wrote *latency*"])
    suite.run(*GPU).assert_outcomes(passed=4)


@pytest.mark.parametrize("change", [{"device_name": "another GPU"}, {"torch": "2.15.0"}])
def test_a_baseline_of_another_machine_or_torch_is_not_compared(suite, change):
    recorded(suite)
    suite.plan(**change)
    result = suite.run(*GPU)
    result.assert_outcomes(failed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["INCOMPARABLE * no latency golden for this cohort*", "accept *=missing --qil-accept=*"]
    )


def test_a_baseline_of_zero_is_an_error(suite):
    recorded(suite)
    for name in latency_files(suite):
        path = suite.path / "golden" / name
        path.write_text(path.read_text().replace("0.5", "0.0"))
    result = suite.run(*GPU)
    result.assert_outcomes(failed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR *invalid latency golden: 0.0 s*"])


def test_a_truncated_baseline_is_an_error(suite):
    recorded(suite)
    for name in latency_files(suite):
        (suite.path / "golden" / name).write_text("{")
    result = suite.run(*GPU)
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["ERROR *invalid latency golden*"])


def test_without_the_gpu_latency_is_reported_and_does_not_gate(suite):
    suite.record()
    suite.plan(coffee__fast={"seconds": 90.0})
    suite.run().assert_outcomes(passed=4)
    result = suite.latest().result("coffee@1328x1328-fast-s42")
    assert result.latency.seconds == 90.0
    assert result.latency.verdict is Verdict.INCOMPARABLE
    assert not result.latency.gates
    assert latency_files(suite) == []
