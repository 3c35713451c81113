"""What surrounds a session fails: full disks, folders that go, clocks, locales and odd paths. Nothing is lost."""

import ctypes
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from hostile_texts import acting
from qiltest.cli.main import main
from qiltest.runs import RunState, RunStore, events
from qiltest.runs import store as storing

ALL = ["coffee base 42", "poster base 42", "coffee fast 42", "poster fast 42"]
#: sessions of their own, killed, interrupted or short of room.
pytestmark = pytest.mark.slow
#: added to the conftest.py of a suite: does something, once, when half of the images are generated.
MEANWHILE = """

import shutil  # noqa: E402


def acting(self, recipe, real=StandinGenerator.denoise):
    if recipe.variant == "fast" and (HERE / "acts").exists():
        (HERE / "acts").unlink()
        run = next((HERE / "runs").glob("*/events.jsonl")).parent
        {act}
    return real(self, recipe)


StandinGenerator.denoise = acting
"""


def meanwhile(suite, act):
    conftest = suite.path / "conftest.py"
    conftest.write_text(conftest.read_text() + MEANWHILE.format(act=act))
    (suite.path / "acts").touch()


def told(result):
    """The session's own lines, without a traceback."""
    text = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    return text


# full disks


#: what a full disk can take, in the order in which a session writes, and the session's exit code.
LOST = {
    "images: the image cannot be stored": 2,
    "events.jsonl: the event cannot be written": 2,
    "the run cannot be added to the history of": 1,
    "report.md cannot be written": 1,
    "report.html cannot be written": 1,
}


def test_a_full_disk_at_each_write_is_said_and_the_same_command_goes_on(suite, disk):
    suite.record()
    where = ("--qil-runs", str(disk.path / "runs"))
    seen, result, kilobytes = set(), None, 0
    while kilobytes < 200:
        # a page more each time; the HTML report is the last to be written, and much larger than a page
        kilobytes += 24 if seen == set(LOST) else 4
        disk.room(f"{kilobytes}k")
        result = suite.run(*where)
        generated = suite.generated()
        if result.ret == 0:
            break
        lost = {what for what in LOST for line in told(result).splitlines() if what in line and "No space" in line}
        assert result.ret == max(map(LOST.get, lost)), f"{kilobytes} kB: {lost}"
        seen |= lost
        run = RunStore(root=disk.path / "runs").load("latest")
        kept = [r for r in run.results if r.image is not None]
        # what ended the session, where it could be written
        assert all(any(map(problem.__contains__, lost)) for problem in run.problems)
        assert len(run.problems) <= 1
        assert len(generated) - len(kept) in {0, 1}
        disk.room("4m")
        assert suite.run(*where).ret == 0
        assert suite.generated() == ALL[len(kept) :]
        assert list(disk.path.rglob("*.tmp")) == []
        shutil.rmtree(disk.path / "runs")
    assert result.ret == 0, "no room was ever enough"
    assert seen == set(LOST)


def test_a_disk_without_any_room_is_said_before_anything_is_generated(suite, disk):
    suite.record()
    (disk.path / "runs").mkdir()
    disk.fill()
    result = suite.run("--qil-runs", str(disk.path / "runs"))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "No space left on device" in told(result)
    assert suite.generated() == []
    (disk.path / "filler").unlink()
    disk.room("4m")
    assert suite.run("--qil-runs", str(disk.path / "runs")).ret == 0
    assert suite.generated() == ALL


def test_goldens_on_a_full_disk_are_the_old_ones_and_the_failure_says_why(suite, disk):
    suite.record()
    shutil.copytree(suite.path / "golden", disk.path / "golden")
    name = "tiny/coffee@1328x1328/base-s42.json"
    new = disk.path / "golden" / name.replace("base", "fast")
    old = (disk.path / "golden" / name).read_bytes()
    new.unlink()
    disk.fill()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    result = suite.run("--qil-golden", str(disk.path / "golden"), "--qil-update=all")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "the small copy of the golden's image cannot be written: No space left on device" in told(result)
    assert (disk.path / "golden" / name).read_bytes() == old
    assert not new.exists()
    assert list(disk.path.rglob("*.tmp")) == []
    (disk.path / "filler").unlink()
    assert suite.run("--qil-golden", str(disk.path / "golden"), "--qil-update=all").ret == 0
    assert new.exists()


