"""`--qil-update`: the only way in which a golden changes."""

import json
import re
import shlex

import pytest

from qiltest.engine.options import CI_VARIABLES
from qiltest.gate import Verdict

TYPO = {"typos": {"Qwen Coffee": "Qwen Cofee"}}


def read(suite, name):
    return json.loads((suite.path / "golden" / name).read_text())


def test_without_a_golden_every_test_fails_as_new_and_names_the_command(suite):
    result = suite.run()
    result.assert_outcomes(failed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["NEW * no golden for this image yet", "accept *--qil-update=missing --qil-accept=*"])
    assert suite.goldens() == []
    assert {r.verdict for r in suite.latest().results} == {Verdict.NEW}


def test_missing_writes_one_small_file_an_image(suite):
    suite.run("--qil-update=missing").assert_outcomes(passed=4)
    assert suite.goldens() == [
        "tiny/coffee@1328x1328/base-s42.json",
        "tiny/coffee@1328x1328/fast-s42.json",
        "tiny/poster@1328x1328/base-s42.json",
        "tiny/poster@1328x1328/fast-s42.json",
    ]
    golden = read(suite, "tiny/coffee@1328x1328/fast-s42.json")
    assert golden["schema"] == 3
    assert golden["effective"] == "256x128"
    assert golden["texts"][0] == {"expected": "Qwen Coffee", "read": "Qwen Coffee", "distance": 0, "beside": []}
    assert all(result.golden_recorded for result in suite.latest().results)


def test_missing_leaves_a_golden_alone_that_is_there(suite):
    suite.record()
    before = read(suite, "tiny/coffee@1328x1328/fast-s42.json")
    suite.plan(coffee__fast=TYPO)
    suite.run("--qil-update=missing").assert_outcomes(passed=3, failed=1)
    assert read(suite, "tiny/coffee@1328x1328/fast-s42.json") == before


def test_changed_replaces_what_differs_and_nothing_else(suite):
    suite.record()
    untouched = suite.path / "golden" / "tiny/poster@1328x1328/base-s42.json"
    (suite.path / "golden" / "tiny/poster@1328x1328/fast-s42.json").unlink()
    stamp = untouched.stat().st_mtime_ns
    suite.plan(coffee__fast=TYPO)
    suite.run("--qil-update=changed").assert_outcomes(passed=3, failed=1)
    assert read(suite, "tiny/coffee@1328x1328/fast-s42.json")["distance"] == 1
    assert untouched.stat().st_mtime_ns == stamp
    assert len(suite.goldens()) == 3


def test_changed_records_an_improvement_too(suite):
    suite.plan(coffee__fast=TYPO)
    suite.record()
    suite.plan()
    suite.run().assert_outcomes(passed=4)
    suite.run("--qil-update=changed").assert_outcomes(passed=4)
    assert read(suite, "tiny/coffee@1328x1328/fast-s42.json")["distance"] == 0


def test_all_writes_every_golden_anew(suite):
    suite.record()
    stamps = {name: (suite.path / "golden" / name).stat().st_mtime_ns for name in suite.goldens()}
    suite.run("--qil-update=all").assert_outcomes(passed=4)
    assert all((suite.path / "golden" / name).stat().st_mtime_ns > stamp for name, stamp in stamps.items())


def test_two_recordings_of_one_image_are_the_same_bytes(suite):
    suite.record()
    before = {name: (suite.path / "golden" / name).read_bytes() for name in suite.goldens()}
    assert suite.run("--qil-update=all").ret == 0
    assert {name: (suite.path / "golden" / name).read_bytes() for name in suite.goldens()} == before


@pytest.mark.parametrize("mode", ["missing", "changed", "all"])
def test_no_golden_changes_where_ci_is_set(suite, monkeypatch, mode):
    monkeypatch.setenv("CI", "true")
    result = suite.run(f"--qil-update={mode}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--qil-update={mode} is refused because CI is set*", "*run it on your machine*"])
    assert suite.goldens() == []
    assert suite.generated() == []


@pytest.mark.parametrize("ci", [None, "false"])
@pytest.mark.parametrize("variable", [name for name in CI_VARIABLES if name != "CI"])
def test_a_ci_that_is_not_called_ci_is_one(suite, monkeypatch, variable, ci):
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    monkeypatch.setenv(variable, "https://ci.example/ 2026.1")
    result = suite.run("--qil-update=all")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--qil-update=all is refused because {variable} is set*", "*on your machine*"])
    assert suite.goldens() == []


@pytest.mark.parametrize("value", ["", "0", "false", "False"])
def test_a_variable_that_says_no_is_not_ci(suite, monkeypatch, value):
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    assert suite.run("--qil-update=missing").ret == 0


def test_ci_set_to_false_is_not_ci(suite, monkeypatch):
    monkeypatch.setenv("CI", "false")
    assert suite.run("--qil-update=missing").ret == 0


def test_without_a_golden_an_absolute_limit_decides_and_the_table_says_so(suite, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + "\n[limits]\nabsolute = 1\n")
    suite.plan(coffee__fast=TYPO)
    result = suite.run("--qil-case=coffee")
    assert result.ret == 0
    said = " ".join(result.stdout.str().replace("│", " ").split())
    assert re.search(r"PASS ✓ \d+/\d+ \(1\) ", said)
    assert "(1) no golden: absolute limit 1" in said
    assert "1/18 (1) (2) 500ms" in said
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwn Cofee"}})
    suite.run("--qil-case=coffee").assert_outcomes(passed=1, failed=1)


