"""A benchmark that was switched off measures nothing, so no test runs without it; its own table is shown on demand."""

import pytest


@pytest.mark.parametrize("flag", ["--benchmark-disable", "--benchmark-skip"])
@pytest.mark.parametrize("marks", [(), ("-m", "gpu")])
def test_a_benchmark_that_is_switched_off_is_refused(suite, flag, marks):
    suite.record()
    result = suite.run(flag, *marks)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*report cases measure latency, but {flag} disables that*", f"*remove {flag}*"])
    assert suite.generated() == []


def test_a_benchmark_plugin_that_is_not_loaded_is_refused(suite):
    result = suite.run_apart("-p", "no:benchmark")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pytest-benchmark is not loaded*", "*remove `-p no:benchmark`*"])


def test_the_other_tests_run_with_the_benchmark_off(suite):
    suite.pytester.makepyfile(test_unit="def test_unit(): pass")
    suite.run("--benchmark-disable", "-m", "not report_case").assert_outcomes(passed=1, deselected=4)


def test_a_benchmark_that_is_enabled_again_is_on(suite):
    suite.record()
    assert suite.run("--benchmark-disable", "--benchmark-enable").ret == 0


def test_benchmarks_alone_are_the_tests_of_the_suite(suite):
    suite.record()
    suite.pytester.makepyfile(test_unit="def test_unit(): pass")
    suite.run("--benchmark-only").assert_outcomes(passed=4, skipped=1)


@pytest.mark.slow
def test_workers_of_xdist_fail_each_test_with_one_line(suite):
    suite.record()
    result = suite.run_apart("-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*report cases measure latency, but pytest-xdist would generate several images at once", "*remove -n*"]
    )
    assert suite.generated() == []
    assert not (suite.path / "runs").exists()


def test_a_benchmark_that_switched_itself_off_is_refused(suite, monkeypatch):
    # as where a suite is run inside a worker of another pytest
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pytest-benchmark has disabled itself*", "*without pytest-xdist*"])


def test_pytest_benchmarks_own_table_is_shown_where_it_is_asked_for(suite):
    result = suite.run()
    assert "Outliers" not in result.stdout.str()
    assert suite.run("--qil-reuse", "--benchmark-json=again.json").ret == result.ret
    assert "Outliers" in suite.run("--qil-fresh", "--benchmark-columns=min,outliers").stdout.str()


def test_no_warning_says_that_reused_images_have_no_benchmark(suite):
    suite.run()
    result = suite.run("--qil-reuse", "--benchmark-json=again.json")
    assert "Not saving anything" not in result.stdout.str() + result.stderr.str()


def test_a_projects_own_benchmarks_keep_their_table(suite):
    (suite.path / "test_own.py").write_text("def test_own(benchmark):\n    benchmark(sum, [1, 2])\n")
    assert "Outliers" in suite.run().stdout.str()
