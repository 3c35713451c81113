"""A session whose reports cannot be written does not end with 0, and says which and why."""

import pytest


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_a_report_that_cannot_be_written_fails_the_session_and_nothing_is_drawn_again(suite, monkeypatch, name):
    suite.record()
    writer = {"report.html": "write_html", "report.md": "write_markdown"}[name]

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(f"qiltest.report.{writer}", full)
        result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            f"qiltest: the report *{name} cannot be written: No space left on device",
            "qiltest:   -> free some space, *repeat the command, which generates no image again",
        ]
    )
    suite.generated()
    result = suite.run()
    assert result.ret == 0
    assert suite.generated() == []
    assert {path.name for path in suite.latest().path.glob("report.*")} == {"report.html", "report.md"}


def test_a_history_that_cannot_be_written_fails_the_session_and_the_report_is_written_all_the_same(suite):
    suite.record()
    (suite.path / "runs" / "history.jsonl").mkdir(parents=True)
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: the run cannot be added to the history of *: it is not a plain file"])
    assert (suite.latest().path / "report.html").is_file()


def test_the_summary_of_ci_names_a_report_that_is_missing(suite, monkeypatch, tmp_path):
    suite.record()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qiltest.report.write_html", full)
    assert suite.run().ret == pytest.ExitCode.TESTS_FAILED
    assert "report.html cannot be written" in (tmp_path / "summary.md").read_text()


def test_without_a_terminal_summary_the_reports_are_written_too(suite):
    suite.record()
    assert suite.run("--no-summary").ret == 0
    assert {path.name for path in suite.latest().path.glob("report.*")} == {"report.html", "report.md"}
