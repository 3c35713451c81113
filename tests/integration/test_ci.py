"""What a session leaves on GitHub Actions."""

import pytest


@pytest.fixture
def actions(suite, monkeypatch):
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(suite.path / "summary.md"))
    return suite


def test_a_failure_is_annotated_and_in_the_job_summary(actions):
    actions.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen\n::error::Coffee"}})
    path = actions.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + "\n[limits]\ntolerance = 0\nabsolute = 0\n")
    result = actions.run()
    commands = [line for line in result.outlines if line.startswith("::")]
    assert any("coffee" in line for line in commands)
    assert not any(line.startswith("::error::") for line in commands)
    assert "coffee" in (actions.path / "summary.md").read_text()


def test_elsewhere_there_is_neither(suite, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert not any(line.startswith("::") for line in suite.run().outlines)


def test_a_summary_that_cannot_be_written_is_said_and_changes_no_verdict(actions, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(actions.path))
    result = actions.run()
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["qiltest: the job summary * could not be written: Is a directory"])


@pytest.mark.parametrize("ci", [True, False])
def test_the_short_summary_has_one_line_for_each_failure_and_nothing_is_printed_twice(suite, monkeypatch, ci):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}}, poster__base={"fault": "crash"})
    if ci:
        monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("COLUMNS", "160")
    result = suite.run()
    result.assert_outcomes(failed=2, passed=2)
    text = result.stdout.str()
    reason = "FAIL: 'Qwen Cofee' for 'Qwen Coffee' (distance 1, limit 0)"
    short = [line for line in result.outlines if line.startswith("FAILED ")]
    assert any(line.endswith(f"test_report_case[coffee@1328x1328-fast-s42] - {reason}") for line in short)
    assert len(short) == 2
    assert text.count("expected      Qwen Coffee") == text.count(reason) == 1


def test_a_traceback_of_one_line_names_the_test_and_the_reason(suite):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    result = suite.run("--tb=line")
    result.stdout.fnmatch_lines(["*test_suite.py:*: FAIL: 'Qwen Cofee' for 'Qwen Coffee' (distance 1, limit 0)"])
