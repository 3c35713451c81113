"""`-m gpu`: the same tests on the real model, and no way to pass on nothing."""

import pytest

import apart
from qiltest.gate import Verdict


def refused(result, *lines):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    for line in lines:
        assert line in text
    assert "Traceback" not in text


def test_it_selects_the_same_tests_on_the_real_model(suite):
    result = suite.run("-m", "gpu", "--qil-update=missing")
    result.assert_outcomes(passed=4)
    run = suite.latest()
    assert run.model == "Qwen/Qwen-Image"
    assert run.device == "cuda"
    assert "Qwen/Qwen-Image/coffee@1328x1328/fast-s42.json" in suite.goldens()


def test_it_runs_the_embedded_model_where_asked(suite):
    assert suite.run("-m", "gpu", "--qil-model=tiny", "--qil-update=missing").ret == 0
    assert suite.latest().model == "tiny"


def test_tests_that_are_no_report_cases_are_left_out(suite):
    suite.pytester.makepyfile(test_unit="def test_unit(): pass")
    suite.run("-m", "gpu", "--qil-update=missing").assert_outcomes(passed=4, deselected=1)


def test_the_same_tests_run_on_the_embedded_model_without_it(suite):
    suite.run("-m", "not gpu", "--qil-update=missing").assert_outcomes(passed=4)
    suite.run("-m", "report_case").assert_outcomes(passed=4)
    assert suite.latest().model == "tiny"


@pytest.mark.slow
def test_no_device_ends_the_session_with_one_line(suite):
    suite.pytester.makeconftest("")
    result = suite.run_apart("-m", "gpu", "--qil-model=tiny", loads=apart.MODEL)
    refused(result, "qiltest: ", "  -> ")
    result.assert_outcomes()


def test_no_weights_end_the_session_with_one_line(suite):
    suite.pytester.makeconftest(
        """
        import pytest, qiltest.generation
        from qiltest.errors import DeviceError

        @pytest.fixture(autouse=True, scope="session")
        def no_weights():
            def open_generator(*args, **kwargs):
                raise DeviceError("no weights of Qwen/Qwen-Image here", remedy="download them first")
            qiltest.generation.open_generator = open_generator
        """
    )
    result = suite.run_apart("-m", "gpu")
    refused(result, "no weights of Qwen/Qwen-Image here", "-> download them first")
    assert suite.refusal() == "no weights of Qwen/Qwen-Image here\n  -> download them first"


def test_all_deselected_is_refused(suite):
    refused(
        suite.run("-m", "gpu", "-k", "nothing"),
        "-m gpu selects no report case: 4 were collected, all deselected",
        "check the paths, -k and --qil-case",
    )


def test_no_report_case_collected_is_refused_in_a_suites_folder(suite):
    suite.pytester.makepyfile(test_unit="import pytest\n@pytest.mark.gpu\ndef test_unit(): pass")
    refused(suite.run("-m", "gpu", "test_unit.py"), "-m gpu selects no report case: none was collected")
    assert suite.run("-m", "gpu and not report_case", "test_unit.py").ret == 0


def test_a_folder_that_is_no_suite_may_use_the_mark_as_it_likes(pytester):
    pytester.makepyfile("import pytest\n@pytest.mark.gpu\ndef test_unit(): pass")
    assert pytester.runpytest_inprocess("-m", "gpu").ret == 0


def test_every_test_skipped_is_a_failure(suite):
    (suite.path / "conftest.py").write_text(
        (suite.path / "conftest.py").read_text()
        + "\n\n@pytest.fixture(autouse=True)\ndef skip_all():\n    pytest.skip('no GPU today')\n"
    )
    result = suite.run("-m", "gpu")
    result.assert_outcomes(skipped=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["qiltest: nothing was tested: all 4 report cases were skipped", "*run with -rs*"])


def test_every_test_skipped_is_a_failure_without_it_too(suite):
    (suite.path / "test_suite.py").write_text(
        "import pytest\n@pytest.mark.skip\ndef test_report_case(qil_case_run): qil_case_run.check()\n"
    )
    result = suite.run()
    result.assert_outcomes(skipped=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("device", ["cpu", "cpu:0", "cpu:1", "CPU", "Cpu:0", " cpu", "cpu "])
def test_the_cpu_cannot_be_asked_for_with_it(suite, device):
    """Without this a session for a GPU would generate on the CPU, and record that."""
    options = ("-m", "gpu", f"--qil-device={device}", "--qil-update=missing")
    refused(suite.run(*options), f"-m gpu and --qil-device={device} exclude each other")
    assert suite.generated() == []


@pytest.mark.parametrize("device", ["", " ", "meta", "meta:0", ":0"])
@pytest.mark.parametrize("marks", [("-m", "gpu"), ()])
def test_a_device_that_is_none_is_refused(suite, device, marks):
    refused(suite.run(*marks, f"--qil-device={device}"), f"--qil-device: {device!r} is no device that generates")
    assert suite.generated() == []


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cuda:99", "tpu"])
def test_a_gpu_that_is_not_there_ends_the_session_with_one_line(suite, device):
    suite.pytester.makeconftest("")
    result = suite.run_apart("-m", "gpu", "--qil-model=tiny", f"--qil-device={device}", loads=apart.MODEL)
    refused(result, "qiltest: ", device, "  -> ")
    result.assert_outcomes()
    assert not (suite.path / "golden").exists()


def test_random_weights_are_timed_and_their_text_is_not_judged(suite):
    path = suite.path / "conftest.py"
    path.write_text(path.read_text().replace("judges_text = True", "judges_text = False"))
    result = suite.run("-m", "gpu", "--qil-model=random", "--qil-update=missing")
    result.assert_outcomes(passed=4)
    run = suite.latest()
    assert all(r.judgement is None and r.reading is None for r in run.results)
    assert all(r.latency is not None and r.latency.verdict is Verdict.INCOMPARABLE for r in run.results)
    suite.run("-m", "gpu", "--qil-model=random").assert_outcomes(passed=4)
