"""MISSING: an image that a session set out to draw and that no verdict came of."""

import pytest

from qiltest.gate import Verdict
from qiltest.runs import RunState

SKIP_ONE = """
import pytest

@pytest.fixture(autouse=True)
def skip_one(request):
    if "coffee" in request.node.name and "fast" in request.node.name:
        pytest.skip("known to be bad")
"""


def skip_one(suite):
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + SKIP_ONE)


def missing(suite):
    return {r.id: r.judgement for r in suite.latest().results if r.verdict is Verdict.MISSING}


def test_a_skipped_test_leaves_its_image_missing_and_fails_the_session(suite):
    suite.record()
    skip_one(suite)
    result = suite.run()
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*MISSING ?*",
            "qiltest: 1 image MISSING, planned but without a verdict:",
            "qiltest:      coffee@1328x1328-fast-s42: its test was skipped: known to be bad",
            "qiltest:   -> make the tests judge these images, or leave them out with --qil-case*",
        ]
    )
    ((sample, judgement),) = missing(suite).items()
    assert sample == "coffee@1328x1328-fast-s42"
    assert judgement.reasons == (
        "no verdict: its test was skipped: known to be bad",
        "golden (distance 0) was not compared",
    )
    assert (judgement.distance, judgement.limit, judgement.golden_distance) == (None, None, 0)
    run = suite.latest()
    assert run.state is RunState.FINISHED
    assert run.exit_status == 1
    assert "MISSING" in (run.path / "report.html").read_text()
    assert "MISSING" in (run.path / "report.md").read_text()


def test_missing_needs_no_golden(suite):
    skip_one(suite)
    assert suite.run().ret == 1
    (judgement,) = missing(suite).values()
    assert judgement.golden_distance is None
    assert len(judgement.reasons) == 1


def test_a_damaged_golden_of_a_missing_image_does_not_hide_that_it_is_missing(suite):
    suite.record()
    (suite.path / "golden/tiny/coffee@1328x1328/fast-s42.json").write_bytes(b"{")
    skip_one(suite)
    suite.run().assert_outcomes(passed=3, skipped=1)
    assert list(missing(suite)) == ["coffee@1328x1328-fast-s42"]


def test_a_test_that_never_judges_does_not_pass_for_one_that_does(suite):
    suite.record()
    suite.pytester.makepyfile(test_suite="def test_report_case(qil_case_run):\n    qil_case_run.generate()\n")
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["qiltest: 4 images MISSING*", "*coffee@1328x1328-base-s42: its test did not call *judge() or check()"]
    )
    assert len(missing(suite)) == 4
    assert all(r.image is not None for r in suite.latest().results)


def test_an_update_records_nothing_for_a_missing_image(suite):
    skip_one(suite)
    result = suite.run("--qil-update=all")
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == 1
    assert "tiny/coffee@1328x1328/fast-s42.json" not in suite.goldens()


def test_what_was_left_out_on_purpose_is_not_missing(suite):
    suite.record()
    skip_one(suite)
    assert suite.run("--qil-variant=base").ret == 0
    assert suite.run("-k", "not (coffee and fast)").ret == 0
    assert missing(suite) == {}


def test_what_another_plugin_deselected_is_not_missing(suite):
    suite.record()
    path = suite.path / "conftest.py"
    hook = """
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config, items):
    result = yield
    gone = [item for item in items if "fast" in item.name]
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=gone)
    return result
"""
    path.write_text(path.read_text() + hook)
    result = suite.run()
    result.assert_outcomes(passed=2, deselected=2)
    assert result.ret == 0
    assert len(suite.latest().planned) == 2
    assert suite.latest().state is RunState.FINISHED


def test_a_stopped_session_waits_for_the_same_command_and_misses_nothing(suite):
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    assert suite.run("-x").ret == pytest.ExitCode.TESTS_FAILED
    assert missing(suite) == {}
    assert suite.latest().state is RunState.INTERRUPTED


def test_an_expected_failure_was_judged_and_is_not_missing(suite):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    path = suite.path / "conftest.py"
    hook = """
def pytest_itemcollected(item):
    if "coffee" in item.name and "fast" in item.name:
        item.add_marker(pytest.mark.xfail(reason="known"))
"""
    path.write_text(path.read_text() + hook)
    result = suite.run()
    result.assert_outcomes(passed=3, xfailed=1)
    assert missing(suite) == {}
    assert suite.latest().result("coffee@1328x1328-fast-s42").verdict is Verdict.FAIL


def test_a_test_that_is_not_run_at_all_is_missing(suite):
    suite.record()
    path = suite.path / "conftest.py"
    hook = """
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    return True if "coffee" in item.name and "fast" in item.name else None
"""
    path.write_text(path.read_text() + hook)
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest:      coffee@1328x1328-fast-s42: its test did not run"])
    assert list(missing(suite)) == ["coffee@1328x1328-fast-s42"]
