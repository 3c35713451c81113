"""What goes wrong while an image is made is an ERROR with a remedy, and never a distance."""

import os

import pytest

from qiltest.gate import Verdict

READER_OF_THE_PACKAGE = """
import sys

sys.modules["easyocr"] = None


@pytest.fixture(scope="session")
def qil_open_reader():
    from qiltest.reading import open_reader

    return open_reader
"""


def assert_error(suite, *lines, run=None):
    result = run or suite.run()
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(list(lines))
    failed = suite.latest().result("coffee@1328x1328-fast-s42")
    assert failed.verdict is Verdict.ERROR
    return failed


def test_a_wrong_recipe(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "recipe"})
    failed = assert_error(suite, "ERROR * fast: the LoRA has no effect", "              -> use another file*")
    assert failed.image is None
    assert suite.generated() == ["coffee base 42", "poster base 42", "poster fast 42"]


def test_an_image_of_nan(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "nan"})
    assert_error(suite, "ERROR * fast: the image holds NaN*", "              -> use bfloat16*")


def test_a_blank_image(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "blank"})
    failed = assert_error(suite, "ERROR *blank*")
    assert failed.image is None


def test_more_forwards_than_the_recipe_says(suite):
    suite.record()
    suite.plan(coffee__fast={"forwards": 4})
    assert_error(suite, "ERROR * 4 forwards instead of the recipe's 2*")


@pytest.mark.parametrize("seconds", ["nan", 0, -1.0])
def test_a_latency_that_was_not_measured(suite, seconds):
    suite.record()
    suite.plan(coffee__fast={"seconds": seconds})
    assert_error(suite, "ERROR * invalid denoise time: *")


def test_a_reading_without_text(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "empty"})
    failed = assert_error(suite, "ERROR *returned no text*")
    assert failed.image is not None


def test_an_error_of_the_model_itself(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "crash"})
    failed = assert_error(suite, "*RuntimeError: illegal memory access*")
    assert failed.error == "RuntimeError: illegal memory access"


def test_a_model_that_cannot_be_used_ends_the_session_with_one_line_and_is_not_read_again(suite):
    suite.record()
    suite.plan(
        **{f"{case}__{variant}": {"fault": "model"} for case in ("coffee", "poster") for variant in ("base", "fast")}
    )
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert text.count("qiltest: folder: the model cannot be loaded: damaged") == 1
    assert "-> download it again" in text
    assert "Traceback" not in text
    assert suite.generated() == ["coffee base 42"]


NOT_WHOLE = """
import pytest
import qiltest.generation
from qiltest.errors import ModelError

@pytest.fixture(autouse=True, scope="session")
def not_whole():
    def open_generator(*args, **kwargs):
        raise ModelError("transformer: 2 weights missing", where="folder", remedy="download it again")
    qiltest.generation.open_generator = open_generator
"""


@pytest.mark.parametrize("marks", [(), ("-m", "gpu")])
@pytest.mark.slow
def test_a_model_that_is_not_whole_ends_the_session_with_one_line(suite, marks):
    suite.pytester.makeconftest(NOT_WHOLE)
    result = suite.run_apart(*marks)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert text.count("qiltest: folder: transformer: 2 weights missing") == 1
    assert "Traceback" not in text
    assert suite.refusal().startswith("folder: transformer: 2 weights missing\n  -> ")


def test_an_error_is_never_recorded_as_a_golden(suite):
    suite.plan(coffee__fast={"fault": "empty"})
    suite.run("--qil-update=all").assert_outcomes(passed=3, failed=1)
    assert "tiny/coffee@1328x1328/fast-s42.json" not in suite.goldens()


def test_memory_that_ran_out_once_is_retried_and_said(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "oom-once"})
    suite.run().assert_outcomes(passed=4)
    result = suite.latest().result("coffee@1328x1328-fast-s42")
    assert result.notes == ("generated on the second attempt, after: out of memory",)


def test_memory_that_runs_out_twice_is_an_error(suite):
    suite.record()
    suite.plan(coffee__fast={"fault": "oom"})
    assert_error(suite, "ERROR * out of memory*", "              -> *--qil-offload*")
    assert suite.generated().count("coffee fast 42") == 2


def test_a_reader_that_does_not_exist_fails_every_test_with_its_remedy(suite):
    suite.record()
    result = suite.run("--qil-reader=eyes")
    result.assert_outcomes(errors=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*unknown reader 'eyes'", "*use one of: rapidocr, other"])
    assert suite.generated() == []


@pytest.mark.slow
def test_a_reader_that_cannot_be_imported_fails_every_test_with_its_remedy(suite, monkeypatch):
    suite.record()
    path = suite.path / "conftest.py"
    path.write_text(path.read_text() + READER_OF_THE_PACKAGE)
    result = suite.run_apart("--qil-reader=easyocr")
    result.assert_outcomes(errors=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*qiltest: *easyocr*", "*-> *pip install*"])
    assert suite.generated() == []


@pytest.mark.slow
def test_a_metric_that_cannot_be_imported_ends_the_session_with_its_remedy(suite, monkeypatch):
    suite.record()
    (suite.path / "blocked").mkdir()
    (suite.path / "blocked" / "rapidfuzz.py").write_text("raise ImportError('rapidfuzz is broken', name='rapidfuzz')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(suite.path / "blocked"), os.environ.get("PYTHONPATH", "")]))
    result = suite.run_anew()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*qiltest cannot be loaded: rapidfuzz is broken", "*-> install it again, with what it needs*"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert suite.generated() == []


def test_another_reader_is_used_where_asked(suite):
    suite.record()
    suite.run("--qil-reader=other").assert_outcomes(failed=4)
    assert suite.latest().reader.name == "other"
    assert {r.verdict for r in suite.latest().results} == {Verdict.INCOMPARABLE}


def test_a_case_may_need_a_reader_of_its_own(suite):
    path = suite.path / "cases" / "coffee.toml"
    path.write_text('reader = "other"\n' + path.read_text())
    suite.run("--qil-update=missing").assert_outcomes(passed=4)
    readers = {r.sample.case: r.reading.reader.name for r in suite.latest().results}
    assert readers == {"coffee": "other", "poster": "rapidocr"}
