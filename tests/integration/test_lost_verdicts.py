"""A verdict cannot be lost: a session ends with what its run says, whatever a test, conftest or configuration does."""

import json

import pytest

TYPO = {"coffee/base": {"typos": {"Qwen Coffee": "Qwen Cofee"}}}
LOST = {
    "xfail": "import pytest\n@pytest.mark.xfail\ndef test_x(qil_case_run):\n    qil_case_run.check()\n",
    "xfail inside": """
import pytest

def test_x(qil_case_run):
    try:
        qil_case_run.check()
    except BaseException:
        pytest.xfail("known")
""",
    "skip inside": """
import pytest

def test_x(qil_case_run):
    try:
        qil_case_run.check()
    except BaseException:
        pytest.skip("known")
""",
    "except": """
def test_x(qil_case_run):
    try:
        qil_case_run.check()
    except BaseException:
        pass
""",
    "thread": """
import threading

def test_x(qil_case_run):
    thread = threading.Thread(target=qil_case_run.check)
    thread.start()
    thread.join()
""",
}
UNSCORED = {
    "generate, judge": "generate judge",
    "generate, read, judge": "generate read judge",
    "score before read": "generate score read judge",
}
NOTHING = {
    "runtestloop": "def pytest_runtestloop(session):\n    return True\n",
    "protocol": "def pytest_runtest_protocol(item, nextitem):\n    return True\n",
    "exit 0": "import pytest\ndef pytest_runtest_setup(item):\n    pytest.exit('done', returncode=0)\n",
    "fixture": """
import pytest

@pytest.fixture
def qil_case_run():
    class Nothing:
        def check(self):
            pass
    return Nothing()
""",
}
DROP_ONE = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "coffee@1328x1328-base" not in item.nodeid]
"""


def with_typo(suite):
    suite.record()
    (suite.path / "standin.json").write_text(json.dumps(TYPO))


def conftest(suite, text):
    path = suite.path / "conftest.py"
    path.write_text(f"{path.read_text()}\n{text}")


@pytest.mark.parametrize("body", LOST.values(), ids=LOST)
def test_a_failure_that_its_test_loses_fails_the_session_and_is_named(suite, body):
    with_typo(suite)
    suite.pytester.makepyfile(test_suite=body)
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "qiltest: 1 image did not pass although no test failed for it:",
            "qiltest:      coffee@1328x1328-base-s42: FAIL",
            "qiltest:   -> let check() or judge() fail the test: *",
        ]
    )
    assert suite.latest().exit_status == 1
    assert any("did not pass although" in problem for problem in suite.latest().problems)


@pytest.mark.parametrize("steps", UNSCORED.values(), ids=UNSCORED)
def test_an_image_whose_text_was_not_scored_is_an_error(suite, steps):
    suite.record()
    calls = "".join(f"    qil_case_run.{step}()\n" for step in steps.split())
    suite.pytester.makepyfile(test_suite=f"def test_x(qil_case_run):\n{calls}")
    result = suite.run()
    result.assert_outcomes(failed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*call generate(), read(), score() and judge() in this order, or check()*"])
    assert {r.verdict.value for r in suite.latest().results} == {"ERROR"}


def test_a_failure_that_is_seen_is_not_told_twice(suite):
    with_typo(suite)
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    assert "although no test failed" not in result.stdout.str()


@pytest.mark.parametrize("replaced", NOTHING.values(), ids=NOTHING)
def test_a_session_that_begins_no_image_does_not_end_with_0(suite, replaced):
    suite.record()
    conftest(suite, replaced)
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: 4 images selected, none begun"])


@pytest.mark.parametrize("flag", ["--collect-only", "--setup-plan"])
def test_a_listing_that_somebody_left_in_the_configuration_is_no_test(suite, flag):
    suite.record()
    (suite.path / "pytest.ini").write_text(f"[pytest]\naddopts = {flag}\n")
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: 4 images selected, none begun", "*--collect-only or --setup-plan in *"])
    (suite.path / "pytest.ini").write_text("[pytest]\n")
    assert suite.run(flag).ret == 0, "whoever asks for a list gets one"


def test_an_image_that_a_conftest_drops_without_a_word_is_missed_where_all_are_expected(suite):
    suite.record()
    conftest(suite, DROP_ONE)
    assert suite.run().ret == 0, "a part of the suite may be run"
    result = suite.run("--qil-expect=all")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: 3 of 4 expected images judged"])


def test_with_m_gpu_what_is_deselected_with_a_word_is_not_expected(suite):
    assert suite.run("-m", "gpu", "--qil-update=missing").ret == 0
    assert suite.run("-m", "gpu", "-k", "coffee").ret == 0
    conftest(suite, DROP_ONE)
    result = suite.run("-m", "gpu")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: 3 of 4 expected images judged"])


@pytest.mark.parametrize(("expect", "ret"), [("4", 0), ("3", 0), ("5", 1), ("all", 0)])
def test_a_number_of_images_can_be_expected(suite, expect, ret):
    suite.record()
    assert suite.run(f"--qil-expect={expect}").ret == ret


def test_no_test_of_the_suite_at_all_is_too_few_where_some_are_expected(suite):
    suite.pytester.makepyfile(test_suite="def test_nothing():\n    pass\n")
    assert suite.run().ret == 0
    result = suite.run("--qil-expect=all")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: 0 of 1 expected image judged"])


@pytest.mark.parametrize("value", ["0", "-1", "some"])
def test_an_expectation_is_a_number_or_all(suite, value):
    result = suite.run(f"--qil-expect={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*write all, or 1 or more"])
