"""What stands in folders of runs and goldens is never collected: no test there runs, and no conftest.py is loaded."""

import pytest

import apart

EVIL = """
from pathlib import Path

Path({mark!r}).touch()


def test_evil():
    Path({mark!r}).touch()
"""


@pytest.fixture
def plant(suite):
    """Put a test and a conftest.py into a folder; returns the file that they would make."""

    def planted(folder):
        mark = suite.path / "obeyed"
        place = suite.path / folder
        place.mkdir(parents=True, exist_ok=True)
        for name in ("test_evil.py", "conftest.py", "pytest_evil_test.py"):
            (place / name).write_text(EVIL.format(mark=str(mark)))
        return mark

    return planted


@pytest.mark.parametrize("folder", ["runs", "runs/20261129-000000-000000-abcd", "golden", "golden/tiny/x"])
def test_a_test_in_the_folders_of_runs_and_goldens_is_not_run(suite, plant, folder):
    suite.record()
    mark = plant(folder)
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == 0
    assert not mark.exists()


def test_folders_that_are_named_by_options_are_left_out_too(suite, plant):
    suite.record()
    (suite.path / "golden").rename(suite.path / "accepted")
    marks = [plant("results/x"), plant("accepted/tiny")]
    result = suite.run("--qil-runs=results", "--qil-golden=accepted")
    result.assert_outcomes(passed=4)
    assert not any(mark.exists() for mark in marks)


def test_a_suite_in_a_folder_below_leaves_out_its_own(suite, plant):
    suite.record()
    mark = plant("runs/x")
    below = suite.path / "below"
    below.mkdir()
    (below / "pytest.ini").write_text("[pytest]\n")
    for name in ("cases", "golden", "runs", "conftest.py", "test_suite.py"):
        (suite.path / name).rename(below / name)
    result = apart.run_pytest(["--rootdir", str(below)], below)
    result.assert_outcomes(passed=4)
    assert not mark.exists()


def test_a_project_without_a_suite_may_call_its_tests_runs(pytester):
    for folder in ("runs", "golden"):
        pytester.mkdir(folder)
        (pytester.path / folder / f"test_{folder}.py").write_text("def test_own(): pass\n")
    apart.run_pytest([], pytester.path).assert_outcomes(passed=2)
