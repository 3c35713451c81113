"""A session from its first image to the verdict."""

import json
import shlex

import pytest

from qiltest.gate import Verdict
from qiltest.runs import RunState


def test_recorded_goldens_let_the_next_session_pass(suite):
    suite.record()
    result = suite.run()
    result.assert_outcomes(passed=4)
    run = suite.latest()
    assert run.state is RunState.FINISHED
    assert run.full
    assert {r.verdict for r in run.results} == {Verdict.PASS}
    assert [r.id for r in run.results] == [sample.id for sample in run.planned]


def test_each_variant_is_switched_to_once(suite):
    suite.run()
    assert [line.split()[1] for line in suite.generated()] == ["base", "base", "fast", "fast"]


def test_a_test_is_named_after_case_resolution_variant_and_seed(suite):
    result = suite.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(["test_suite.py::test_report_case[[]coffee@1328x1328-fast-s42[]]"])


def test_other_tests_keep_their_places(suite):
    suite.pytester.makepyfile(test_aaa="def test_first(): pass", test_zzz="def test_last(): pass")
    suite.record()
    result = suite.run("-v")
    lines = [line for line in result.outlines if "PASSED" in line]
    assert "test_first" in lines[0]
    assert "test_last" in lines[-1]
    assert len(lines) == 6


def test_all_prompts_are_encoded_before_the_first_image(suite):
    suite.run()
    log = (suite.path / "generated.log").read_text().splitlines()
    # two prompts and the negative prompt of the one variant with CFG
    assert log[0] == "prepare 3"
    assert not any(line.startswith("prepare") for line in log[1:])


def test_the_benchmark_records_the_denoising_with_what_belongs_to_it(suite):
    suite.record()
    assert suite.run("--benchmark-json=bench.json").ret == 0
    benchmarks = json.loads((suite.path / "bench.json").read_text())["benchmarks"]
    assert len(benchmarks) == 4
    benchmark = next(b for b in benchmarks if "coffee@1328x1328-base" in b["name"])
    # the seconds of the loop as the generator measured them, not those of the call around it
    assert benchmark["stats"]["data"] == [pytest.approx(0.5)]
    info = benchmark["extra_info"]
    assert info["case"] == "coffee"
    assert info["asked"] == "256x128"
    assert info["forwards"] == 8
    assert info["decode_seconds"] == 0.01
    assert info["distance"] == 0


def test_a_typo_fails_its_own_test_alone(suite):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_suite.py::test_report_case[[]coffee@1328x1328-fast-s42[]]*"])


def test_the_message_comes_in_the_order_of_the_questions(suite):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    result = suite.run()
    result.stdout.fnmatch_lines(
        [
            "case * coffee@1328x1328: The coffee sign",
            "variant * fast: Fast, 2 steps, seed 42",
            "expected * Qwen Coffee",
            "read * Qwen Co*[[]-f-[]]*ee * distance 1, new since the golden",
            "distance * 1, limit 0 (the reader's own error on this case: not measured)",
            "FAIL * distance 1 is above the limit 0 (golden 0 + tolerance 0)",
            "golden * distance was 0, is 1",
            "* read was 'Qwen Coffee', is 'Qwen Cofee'",
            "image * /*/runs/*/images/*.png",
            "accept * pytest *coffee@1328x1328-fast-s42* --qil-reuse --qil-update=changed --qil-accept=*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "case_run.py" not in result.stdout.str()


def test_the_command_in_the_message_accepts_the_very_image_that_was_seen(suite):
    suite.record()
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    assert suite.run().ret == 1
    suite.generated()
    accept = next(line for line in suite.run("--qil-reuse").outlines if line.startswith("accept"))
    words = accept.split(maxsplit=2)[2].replace("'", "").split()
    assert suite.run(*words).ret == 0
    assert suite.generated() == []
    suite.run("--qil-reuse").assert_outcomes(passed=4)


@pytest.mark.slow
def test_the_command_is_written_for_where_pytest_was_called(suite, monkeypatch):
    (suite.path / "pytest.ini").write_text("[pytest]\n")
    (suite.path / "below").mkdir()
    monkeypatch.chdir(suite.path / "below")
    done = suite.run("-k", "coffee and fast", "..")
    accept = next(line for line in done.outlines if line.startswith("accept"))
    words = shlex.split(accept.removeprefix("accept"))
    assert words[1] == "../test_suite.py::test_report_case[coffee@1328x1328-fast-s42]"
    assert words[0] == "pytest"
    assert suite.run(*words[1:]).ret == 0
    assert suite.goldens() == ["tiny/coffee@1328x1328/fast-s42.json"]


def test_breaking_an_expected_text_fails_its_tests_and_no_others(suite):
    suite.record()
    suite.case("coffee", first="Qwen Coffee", second="2 dollars")
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text().replace('text = "2 dollars"', 'text = "3 dollars"\nin_prompt = false'))
    suite.plan(coffee__base={"typos": {"3 dollars": "2 dollars"}}, coffee__fast={"typos": {"3 dollars": "2 dollars"}})
    result = suite.run()
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(
        [
            "expected * 3 dollars",
            "read * [[]-3-[]]{+2+} dollars * distance 1",
            "FAIL * distance 1 is above the limit 0*",
            "* the case's expected texts changed since the golden was recorded*'3 dollars'*'2 dollars'*",
        ]
    )


def test_a_drawn_text_that_nobody_asked_for_fails_where_it_repeats_one(suite):
    suite.record()
    suite.plan(poster__base={"extra": ["Imagination Unleashed"]})
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["extra * Imagination Unleashed *"])


def test_the_summary_shows_every_case_and_variant_and_where_the_report_is(suite):
    suite.record()
    result = suite.run()
    out = result.stdout.str()
    for word in ("coffee", "poster", "base", "fast", "PASS"):
        assert word in out
    result.stdout.fnmatch_lines(["qiltest: report */report.html"])
    assert (suite.latest().path / "report.html").read_bytes().startswith(b"<!")


def test_without_a_terminal_no_progress_is_written(suite):
    suite.record()
    result = suite.run_apart()
    assert result.ret == 0
    assert "\x1b" not in result.stdout.str() + result.stderr.str()


def test_a_folder_without_tests_of_the_suite_is_left_alone(pytester):
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
    assert "qiltest:" not in result.stdout.str()
    assert not (pytester.path / "runs").exists()
