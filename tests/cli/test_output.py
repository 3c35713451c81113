"""Where the output goes wrong: full disks, closed streams, readers that go away, and places that are none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from qiltest.cli.main import main

LORA = ("lora", "embedded::4step")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def call(*words, env=(), shell=None, **streams):
    """Call a command in a process of its own; `shell` is a line in which "$@" is the command."""
    command = [sys.executable, "-m", "qiltest", *words]
    if shell is not None:
        command = ["bash", "-c", f"set -o pipefail; {shell}", "bash", *command]
    return run(command, env=env, **streams)


def run(command, *, env=(), **streams):
    """Run a process, which must say what is wrong in its own words."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | streams
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, env=environment | dict(env), text=True, errors="replace", timeout=60, **streams)
    said = (done.stdout or "") + (done.stderr or "")
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    return done


@needs_full
def test_an_error_that_nobody_can_read_is_still_one():
    with FULL.open("w") as full:
        assert call("lora", "nope", stdout=full, stderr=full).returncode == 2


@pytest.mark.parametrize(("words", "reader"), [(LORA, "head -n 1"), (LORA, "true"), ((*LORA, "--json"), "true")])
def test_a_reader_that_goes_away_leaves_the_exit_code_of_the_verdict(words, reader):
    done = call(*words, shell=f'"$@" | {reader}')
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_makes_no_failure_a_pass(tmp_path):
    Image.new("RGB", (300, 200), "white").save(tmp_path / "white.png")
    done = call("score", str(tmp_path / "white.png"), "--expect", "Hello", shell='"$@" | true')
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(("closed", "code"), [("<&-", 0), (">&-", 0), ("2>&-", 0), ("<&- >&- 2>&-", 0)])
def test_closed_streams_change_no_verdict(closed, code):
    assert call(*LORA, shell=f'"$@" {closed}').returncode == code


def test_what_is_written_to_a_closed_stream_goes_into_no_file(tmp_path, typical, store):
    store(tmp_path, typical)
    done = call("report", "latest", "--runs", str(tmp_path), "--format", "md", shell='"$@" <&- >&- 2>&-')
    assert done.returncode == 0
    (report,) = tmp_path.glob("*/report.md")
    assert report.read_text(encoding="utf-8").startswith("# ")


def test_a_review_without_standard_input_is_refused(tmp_path, typical, store, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    store(tmp_path, typical)
    done = call("review", "latest", "--runs", str(tmp_path), shell='"$@" <&-')
    assert done.returncode == 2
    assert "standard input is not a terminal" in done.stderr


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


COMPARE, REVIEW = ("compare", "latest", "--variant", "base", "--with", "8step"), ("review", "--json")
#: each command in turn, between lines of NUL: Python starts and imports all of it once, whatever the locale.
IN_TURN = """
import json, sys
from qiltest.cli.main import main
for words in json.loads(sys.argv[1]):
    code = main(words)
    print("\\0", code, flush=True)
sys.exit(code)
"""


# a locale needs a process of its own; each has a width and a home that are none beside it
@pytest.mark.parametrize(
    "env",
    [C_LOCALE | {"COLUMNS": "20"}, {"PYTHONIOENCODING": "latin-1", "COLUMNS": "1", "HOME": "/nowhere"}],
    ids=str,
)
@pytest.mark.slow
def test_any_locale_width_and_home_will_do(tmp_path, typical, store, env):
    store(tmp_path, typical)
    commands = [[*words, "--runs", str(tmp_path)] for words in (COMPARE, REVIEW)]
    done = run([sys.executable, "-c", IN_TURN, json.dumps(commands)], env=env)
    compared, reviewed, left = done.stdout.split("\0")
    assert (done.returncode, left) == (1, " 1\n")
    assert reviewed.startswith(" 1\n")
    assert "base" in compared
    assert "base" in reviewed


@pytest.mark.parametrize("env", [{"COLUMNS": "20"}, {"COLUMNS": "1", "HOME": "/nowhere"}], ids=str)
@pytest.mark.parametrize("words", [COMPARE, REVIEW], ids=lambda words: words[0])
def test_any_width_and_home_will_do_in_this_locale(tmp_path, typical, store, capsys, monkeypatch, env, words):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    store(tmp_path, typical)
    assert main([*words, "--runs", str(tmp_path)]) == 1
    assert "base" in capsys.readouterr().out


LONG = "x" * 5_000


@pytest.mark.parametrize(
    "words",
    [
        ("read", LONG),
        ("read", "."),
        ("read", "fifo"),
        ("read", "/dev/zero"),
        ("read", "file/x.png"),
        ("score", "file", "--expect", "x"),
        ("score", "file", "--case", LONG, "--cases", LONG),
        ("report", LONG),
        ("report", "latest", "--runs", "file"),
        ("report", "latest", "--runs", LONG),
        ("compare", LONG, LONG),
        ("rescore", LONG),
        ("review", LONG),
        ("history", "x", "--runs", "file"),
        ("history", "x", "--runs", "folder"),
        ("calibrate", "--cases", LONG),
        ("calibrate", "--cases", "file"),
        ("init", LONG),
        ("init", "file"),
        ("init", "file/x"),
        ("lora", LONG),
        ("lora", "."),
    ],
    ids=lambda words: " ".join(word[:10] for word in words),
)
def test_a_place_that_is_none_is_an_error_of_one_line(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder" / "history.jsonl").mkdir(parents=True)
    os.mkfifo(tmp_path / "fifo")
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("qiltest: ")
    assert said.count("\n  -> ") == 1
    assert len(said) < 5_000


def test_an_output_of_a_minus_is_standard_output(tmp_path, monkeypatch, typical, store, capsys):
    store(tmp_path, typical)
    monkeypatch.chdir(tmp_path)
    assert main(["report", "latest", "--runs", ".", "--format", "md", "--output", "-"]) == 0
    assert capsys.readouterr().out.startswith("# ❌ FAIL")
    assert not (tmp_path / "-").exists()
    for flag in ("--json", "--open"):
        assert main(["report", "latest", "--runs", ".", "--output", "-", flag]) == 2
        assert "--output - writes the report itself" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["compare", "latest", "latest", "--runs", ".", "--report", "-"])
    assert "- is not a file" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["file/report.html", "full/report.html"])
def test_a_report_that_cannot_be_written_is_an_error(tmp_path, typical, store, capsys, output, monkeypatch):
    store(tmp_path / "runs", typical)
    (tmp_path / "file").write_text("x")
    if output.startswith("full"):

        def no_space(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("qiltest.files.os.fsync", no_space)
    assert main(["report", "latest", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path / output)]) == 2
    assert "the report could not be written" in capsys.readouterr().err
    assert not (tmp_path / output).exists()
