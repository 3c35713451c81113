"""An image's health is measured beside its text, kept in the run, and fails what its text would let pass."""

from dataclasses import replace

import pytest

from qiltest.gate import Verdict
from qiltest.runs import RunWriter, load_run
from qiltest.runs.events import Judged
from qiltest.runs.load import EVENTS, read_events

SAMPLE = "coffee@1328x1328-fast-s42"


def test_health_is_kept_in_the_run(suite):
    suite.record()
    assert suite.run().ret == 0
    health = suite.latest().result(SAMPLE).health
    assert health.noise_fine == 0.0
    assert health.spread > 1


def test_a_noisy_image_with_the_right_text_fails_names_the_cause_and_cannot_be_accepted(suite):
    suite.record()
    suite.plan(coffee__fast={"noise": 12})
    result = suite.run("--qil-update=all")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAIL * noise of * grey levels*scheduler*", "accept * not possible*"])
    failed = suite.latest().result(SAMPLE)
    assert failed.verdict is Verdict.FAIL
    assert failed.score.distance == 0
    assert not failed.golden_recorded


def test_a_case_that_asks_for_grain_passes_with_it(suite):
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + '\n[limits]\nquality = "report"\n')
    suite.record()
    suite.plan(coffee__fast={"noise": 12})
    assert suite.run().ret == 0
    assert suite.latest().result(SAMPLE).health.noise_fine > 2.5


def test_a_run_whose_image_quality_was_not_measured_still_loads(suite):
    suite.record()
    suite.run()
    run = suite.latest()
    events, _ = read_events(run.path)
    (run.path / EVENTS).unlink()
    with RunWriter(run.path) as writer:
        for event in events:
            writer.append(replace(event, health=None) if isinstance(event, Judged) else event)
    again = load_run(run.path)
    assert again.result(SAMPLE).health is None
    assert again.result(SAMPLE).passes
