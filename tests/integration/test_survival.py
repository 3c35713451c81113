"""Sessions that are stopped from outside: a signal, a full disk, a second session, a time limit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import apart
from qiltest.gate import Verdict
from qiltest.runs import RunState, RunStore
from qiltest.runs.history import HISTORY, read

#: sessions of their own, killed, interrupted or short of room
pytestmark = pytest.mark.slow


def start(suite, *args):
    return apart.pytest_apart(["-q", *args], suite.path)


def wait_for(suite, line):
    """Wait until the stand-in model generates that image."""
    log = suite.path / "generated.log"
    for _ in range(600):
        if log.exists() and line in log.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{line} was never generated")


def test_ctrl_c_while_an_image_is_drawn(suite):
    suite.record()
    suite.plan(coffee__fast={"wait": 60})
    child = start(suite)
    wait_for(suite, "coffee fast")
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == pytest.ExitCode.INTERRUPTED
    assert "repeat the command to resume" in child.said()
    suite.generated()
    suite.plan()
    suite.run().assert_outcomes(passed=4)
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]


def test_ctrl_c_pressed_twice_closes_the_run_all_the_same(suite):
    suite.record()
    suite.plan(coffee__fast={"wait": 60})
    child = start(suite)
    wait_for(suite, "coffee fast")
    child.send_signal(signal.SIGINT)
    time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == pytest.ExitCode.INTERRUPTED
    assert child.said().count("qiltest: run interrupted: repeat the command to resume") == 1
    run = suite.latest()
    assert run.state is RunState.INTERRUPTED
    assert (run.path / "report.html").is_file()
    suite.generated()
    suite.plan()
    assert suite.run().ret == 0
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_that_ends_the_process_at_once(suite, number):
    suite.record()
    suite.plan(coffee__fast={"wait": 60})
    child = start(suite)
    wait_for(suite, "coffee fast")
    child.send_signal(number)
    assert child.wait(timeout=30) == -number
    assert suite.latest().state is RunState.UNFINISHED
    suite.generated()
    suite.plan()
    suite.run().assert_outcomes(passed=4)
    assert suite.generated() == ["coffee fast 42", "poster fast 42"]


DIES = """

def dies(*args, **named):
    if not (HERE / "lives").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **named)


import {module} as module  # noqa: E402

real, module.{name} = module.{name}, dies
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [("qiltest.runs.history", "record"), ("qiltest.report", "write_html"), ("qiltest.report", "write_markdown")],
)
def test_a_run_that_is_killed_before_its_report_is_written_is_gone_on_with_and_nothing_is_drawn_again(
    suite, module, name
):
    suite.record()
    conftest = suite.path / "conftest.py"
    conftest.write_text(conftest.read_text() + DIES.format(module=module, name=name))
    assert suite.run_apart().ret == -signal.SIGKILL
    killed = suite.latest()
    assert killed.state is RunState.FINISHED
    assert len(suite.generated()) == 4
    assert not (killed.path / "report.md").exists()
    (suite.path / "lives").touch()
    result = suite.run_apart()
    assert result.ret == 0
    assert suite.generated() == []
    result.stdout.fnmatch_lines([f"qiltest: reused 4 images with latency from run {killed.id}*"])
    run = suite.latest()
    assert (run.path / "report.html").is_file()
    assert (run.path / "report.md").is_file()
    assert [entry.run for entry in read(suite.path / "runs" / HISTORY)[0]][-1] == run.id
    # and finished: the same command generates everything anew
    suite.run_apart()
    assert len(suite.generated()) == 4


@pytest.mark.slow
def test_a_few_kills_at_random_moments_lose_nothing(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "faults" / "kills.py"
    result = tmp_path / "kills.json"
    command = [sys.executable, str(script), "--kills=5", "--budget=60", str(result)]
    # its sessions are no workers of this one
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(result.read_text())["kills"] == 5


def test_two_sessions_on_one_store(suite):
    suite.record()
    suite.plan(poster__base={"wait": 1.0})
    children = [start(suite), start(suite)]
    for child in children:
        assert child.wait(timeout=120) == 0, child.said()
    folders = [path for path in (suite.path / "runs").iterdir() if path.is_dir()]
    runs = [RunStore(root=suite.path / "runs").load(folder.name) for folder in folders]
    assert len(runs) == 2
    for run in runs:
        assert run.state is RunState.FINISHED
        assert len(run.results) == 4
        assert run.problems == ()


def test_a_session_leaves_alone_what_another_is_writing(suite):
    suite.record()
    suite.plan(coffee__fast={"wait": 60})
    child = start(suite)
    wait_for(suite, "coffee fast")
    suite.generated()
    suite.plan()
    suite.run().assert_outcomes(passed=4)
    assert len(suite.generated()) == 4
    child.kill()
    child.wait(timeout=30)


def test_a_test_past_its_time_limit_is_an_error_and_the_run_goes_on(suite):
    suite.record()
    suite.plan(coffee__base={"wait": 60})
    result = suite.run_apart("--timeout=2")
    result.assert_outcomes(passed=3, failed=1)
    run = suite.latest()
    assert run.state is RunState.FINISHED
    assert run.result("coffee@1328x1328-base-s42").verdict is Verdict.ERROR
    assert "Timeout" in run.result("coffee@1328x1328-base-s42").error


def test_a_full_disk_ends_the_session_with_one_line_and_the_same_command_goes_on(suite, disk):
    suite.record()
    result = suite.run("--qil-runs", str(disk.path / "runs"), "--qil-seeds=8", "--qil-update=missing")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*cannot be * No space left on device*", "*repeat the command to resume*"])
    generated = len(suite.generated())
    run = RunStore(root=disk.path / "runs").load("latest")
    kept = [r for r in run.results if r.image is not None]
    assert kept
    assert all(r.error == "" for r in kept)
    assert len(kept) in {generated - 1, generated}
    # the disk is given more room
    disk.room("4m")
    assert suite.run("--qil-runs", str(disk.path / "runs"), "--qil-seeds=8", "--qil-update=missing").ret == 0
    assert len(suite.generated()) == 32 - len(kept)


def test_runs_that_cannot_be_written_at_all_fail_every_test_with_the_remedy(suite):
    suite.record()
    (suite.path / "runs").write_text("")
    result = suite.run()
    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(["*no run can be written*", "*choose another folder with --qil-runs*"])


def test_goldens_that_cannot_be_written_are_an_error(suite):
    (suite.path / "golden").write_text("")
    result = suite.run("--qil-update=missing")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        ["ERROR *the golden cannot be read: Not a directory*", "              -> *--qil-golden*"]
    )