def test_an_absolute_limit_holds_against_every_update(suite):
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + "\n[limits]\ntolerance = 0\nabsolute = 0\n")
    suite.plan(coffee__fast=TYPO)
    result = suite.run("--qil-update=all")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAIL *distance 1 is above the case's absolute limit 0", "accept * not possible*"])
    assert "tiny/coffee@1328x1328/fast-s42.json" not in suite.goldens()


def test_a_distance_within_the_tolerance_passes_and_one_above_fails(suite):
    for name in ("coffee", "poster"):
        path = suite.path / "cases" / f"{name}.toml"
        path.write_text(path.read_text() + "\n[limits]\ntolerance = 1\n")
    suite.record()
    suite.plan(coffee__fast=TYPO, poster__fast={"typos": {"Enter a world": "Entr wrld"}})
    result = suite.run()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["FAIL * above the limit 1 (golden 0 + tolerance 1)"])


def test_an_unknown_mode_is_refused(suite):
    result = suite.run_apart("--qil-update=yes")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--qil-update: yes is not a choice*"])


GARBAGE = {"typos": {"Qwen Coffee": "XXXXXXX", "2 dollars": "YYYY"}}
FAST = "tiny/coffee@1328x1328/fast-s42.json"


def printed(result):
    """The arguments of the command that accepts the failing image."""
    (line,) = (line for line in result.outlines if line.startswith("accept "))
    return shlex.split(line)[2:]


def test_the_printed_command_accepts_the_image_that_was_shown(suite):
    suite.record()
    suite.plan(coffee__fast=TYPO)
    command = printed(suite.run("--qil-case=coffee"))
    (named,) = (argument for argument in command if argument.startswith("--qil-accept="))
    assert suite.latest().result("coffee@1328x1328-fast-s42").image.sha256.startswith(named.partition("=")[2])
    suite.run(*command).assert_outcomes(passed=1)
    assert read(suite, FAST)["distance"] == 1
    assert suite.run("--qil-reuse", "--qil-case=coffee").ret == 0


@pytest.mark.parametrize("other", [GARBAGE, {"typos": {"Qwen Coffee": "Qwen Coffe"}}, {}])
def test_the_printed_command_accepts_no_other_image(suite, other):
    suite.record()
    suite.plan(coffee__fast=TYPO)
    command = printed(suite.run("--qil-case=coffee"))
    suite.plan(coffee__fast=other)
    suite.run("--qil-case=coffee", "--qil-fresh")  # the same recipe, generated otherwise by a session in between
    suite.plan()
    result = suite.run(*command)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["ERROR *this is image *, not * (--qil-accept): nothing was recorded", "*-> *look at this image first"]
    )
    assert read(suite, FAST)["distance"] == 0


@pytest.mark.parametrize("value", ["abc", "z" * 16, "", "a" * 65, "a" * 16 + ","])
def test_what_is_no_hash_of_an_image_accepts_nothing(suite, value):
    result = suite.run("--qil-update=missing", f"--qil-accept={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert suite.goldens() == []


def test_a_hash_without_an_update_is_refused(suite):
    result = suite.run(f"--qil-accept={'a' * 16}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--qil-accept says whose golden --qil-update may write*", "*give both*"])


@pytest.mark.parametrize("mode", ["missing", "changed", "all"])
def test_a_text_of_garbage_is_recorded_only_by_somebody_who_names_its_image(suite, mode):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "XXXXXXXXXX"}})
    if mode == "changed":
        suite.plan()
        suite.record()
        suite.plan(coffee__fast={"typos": {"Qwen Coffee": "XXXXXXXXXX"}})
    result = suite.run(f"--qil-update={mode}", "--qil-case=coffee")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["note *golden not recorded: 'Qwen Coffee' was read with less than half of its characters right"]
    )
    assert FAST not in suite.goldens() or read(suite, FAST)["distance"] == 0
    suite.run(*printed(result)).assert_outcomes(passed=1)
    assert read(suite, FAST)["distance"] == 10
    assert suite.run("--qil-update=all", "--qil-case=coffee").ret == 0  # the same garbage was seen already


def test_an_image_that_passes_but_was_not_recorded_fails_the_session_and_is_named(suite):
    path = suite.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + "\n[limits]\nabsolute = 12\n")
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "XXXXXXXXXX"}})
    result = suite.run("--qil-update=missing", "--qil-case=coffee")
    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "qiltest: coffee@1328x1328-fast-s42: golden not recorded: 'Qwen Coffee' was read with less*",
            "*qiltest review*",
        ]
    )
    assert FAST not in suite.goldens()


def test_a_golden_of_nothing_and_an_image_of_garbage_record_nothing(suite):
    suite.record()
    (suite.path / "golden" / FAST).write_bytes(b"garbage")
    suite.plan(coffee__fast=GARBAGE)
    assert suite.run("--qil-update=changed").ret == pytest.ExitCode.TESTS_FAILED
    assert (suite.path / "golden" / FAST).read_bytes() == b"garbage"
