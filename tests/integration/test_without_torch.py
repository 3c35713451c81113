"""What judges stored images works where torch, diffusers, transformers, peft and accelerate are not installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import qiltest.generation
from qiltest.calibration.fonts import FILES
from qiltest.cli.init import make_project
from qiltest.cli.main import COMMANDS

#: each in a process of its own.
pytestmark = pytest.mark.slow

STANDIN = Path(__file__).with_name("standin_conftest.py")
ABSENT = ("torch", "torchvision", "diffusers", "transformers", "peft", "accelerate", "safetensors.torch")
#: Loaded by Python before anything else where its folder is on PYTHONPATH.
SITE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {ABSENT} or name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
#: Runs commands in one process, so that libraries are loaded once; tells what each said and what was loaded.
DRIVER = f"""
import contextlib, io, json, sys
from qiltest.cli.main import main

said = {{}}
for name, command in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(command)
        except SystemExit as end:
            code = end.code
    said[name] = [code, out.getvalue(), err.getvalue()]
print(json.dumps([said, sorted(set({ABSENT}) & set(sys.modules))]))
"""
#: Says how each import fails.
IMPORTS = f"""
for name in {ABSENT}:
    try:
        __import__(name)
    except ImportError as error:
        print(f"{{name}}: {{type(error).__name__}}")
"""
COMMANDS_RUN = {
    "version": ["--version"],
    "read": ["read", "IMAGE", "--json"],
    "score": ["score", "IMAGE", "--case", "hello-world", "--json"],
    "rescore": ["rescore", "latest", "--reader=rapidocr", "--json"],
    "html": ["report", "latest", "--format=html", "--output=page.html"],
    "md": ["report", "latest", "--format=md", "--output=page.md"],
    "json": ["report", "latest", "--format=json", "--output=page.json"],
    "compare": ["compare", "RUN", "--variant=8step", "--with=4step", "--json"],
    "review": ["review", "RUN", "--json"],
    "verify": ["verify", "RUN", "--json"],
    "history": ["history", "hello-world@1328x1328", "--json"],
    "runs": ["runs", "--json"],
    "prune": ["prune", "--json"],
    "lora": ["lora", "LORA", "--json"],
    "plan": ["plan", "--json", "--output=plan.json"],
    "calibrate": ["calibrate", "--images=1", "--json"],
    "completion": ["completion", "--json"],
    "notify": ["notify", "RUN", "--webhook", "--dry-run", "--json"],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A new project, its session with a stand-in model, and the environment without the libraries."""
    folder = tmp_path_factory.mktemp("without") / "project"
    make_project(folder)
    (folder / "conftest.py").write_text(STANDIN.read_text())
    site = folder.parent / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    kept = {k: v for k, v in os.environ.items() if k not in {"CI", "GITHUB_ACTIONS"} and not k.startswith("PYTEST_")}
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return folder, {**kept, "PYTHONPATH": path, "COLUMNS": "200"}


def run(project, *command, said=""):
    folder, environment = project
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, input=said, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def session(project):
    return run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@pytest.fixture(scope="module")
def said(project, session):
    """What each command said, as (exit code, standard output, standard error)."""
    folder, _ = project
    (stored,) = (events.parent for events in folder.glob("runs/*/events.jsonl"))
    lora = Path(qiltest.generation.__file__).parent / "tiny" / "loras" / "4step.safetensors"
    values = {"IMAGE": str(next(stored.glob("images/*.png"))), "RUN": stored.name, "LORA": str(lora)}
    commands = {name: [values.get(word, word) for word in words] for name, words in COMMANDS_RUN.items()}
    done = run(project, "-c", DRIVER, said=json.dumps(commands))
    assert done.returncode == 0, done.stderr
    told, loaded = json.loads(done.stdout.splitlines()[-1])
    assert loaded == []
    return told


def test_the_libraries_are_absent(project):
    done = run(project, "-c", IMPORTS)
    assert done.stdout.splitlines() == [f"{name}: ModuleNotFoundError" for name in ABSENT]


def test_pytest_collects_generates_with_a_model_of_ones_own_and_judges(session):
    assert session.returncode == 0, session.stdout + session.stderr
    assert "3 passed" in session.stdout
    assert "report.html" in session.stdout


def test_the_embedded_model_says_in_one_line_what_it_needs(project, tmp_path):
    make_project(tmp_path / "own")
    own = (tmp_path / "own", project[1])
    done = run(own, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qil-variant=4step")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "torch" in done.stdout
    assert "  -> " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "During handling" not in done.stdout


@pytest.mark.parametrize("name", ["version", "read", "html", "md", "json", "history", "lora", "rescore", "plan"])
def test_a_command_that_judges_nothing_ends_with_0(said, name):
    code, _, err = said[name]
    assert (code, err) == (0, "")


def test_reading_and_scoring_an_image(said):
    code, out, _ = said["score"]
    assert code == 0
    assert json.loads(out)["distance"] == 0
    assert [line["text"] for line in json.loads(said["read"][1])["lines"]]


def test_rescoring_a_run_with_another_reader(said):
    assert len(json.loads(said["rescore"][1])["images"]) == 3


def test_reviewing_a_run_lists_what_no_golden_has_yet(said):
    code, out, err = said["review"]
    assert (code, err) == (1, "")
    assert out.count("hello-world@1328x1328-4step-s42") >= 1


def test_verifying_a_run_scores_its_readings_again(said):
    code, out, err = said["verify"]
    assert (code, err) == (0, "")
    assert json.loads(out) | {"run": ""} == {
        "run": "",
        "passes": True,
        "images": 3,
        "full": True,
        "faults": [],
        "more_faults": 0,
    }


def test_so_do_completion_and_a_dry_notice(said):
    assert {name: said[name][0] for name in ("completion", "notify")} == {"completion": 0, "notify": 0}


def test_no_command_is_left_out():
    # `check` and `stability` generate; `init` made the project
    run = {words[0] for words in COMMANDS_RUN.values()}
    assert run | {"check", "stability", "init"} == {*COMMANDS, "--version"}


def test_comparing_two_variants_of_a_run(said):
    code, out, _ = said["compare"]
    # one pair does not decide
    assert code == 1
    assert json.loads(out)["verdict"] == "CANNOT TELL"


def test_reports_are_written(said, project):
    folder, _ = project
    assert {path.name for path in folder.glob("page.*")} == {"page.html", "page.md", "page.json"}
    assert all(said[name][0] == 0 for name in ("html", "md", "json"))


@pytest.mark.skipif(not any(Path(file).is_file() for file, _ in FILES), reason="no fonts installed")
def test_calibrating_the_cases_of_a_project(said, project):
    code, out, err = said["calibrate"]
    assert code == 0, err
    assert [floor["case"] for floor in json.loads(out)] == ["hello-world"]
    assert (project[0] / "cases" / "floors" / "hello-world.json").is_file()