def test_review_on_a_full_disk_keeps_the_golden_and_accepts_it_later(suite, disk, monkeypatch, capsys):
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    assert suite.run().ret == pytest.ExitCode.TESTS_FAILED
    shutil.copytree(suite.path / "golden", disk.path / "golden")
    golden = disk.path / "golden" / "tiny/coffee@1328x1328/base-s42.json"
    old = golden.read_bytes()
    disk.fill()
    monkeypatch.chdir(suite.path)
    words = ("review", "latest", "--accept-all", "--golden", str(disk.path / "golden"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "the small copy of the golden's image cannot be written: No space left on device" in said
    assert golden.read_bytes() == old
    (disk.path / "filler").unlink()
    assert main(words) == 0
    assert golden.read_bytes() != old


# folders and files that go, or may no longer be written, while the session runs


@pytest.mark.parametrize(
    "act",
    [
        "shutil.rmtree(HERE / 'runs')",
        "(run / 'events.jsonl').unlink()",
        "run.rename(HERE / 'elsewhere')",
        "(run / 'events.jsonl').write_bytes(b'')",
        "(run / 'events.jsonl').open('ab').write(b'x')",
    ],
)
def test_a_run_that_is_removed_moved_or_changed_ends_the_session_at_the_next_image(suite, act):
    suite.record()
    meanwhile(suite, act)
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    told(result)
    result.stdout.fnmatch_lines(["*while this session writes it", "  -> let nothing touch the folder of runs *"])
    assert suite.generated() == ALL[:3]
    suite.run()
    assert suite.generated()[-2:] == ALL[2:]
    assert suite.latest().state is RunState.FINISHED


def test_a_run_that_was_moved_away_is_gone_on_with_once_it_is_back(suite):
    suite.record()
    meanwhile(suite, "run.rename(HERE / run.name)")
    assert suite.run().ret == pytest.ExitCode.INTERRUPTED
    (moved,) = (path.parent for path in suite.path.glob("*/events.jsonl"))
    shutil.rmtree(suite.path / "runs" / moved.name)
    moved.rename(suite.path / "runs" / moved.name)
    suite.generated()
    assert suite.run().ret == 0
    assert suite.generated() == ALL[2:]


@pytest.mark.parametrize("act", ["shutil.rmtree(run / 'images')", "next((run / 'images').iterdir()).write_bytes(b'')"])
def test_images_that_are_removed_or_changed_after_their_verdict_fail_the_session_and_are_named(suite, act):
    suite.record()
    meanwhile(suite, act)
    result = suite.run()
    result.assert_outcomes(passed=4)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    number = "2 images removed" if "rmtree" in act else "1 image removed"
    result.stdout.fnmatch_lines(
        [f"qiltest: {number} or changed after *", "qiltest:   -> let nothing touch the folder *"]
    )
    assert "let check() or judge() fail the test" not in told(result)
    suite.generated()
    assert suite.run().ret == 0
    assert suite.generated() == ALL


def test_goldens_that_are_removed_while_the_session_runs_are_new_images_and_pass_once_they_are_back(suite):
    suite.record()
    meanwhile(suite, "(HERE / 'golden').rename(HERE / 'elsewhere')")
    result = suite.run()
    result.assert_outcomes(passed=2, failed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert told(result).count("no golden for this image yet") >= 2
    (suite.path / "elsewhere").rename(suite.path / "golden")
    assert suite.run("--qil-reuse").ret == 0


#: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, which let root write where file permissions forbid it.
OVERRIDE = 0b110


@pytest.fixture
def permissions_count(tmp_path):
    """Let file permissions count for root too, until the test ends."""
    libc = ctypes.CDLL(None)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    before = data[0]
    data[0] = before & ~OVERRIDE
    libc.capset(header, data)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    try:
        if os.access(closed, os.W_OK, effective_ids=True):
            pytest.skip("this user may write where file permissions forbid it, and that cannot be given up here")
        yield
    finally:
        data[0] = before
        libc.capset(header, data)


CLOSE = "[path.chmod(0o555) for path in [{0}, *{0}.rglob('*')] if path.is_dir()]"


def reopen(folder):
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


@pytest.mark.usefixtures("permissions_count")
def test_runs_that_become_read_only_end_the_session_and_the_same_command_goes_on(suite):
    suite.record()
    meanwhile(suite, CLOSE.format("(HERE / 'runs')"))
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "the image cannot be stored: Permission denied" in told(result)
    assert suite.generated() == ALL[:3]
    result = suite.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "no run can be written: Permission denied" in told(result)
    assert suite.generated() == []
    reopen(suite.path / "runs")
    assert suite.run().ret == 0
    assert suite.generated() == ALL[2:]


@pytest.mark.usefixtures("permissions_count")
def test_goldens_that_become_read_only_are_errors_and_are_written_later(suite):
    meanwhile(suite, CLOSE.format("(HERE / 'golden')"))
    result = suite.run("--qil-update=missing")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "the small copy of the golden's image cannot be written: Permission denied" in told(result)
    assert len(suite.goldens()) == 2
    reopen(suite.path / "golden")
    assert suite.run("--qil-reuse", "--qil-update=missing").ret == 0
    assert len(suite.goldens()) == 4
    assert suite.generated() == ALL


# clocks


@pytest.fixture
def clock(monkeypatch):
    """The clock of runs and their events: what it says, and what is added each time that somebody looks."""
    state = {"moment": datetime.now(UTC), "step": timedelta(seconds=1)}

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            state["moment"] += state["step"]
            return state["moment"]

    for module in (storing, events):
        monkeypatch.setattr(module, "datetime", Clock)
    return state


def test_a_clock_that_runs_backwards_between_events_changes_no_verdict(suite, clock, monkeypatch):
    suite.record()
    clock["step"] = timedelta(minutes=-7)
    assert suite.run().ret == 0
    run = suite.latest()
    assert run.finished < run.started
    assert [result.sample.seed for result in run.results] == [42] * 4
    assert (run.path / "report.html").is_file()
    monkeypatch.chdir(suite.path)
    assert main(["verify", run.id]) == 0
    assert main(["history", "coffee"]) == 0
    suite.generated()
    # it was finished, whatever the clock says: the same command generates anew, in a newer run
    assert suite.run().ret == 0
    assert suite.generated() == ALL
    assert suite.latest().id != run.id


@pytest.mark.parametrize("hours", [1, 3, 24 * 40])
def test_a_clock_that_is_set_back_between_runs_hinders_no_resuming(suite, clock, hours):
    suite.record()
    suite.plan(coffee__fast={"fault": "crash"})
    assert suite.run("-x").ret == pytest.ExitCode.TESTS_FAILED
    assert suite.latest().state is RunState.INTERRUPTED
    stopped = suite.latest().id
    suite.generated()
    suite.plan()
    clock["moment"] -= timedelta(hours=hours)
    assert suite.run().ret == 0
    assert suite.generated() == ALL[2:]
    run = suite.latest()
    assert (run.id != stopped, run.state) == (True, RunState.FINISHED)
    assert suite.run().ret == 0
    assert suite.generated() == ALL
    assert suite.latest().id not in {stopped, run.id}


# locales, terminals, homes and paths


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20", "HOME": None},
        {"PYTHONIOENCODING": "latin-1", "COLUMNS": "1", "HOME": "/nowhere"},
    ],
    ids=["C, 20 columns, no home", "Latin 1, 1 column, a home that is not there"],
)
def test_any_locale_width_and_home_will_do_for_a_session(suite, monkeypatch, env):
    suite.case("coffee", first="Qwen 咖啡", second="2 dollars")
    suite.record()
    suite.plan(coffee__base={"typos": {"Qwen 咖啡": "Qwen 咖咖"}})
    for name, value in env.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    done = subprocess.run(words, cwd=suite.path, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, said
    assert "Traceback" not in said
    assert "INTERNALERROR" not in said
    assert "1 failed, 3 passed" in said
    assert "咖啡" in (suite.latest().path / "report.md").read_text(encoding="utf-8")
    suite.plan()
    again = subprocess.run(words, cwd=suite.path, capture_output=True, timeout=120, check=False)
    assert again.returncode == 0


@pytest.mark.parametrize(
    "name",
    ["with spaces", "two\nlines", "ünï 名 😀", "[brackets] * ?", "::error::x", "%41 & ; $HOME 'quoted\"", "é" * 120],
)
def test_any_path_of_cases_goldens_and_runs_will_do(suite, monkeypatch, name):
    places = {"--qil-cases": "cases", "--qil-golden": "golden", "--qil-runs": "runs"}
    words = [f"{flag}={suite.path / name / folder}" for flag, folder in places.items()]
    (suite.path / name).mkdir()
    (suite.path / "cases").rename(suite.path / name / "cases")
    assert suite.run(*words, "--qil-update=missing").ret == 0
    suite.generated()
    suite.plan(coffee__fast={"fault": "crash"})
    result = suite.run(*words, "-x", "--tb=no")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    text = told(result)
    assert acting(text) == []
    assert "qiltest: run interrupted: repeat the command to resume" in text
    suite.generated()
    suite.plan()
    assert suite.run(*words).ret == 0
    assert suite.generated() == ALL[2:]
    monkeypatch.chdir(suite.path / name)
    for command in (["verify", "latest"], ["report", "latest"], ["history", "coffee"]):
        assert main(command) == 0, command
    assert not (suite.path / "runs").exists()
    assert {path.name for path in (suite.path / name).iterdir()} == {"cases", "golden", "runs"}
