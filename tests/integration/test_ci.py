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
