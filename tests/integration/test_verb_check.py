"""`qiltest check`: the release check from the command line, on the stand-in model and on the embedded one."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import scipy.stats

import qiltest.report.comparison.page
from qiltest.cli.main import main
from qiltest.generation.sources import EMBEDDED
from qiltest.runs import RunState, RunStore

LOADED = (scipy.stats, qiltest.report.comparison.page)
LORAS = EMBEDDED / "loras"
CASES = Path(__file__).parents[2] / "cases"
TYPO = {"typos": {"Qwen Coffee": "Qwen Cofee", "Imagination Unleashed": "Imagination Unleashd"}}


@pytest.fixture
def folder(suite, monkeypatch):
    """A suite drawn by the stand-in model, whose `fast` is the embedded 4-step LoRA, and a new file beside it."""
    path = suite.path / "cases" / "variants.toml"
    path.write_text(path.read_text().replace("embedded::fast", "embedded::4step"))
    shutil.copy(LORAS / "4step.safetensors", suite.path / "new.safetensors")
    spec = importlib.util.spec_from_file_location("standin", suite.path / "conftest.py")
    standin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(standin)
    monkeypatch.setattr("qiltest.generation.open_generator", lambda model, _settings: standin.StandinGenerator(model))
    monkeypatch.setattr("qiltest.reading.open_reader", lambda name, **_: standin.StandinReader(name))
    monkeypatch.chdir(suite.path)
    return suite


def check(*args, lora="new.safetensors"):
    return main(["check", "--lora", lora, "--like", "fast", *args])


def test_a_release_that_is_not_worse_ships_and_leaves_a_page(folder, capsys):
    assert check("--seeds", "10") == 0
    out, err = capsys.readouterr()
    assert "SHIP: not worse by more than the margin\n" in out
    assert "40 pictures drawn, 0 taken from the store" in out
    assert "note   the file is the one that fast uses now" in out
    assert err == ""
    run = RunStore(root=folder.path / "runs").load("latest")
    assert f"page   {run.path.resolve() / 'comparison.html'}" in out
    assert (run.path / "comparison.html").read_bytes().startswith(b"<!")
    assert not (folder.path / ".benchmarks").exists()


def test_a_worse_release_does_not_ship(folder, capsys):
    folder.plan(coffee__candidate=TYPO, poster__candidate=TYPO)
    assert check("--seeds", "4") == 1
    out = capsys.readouterr().out
    assert "DO NOT SHIP   exact text: 8 pictures lost it" in out
    assert "DO NOT SHIP: worse\n" in out


def test_cannot_tell_is_not_0_and_names_the_command_that_decides(folder, capsys):
    assert check("--seeds", "2") == 1
    out = capsys.readouterr().out
    assert "CANNOT TELL: neither worse nor not worse is shown\n" in out
    seeds = out.partition("  -> the same command with --seeds ")[2].partition(" ")[0]
    folder.drawn()
    assert check("--seeds", seeds) == 0
    out = capsys.readouterr().out
    assert "8 taken from the store" in out
    assert len(folder.drawn()) == 4 * int(seeds) - 8


def test_a_second_file_costs_its_own_pictures_alone(folder, capsys):
    check("--seeds", "1")
    folder.drawn()
    other = folder.path / "other.safetensors"
    data = bytearray((folder.path / "new.safetensors").read_bytes())
    data[-1] ^= 1
    other.write_bytes(bytes(data))
    check("--seeds", "1", lora="other.safetensors")
    assert folder.drawn() == ["coffee candidate 42", "poster candidate 42"]
    check("--seeds", "1", "--fresh")
    assert len(folder.drawn()) == 4


def test_json_is_one_object_and_says_it_all(folder, capsys):
    page = folder.path / "page.html"
    assert check("--json", "--seeds", "1", "--case", "coffee", "--report", str(page)) == 1
    out, err = capsys.readouterr()
    said = json.loads(out, parse_constant=pytest.fail)
    assert err == ""
    assert (said["verdict"], said["holds"], said["drawn"], said["from_store"]) == ("CANNOT TELL", False, 2, 0)
    assert (said["seeds"], said["lora"]["like"], said["lora"]["refusals"]) == (1, "fast", [])
    assert said["seeds_that_would_decide"] == said["comparisons"][0]["plan"]["seeds"] > 1
    assert said["lora"]["inspection"]["base"] == "tiny"
    assert said["lora"]["likeness"]["strength"] == pytest.approx(1)
    assert Path(said["page"]) == page
    assert page.read_bytes().startswith(b"<!")


def test_a_file_that_cannot_be_what_it_should_is_1_and_nothing_is_drawn(folder, capsys):
    path = folder.path / "new.safetensors"
    data = path.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    path.write_bytes(data[:size] + bytes(len(data) - size))
    assert check() == 1
    out = capsys.readouterr().out
    assert f"DO NOT SHIP: {path} cannot replace fast; nothing was drawn\n" in out
    assert "  ERROR  no effect: the delta of every module is zero\n" in out
    assert f"  -> `qiltest lora {path} --like fast` shows" in out
    assert check("--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["holds"], said["run"]) == ("DO NOT SHIP", False, None)
    assert said["lora"]["refusals"] == ["no effect: the delta of every module is zero"]
    assert folder.drawn() == []
    assert not (folder.path / "runs").exists()


def test_what_goes_wrong_with_a_picture_is_1_and_named(folder, capsys):
    folder.plan(poster__candidate={"fault": "nan"})
    assert check("--seeds", "1") == 1
    out = capsys.readouterr().out
    assert "ERROR poster@1328x1328-s42: after: fast" not in out
    assert "ERROR poster@1328x1328-s42: after: candidate: the picture holds NaN" in out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--lora", "gone.safetensors"), "no such LoRA file"),
        (("--like", "fsat"), 'no variant is called "fsat"'),
        (("--case", "cofee"), 'no case is called "cofee"'),
        (("--model", "random"), "random weights write no text"),
        (("--model", "nowhere/nothing"), "hf download nowhere/nothing"),
        (("--cases", "elsewhere"), "no such folder"),
    ],
)
def test_used_wrongly_is_2_and_says_what_to_do(folder, capsys, args, said):
    assert check(*args) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "  -> " in err
    assert "Traceback" not in err
    assert folder.drawn() == []


def test_what_the_session_cannot_have_is_2_with_its_reason(folder, capsys, monkeypatch):
    from qiltest.errors import DeviceError

    def none(*_, **__):
        raise DeviceError("no usable GPU", remedy="run on a GPU machine")

    monkeypatch.setattr("qiltest.generation.open_generator", none)
    assert check("--seeds", "1") == 2
    err = capsys.readouterr().err
    assert err == "qiltest: no usable GPU\n  -> run on a GPU machine\n"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--seeds", "0"),
        ("--seeds", "65"),
        ("--seeds", "-1"),
        ("--seeds", "many"),
        ("--threads", "none"),
        ("--threads", "0"),
    ],
)
def test_a_number_that_is_none_is_2(folder, capsys, flag, value):
    with pytest.raises(SystemExit) as stop:
        check(flag, value)
    assert stop.value.code == 2
    assert f"argument {flag}: " in capsys.readouterr().err


def test_a_crash_is_one_pictures_error_and_the_others_are_drawn(folder, capsys):
    folder.plan(poster__candidate={"fault": "crash"})
    assert check("--seeds", "1") == 1
    assert "after: RuntimeError: illegal memory access" in capsys.readouterr().out
    assert len(folder.drawn()) == 4


def test_an_interrupted_check_keeps_what_was_drawn_and_the_same_command_goes_on(folder, capsys):
    folder.plan(poster__fast={"fault": "interrupt"})
    assert check("--seeds", "1") == 130
    assert "MISSING poster@1328x1328-s42: before: planned and not drawn" in capsys.readouterr().out
    assert RunStore(root=folder.path / "runs").load("latest").state is RunState.INTERRUPTED
    folder.drawn()
    folder.plan()
    check("--seeds", "1")
    assert folder.drawn() == ["poster fast 42"]


def events_of(run):
    """What a run wrote, without what differs between any two runs."""
    own = {"at", "run", "command", "reused_from", "problems"}
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    return [{name: value for name, value in event.items() if name not in own} for event in events]


def test_pytest_with_qil_lora_gives_the_same_run(folder, capsys):
    check("--seeds", "2", "--fresh")
    mine = RunStore(root=folder.path / "runs").load("latest")
    folder.run("--qil-lora=new.safetensors", "--qil-like=fast", "--qil-seeds=2", "--qil-fresh")
    other = RunStore(root=folder.path / "runs").load("latest")
    assert mine.id != other.id
    assert events_of(mine) == events_of(other)
    files = [sorted(path.relative_to(run.path) for path in run.path.rglob("*")) for run in (mine, other)]
    assert files[0] == files[1]
    assert {"comparison.html", "report.html", "report.md"} <= {path.name for path in files[0]}


def test_no_pytest_is_at_work_inside_the_command(tmp_path):
    code = (
        "import sys; import qiltest.cli.main; import qiltest.release.check; import qiltest.engine.ending;"
        "import qiltest.session.progress; sys.exit('pytest' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_what_pytest_is_configured_to_here_has_no_say(folder, capsys, monkeypatch):
    (folder.path / "pytest.ini").write_text("[pytest]\naddopts = --strange --qil-update=all\nxfail_strict = nonsense\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--stranger")
    monkeypatch.setenv("CI", "true")
    assert check("--seeds", "10") == 0
    assert os.environ["PYTEST_ADDOPTS"] == "--stranger"
    assert "PYTEST_DISABLE_PLUGIN_AUTOLOAD" not in os.environ


def test_the_exit_codes_are_in_the_help(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["check", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "Exit code 0: SHIP; 1: DO NOT SHIP" in out


def test_the_embedded_model_against_itself_draws_the_same_picture_twice(tmp_path):
    cases = tmp_path / "cases"
    cases.mkdir()
    for name in ("variants.toml", "coffee-shop.toml"):
        shutil.copy(CASES / name, cases / name)
    command = [
        sys.executable,
        "-c",
        "import sys; from qiltest.cli.main import main; sys.exit(main(sys.argv[1:]))",
        "check",
    ]
    args = ["--lora", str(LORAS / "4step.safetensors"), "--like", "4step", "--seeds", "1", "--threads", "1", "--json"]
    done = subprocess.run(
        [*command, *args, "--case", "coffee-shop@713x1280"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    said = json.loads(done.stdout)
    (comparison,) = said["comparisons"]
    assert said["verdict"] == "CANNOT TELL"
    assert (comparison["pairs"], comparison["same_pictures"], comparison["difference"]) == (1, 1, 0)
