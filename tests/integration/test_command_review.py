"""`qiltest review`: what a run would change in the goldens, decided image by image."""

import hashlib
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import apart
from qiltest.cli.main import main

TYPO = {"typos": {"Qwen Coffee": "Qwen Cofee"}}
COFFEE, POSTER = "tiny/coffee@1328x1328/fast-s42.json", "tiny/poster@1328x1328/fast-s42.json"
RUN = [sys.executable, "-c", "import sys; from qiltest.cli.main import main; sys.exit(main(sys.argv[1:]))", "review"]


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """Where the first test keeps what the others begin with."""
    return tmp_path_factory.mktemp("changed") / "suite"


@pytest.fixture
def changed(suite, once, monkeypatch):
    """A suite with goldens, and a run in which two images are another reading: one worse, one better."""
    if not once.exists():
        suite.plan(poster__fast={"typos": {"Enter a world": "Enter world"}})
        suite.run("--qil-update=missing")
        suite.plan(coffee__fast=TYPO)
        suite.run()
        shutil.copytree(suite.path, once)
    shutil.copytree(once, suite.path, dirs_exist_ok=True)
    monkeypatch.chdir(suite.path)
    return suite


@pytest.fixture
def answers(monkeypatch):
    """Type these lines at a terminal."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    return lambda *lines: monkeypatch.setattr("sys.stdin", Terminal("".join(f"{line}\n" for line in lines)))


def golden(suite, name):
    return json.loads((suite.path / "golden" / name).read_text())


def test_each_is_shown_with_old_and_new_and_accepted_or_rejected(changed, answers, capsys):
    answers("r", "a")
    before = golden(changed, COFFEE)
    assert main(["review"]) == 1
    out = capsys.readouterr().out
    new = changed.latest().result("coffee@1328x1328-fast-s42").image.path
    old = next(changed.path.glob(f"runs/*/images/{before['image']}.png"))
    for line in (
        "[1/2] coffee@1328x1328-fast-s42   CHANGED: the golden would be replaced; verdict FAIL",
        "  distance   0 -> 1 of 18 characters",
        "  expected   Qwen Coffee",
        "    before   Qwen Coffee   distance 0",
        "    now      Qwen Co[-f-]fee   distance 1",
        "  why        distance 1 is above the limit 0 (golden 0 + tolerance 0)",
        "  changed    same recipe, different image",
        f"  old        {old}",
        f"  new        {new.absolute()}",
        "[2/2] poster@1328x1328-fast-s42   CHANGED: the golden would be replaced; verdict PASS",
        "1 accepted, 1 rejected, 0 skipped, 0 left",
    ):
        assert line in out
    assert golden(changed, COFFEE) == before
    assert golden(changed, POSTER)["distance"] == 0


def test_texts_that_changed_are_shown_and_the_rest_on_demand(suite, monkeypatch, answers, capsys):
    suite.plan(coffee__fast={"typos": {"2 dollars": "2 dolars"}})
    suite.run("--qil-update=missing")
    suite.plan(coffee__fast={"typos": {"2 dollars": "2 dolars", "Qwen Coffee": "Qwen Cofee"}})
    suite.run()
    monkeypatch.chdir(suite.path)
    answers("v", "a")
    capsys.readouterr()
    assert main(["review"]) == 0
    first, second = capsys.readouterr().out.split("all texts (v)")[:2]
    assert "  expected   Qwen Coffee\n    before   Qwen Coffee   distance 0" in first
    assert "  unchanged  1 text, 1 of them with accepted errors" in first
    assert "2 dollars" not in first
    assert "    now      2 do[-l-]lars   distance 1" in second
    assert second.index("Qwen Coffee") < second.index("2 dollars")
    assert "unchanged" not in second


def test_what_was_rejected_is_not_asked_again_unless_wanted_and_still_does_not_hold(changed, answers, capsys):
    answers("r", "s")
    main(["review"])
    answers("s")
    assert main(["review"]) == 1
    out = capsys.readouterr().out
    assert "[1/1] poster@1328x1328-fast-s42" in out
    assert "1 rejected before (--again asks again): coffee@1328x1328-fast-s42" in out
    answers("a", "a")
    assert main(["review", "--again"]) == 0
    assert golden(changed, COFFEE)["distance"] == 1
    assert main(["review"]) == 0


def test_an_accepted_golden_is_what_the_update_option_would_have_written(changed, answers):
    answers("a", "a")
    assert main(["review"]) == 0
    reviewed = {name: (changed.path / "golden" / name).read_bytes() for name in changed.goldens()}
    assert changed.run("--qil-reuse", "--qil-update=all").ret == 0
    assert {name: (changed.path / "golden" / name).read_bytes() for name in changed.goldens()} == reviewed


def test_new_goldens_are_accepted_all_at_once(suite, monkeypatch, capsys):
    suite.run()
    monkeypatch.chdir(suite.path)
    assert main(["review", "--accept-all"]) == 0
    assert "4 accepted, 0 rejected, 0 skipped, 0 left" in capsys.readouterr().out
    suite.run("--qil-reuse").assert_outcomes(passed=4)


def test_what_an_update_recorded_is_reviewed_too_and_put_back_where_rejected(changed, answers, capsys):
    before = golden(changed, COFFEE)
    (changed.path / "golden" / POSTER).unlink()
    changed.run("--qil-update=all")
    assert golden(changed, COFFEE) != before
    answers("r", "r")
    assert main(["review"]) == 1
    out = capsys.readouterr().out
    assert "RECORDED: --qil-update has written the golden; rejecting restores the one before" in out
    assert golden(changed, COFFEE) == before
    assert not (changed.path / "golden" / POSTER).exists()
    answers("a", "a")
    assert main(["review", "--again"]) == 0
    assert golden(changed, COFFEE)["distance"] == 1
    capsys.readouterr()
    assert main(["review"]) == 0
    assert "0 accepted, 0 rejected, 0 skipped, 0 left" in capsys.readouterr().out


def test_a_distance_above_the_absolute_limit_cannot_be_accepted(changed, answers, capsys):
    path = changed.path / "cases" / "coffee.toml"
    path.write_text(path.read_text() + "\n[limits]\nabsolute = 0\n")
    changed.run()
    before = golden(changed, COFFEE)
    answers("a", "s", "s")
    assert main(["review"]) == 1
    assert "  blocked    distance 1 is above the case's absolute limit 0" in capsys.readouterr().out
    assert main(["review", "--accept-all"]) == 1
    said = "coffee@1328x1328-fast-s42: cannot be accepted: distance 1 is above the case's absolute limit 0\n"
    assert said in capsys.readouterr().out
    assert golden(changed, COFFEE) == before
    assert golden(changed, POSTER)["distance"] == 0


def test_a_golden_that_changed_since_it_was_shown_is_left_alone(changed, monkeypatch, capsys):
    class Meanwhile(io.StringIO):
        def isatty(self):
            return True

        def readline(self):
            (changed.path / "golden" / COFFEE).unlink()
            return "a\n"

    monkeypatch.setattr("sys.stdin", Meanwhile())
    assert main(["review"]) == 2
    assert "the golden has changed since it was shown and was not written" in capsys.readouterr().err
    assert not (changed.path / "golden" / COFFEE).exists()


def test_what_cannot_be_a_golden_is_named_and_not_asked_about(changed, capsys):
    changed.plan(coffee__fast={"fault": "nan"})
    changed.run()
    main(["review", "--accept-all"])
    out = capsys.readouterr().out
    assert "coffee@1328x1328-fast-s42: fast: the image holds NaN" in out
    assert golden(changed, COFFEE)["distance"] == 0


def test_json_lists_and_changes_nothing_even_in_ci(changed, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    before = {name: (changed.path / "golden" / name).read_bytes() for name in changed.goldens()}
    assert main(["review", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    first, second = said["items"]
    assert (first["sample"], first["change"], first["verdict"]) == ("coffee@1328x1328-fast-s42", "CHANGED", "FAIL")
    assert (first["distance"], first["decision"]) == ({"before": 0, "after": 1}, None)
    assert first["texts"][0] == {"expected": "Qwen Coffee", "before": "Qwen Coffee", "after": "Qwen Cofee"}
    assert all(Path(first["image"][side]).is_file() for side in ("before", "after"))
    assert second["distance"] == {"before": 1, "after": 0}
    assert {name: (changed.path / "golden" / name).read_bytes() for name in changed.goldens()} == before


@pytest.mark.parametrize("args", [[], ["--accept-all"], ["--accept-all", "--json"]])
def test_ci_refuses_every_way_to_write(changed, monkeypatch, capsys, answers, args):
    monkeypatch.setenv("CI", "1")
    answers("a", "a")
    assert main(["review", *args]) == 2
    err = capsys.readouterr().err
    assert "reviewing is refused because CI is set" in err
    assert "  -> " in err
    assert golden(changed, COFFEE)["distance"] == 0


@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "JENKINS_URL", "TEAMCITY_VERSION", "BITBUCKET_BUILD_NUMBER"])
def test_a_ci_of_another_name_refuses_too_unless_a_person_says_otherwise(changed, monkeypatch, capsys, variable):
    monkeypatch.setenv("CI", "false")
    monkeypatch.setenv(variable, "7")
    assert main(["review", "--accept-all"]) == 2
    assert f"reviewing is refused because {variable} is set" in capsys.readouterr().err
    assert golden(changed, COFFEE)["distance"] == 0
    assert main(["review", "--accept-all", "--in-ci"]) == 0
    assert golden(changed, COFFEE)["distance"] == 1


@pytest.mark.slow
def test_reviews_at_the_same_time_keep_all_their_decisions(suite, monkeypatch, capsys):
    for name in ("tea", "menu"):
        suite.case(name, first="Hello World", second="Open today")
    suite.run("--qil-seeds=8")
    monkeypatch.chdir(suite.path)
    ours, theirs = pty.openpty()
    os.write(ours, b"r\n" * 64)
    reviews = [
        apart.begin("qiltest", ["review", "--case", name], suite.path, stdin=os.ttyname(theirs))
        for name in ("coffee", "poster", "tea", "menu")
    ]
    for review in reviews:
        review.wait()
    os.close(ours)
    os.close(theirs)
    assert [review.said("stderr") for review in reviews] == [""] * 4
    assert len(json.loads((suite.latest().path / "review.json").read_text())) == 64


def test_latencies_of_garbage_are_not_accepted(suite, monkeypatch):
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "zzzzzzzzz", "2 dollars": "####"}})
    suite.run("-m", "gpu", "--qil-case=coffee", "--qil-model=Qwen/Qwen-Image")
    monkeypatch.chdir(suite.path)
    main(["review", "--accept-all", "--accept-latency"])
    names = [name.rpartition("/")[2] for name in suite.goldens()]
    assert [name.partition("@")[0] for name in names if "@" in name] == ["base"]


def test_without_a_terminal_nobody_is_asked(changed, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("a\na\n"))
    assert main(["review"]) == 2
    assert "standard input is not a terminal" in capsys.readouterr().err
    assert golden(changed, COFFEE)["distance"] == 0


def test_a_run_that_does_not_exist_is_said_before_the_missing_terminal(changed, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["review", "nosuch"]) == 2
    err = capsys.readouterr().err
    assert "nosuch" in err
    assert "terminal" not in err


def test_quitting_or_the_end_of_input_leaves_the_rest(changed, answers, capsys):
    answers("what?", "q")
    assert main(["review"]) == 1
    out = capsys.readouterr().out
    assert out.count("accept (a), reject (r), skip (s), all texts (v), open images (o), quit (q)?") == 2
    assert "0 accepted, 0 rejected, 0 skipped, 2 left" in out
    answers()
    assert main(["review"]) == 1


def test_a_case_may_be_reviewed_alone(changed, capsys):
    assert main(["review", "--accept-all", "--case", "poster"]) == 0
    assert golden(changed, COFFEE)["distance"] == 0
    assert main(["review", "--json", "--case", "postr"]) == 2
    assert "no image of case 'postr'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_review_loses_nothing_accepted_and_the_next_goes_on(changed, capsys):
    ours, theirs = pty.openpty()
    child = apart.begin("qiltest", ["review"], changed.path, stdin=os.ttyname(theirs))
    os.write(ours, b"a\n")
    for _ in range(3600):  # a busy machine starts a process slowly
        if golden(changed, COFFEE)["distance"] == 1:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    code = child.wait(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert code == -signal.SIGKILL
    assert golden(changed, COFFEE)["distance"] == 1
    # the decision is noted after the golden is written: killed in between, its unfinished note may lie there
    assert not list((changed.path / "golden").rglob("*.tmp"))
    (changed.latest().path / "review.json").unlink(missing_ok=True)
    capsys.readouterr()
    assert main(["review", "--json", "--accept-all"]) == 0
    assert [item["sample"] for item in json.loads(capsys.readouterr().out)["items"]] == ["poster@1328x1328-fast-s42"]


def test_it_needs_neither_torch_nor_a_reader(changed):
    block = "import sys; sys.modules.update(torch=None, diffusers=None, rapidocr=None, onnxruntime=None); "
    command = [RUN[0], RUN[1], block + RUN[2], "review", "--accept-all"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=changed.path)
    assert (done.returncode, done.stderr) == (0, "")


def test_decisions_that_cannot_be_read_are_named(changed, capsys):
    (changed.latest().path / "review.json").write_text("{")
    assert main(["review", "--json"]) == 2
    assert "the decisions of an earlier review cannot be read" in capsys.readouterr().err


def test_latencies_are_not_accepted_where_ci_is_set_even_as_json(suite, monkeypatch, capsys):
    suite.run("-m", "gpu", "--qil-case=coffee")
    monkeypatch.chdir(suite.path)
    monkeypatch.setenv("CI", "true")
    assert main(["review", "--json", "--accept-latency"]) == 2
    assert "refused because CI is set" in capsys.readouterr().err
    assert suite.goldens() == []
    monkeypatch.delenv("CI")
    assert main(["review", "--json", "--accept-latency"]) == 1  # the texts are left to decide
    assert [name.split("/")[2] for name in suite.goldens()] == ["latency", "latency"]
    assert capsys.readouterr().err.count("latency golden ") == 2


@pytest.mark.parametrize("field", ["case", "variant"])
def test_a_run_whose_events_name_a_path_writes_nothing_anywhere(changed, capsys, field):
    """Each line and the whole chain are as a forger can make them."""
    run = changed.latest().path
    before, out = "", []
    for line in (run / "events.jsonl").read_bytes().splitlines():
        record = json.loads(line) | {"before": before}
        for sample in (record.get("sample"), *record.get("planned", ())):
            if sample:
                sample[field] = "../../../../outside/x"
        out.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())
        before = hashlib.sha256(out[-1]).hexdigest()
    (run / "events.jsonl").write_bytes(b"\n".join(out) + b"\n")
    files = sorted(changed.path.parent.rglob("*"))
    assert main(["review", "--accept-all"]) == 2
    assert "is no plain name" in capsys.readouterr().err
    assert sorted(changed.path.parent.rglob("*")) == files


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":"accepted","a":"rejected"}', '{"a":[]}', "[]", "1", '{"a":"x"}'])
def test_decisions_that_cannot_be_read_are_one_line(changed, capsys, text):
    (changed.latest().path / "review.json").write_text(text)
    assert main(["review", "--json"]) == 2
    err = capsys.readouterr().err
    assert "the decisions of an earlier review cannot be read" in err
    assert "remove the file; accepted goldens are kept" in err
