"""An error that moves: as many edits as the golden has, in another text or at another character."""

import html
import io
import json

import pytest

from qiltest.cli.main import main
from qiltest.engine.rescore import rescore
from qiltest.gate import GoldenStore, Verdict
from qiltest.runs import RunStore

BEFORE, AFTER = {"typos": {"Qwen Coffee": "Qwen Cofee"}}, {"typos": {"2 dollars": "2 dollers"}}
MOVED = "text 2 '2 dollars': 1 new error: 'a' -> 'e' at character 6"


@pytest.fixture
def recorded(suite, monkeypatch):
    """A suite whose golden of one image has an error in the first text."""
    monkeypatch.chdir(suite.path)
    suite.plan(coffee__fast=BEFORE)
    suite.run("--qil-update=missing")
    assert suite.run().ret == pytest.ExitCode.OK
    return suite


def assert_one_fails(suite, reason):
    result = suite.run("--junitxml=junit.xml")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    distance = "distance * 1, limit 1, 1 new error (the reader's own error on this case: not measured)"
    result.stdout.fnmatch_lines(
        [distance, f"FAIL * {reason}", "golden * distance was 1, is 1", "accept * --qil-accept=*"]
    )
    return result


def test_an_error_that_moves_to_another_text_fails_and_is_named_everywhere(recorded, capsys):
    recorded.plan(coffee__fast=AFTER)
    assert_one_fails(recorded, MOVED)
    run = recorded.latest().path
    junit = (recorded.path / "junit.xml").read_text()
    assert MOVED in html.unescape(junit)
    assert '<property name="qiltest.new_errors" value="1" />' in junit
    assert MOVED in html.unescape((run / "report.html").read_text())
    capsys.readouterr()
    assert main(["report", "latest", "--format=json"]) == 0
    (image,) = [one for one in json.loads((run / "report.json").read_text())["images"] if one["verdict"] == "FAIL"]
    assert image["reasons"] == [MOVED]
    assert main(["report", "latest", "--format=md"]) == 0
    text = (run / "report.md").read_text()
    assert "❌ **FAIL** 1 edit, limit 1, 1 new error<br>“2 doll<b>e</b>rs”" in text
    assert "| worse | coffee@1328x1328-fast-s42 | 1 | 1 |" in text
    capsys.readouterr()
    assert main(["verify", "latest"]) == 1
    assert f"coffee@1328x1328-fast-s42: FAIL: {MOVED} -> " in capsys.readouterr().out


def test_an_error_that_moves_to_another_character_fails(recorded):
    recorded.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwxn Coffee"}})
    assert_one_fails(recorded, "text 1 'Qwen Coffee': 1 new error: 'e' -> 'x' at character 3")


def test_the_same_place_misread_otherwise_passes(recorded):
    recorded.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofsee"}})
    result = recorded.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.OK


def test_a_case_may_let_errors_move(recorded):
    path = recorded.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + "\n[limits]\ntext_tolerance = 1\n")
    recorded.plan(coffee__fast=AFTER)
    assert recorded.run().ret == pytest.ExitCode.OK


def test_the_review_says_why(recorded, monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    recorded.plan(coffee__fast=AFTER)
    recorded.run()
    monkeypatch.setattr("sys.stdin", Terminal("q\n"))
    assert main(["review"]) == 1
    assert f"  why        {MOVED}\n" in capsys.readouterr().out


def move_the_goldens_error(suite):
    path = suite.path / "golden/tiny/coffee@1328x1328/fast-s42.json"
    golden = json.loads(path.read_text())
    first, second = golden["texts"]
    golden["texts"] = [
        first | {"read": "Qwen Coffee", "distance": 0},
        second | {"read": "2 dollers", "distance": 1},
    ]
    path.write_text(json.dumps(golden))


def test_a_stored_run_is_judged_text_by_text_again(recorded, capsys):
    move_the_goldens_error(recorded)
    capsys.readouterr()
    assert main(["verify", "latest"]) == 1
    said = "stored as PASS, now FAIL: text 1 'Qwen Coffee': 1 new error: 'f' missing at character 7"
    assert f"coffee@1328x1328-fast-s42: {said}" in capsys.readouterr().out


class SameReader:
    """Returns what was read before."""

    def __init__(self, run):
        self.info = run.reader
        self.known = {result.image.path.name: result.reading for result in run.results}

    def read(self, image):
        return self.known[image.name]


def test_rescoring_judges_text_by_text(recorded):
    move_the_goldens_error(recorded)
    run, goldens = recorded.latest(), GoldenStore(root=recorded.path / "golden")
    found = rescore(run, store=RunStore(root=run.path.parent), goldens=goldens, opener=lambda _: SameReader(run))
    assert not found.passes
    judgement = found.after.result("coffee@1328x1328-fast-s42").judgement
    assert judgement.verdict is Verdict.FAIL
    assert judgement.reasons == ("text 1 'Qwen Coffee': 1 new error: 'f' missing at character 7",)
