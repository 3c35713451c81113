"""`qiltest init`: what a new project holds, and that it passes at once."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from pydantic_core import PydanticUndefined

import apart
from qiltest.cli.init import EDIT_FILES, FILES
from qiltest.cli.main import main
from qiltest.generation.sources import base_of_model
from qiltest.generation.tasks import tasks_of
from qiltest.runs.load import load_run
from qiltest.suite.case_schema import (
    CaseTable,
    InputTable,
    LimitsTable,
    ResolutionTable,
    RestTable,
    TextTable,
    TypoTable,
    VerdictTable,
)
from qiltest.suite.load import load_suite
from qiltest.suite.selection import select
from qiltest.suite.variants import ModelKind

ROOT = Path(__file__).parents[1]
STANDIN = ROOT / "tests" / "integration" / "standin_conftest.py"
CASE = "cases/hello-world.toml"
#: `# key = value` and `# [[table]]`; sentences have neither form.
COMMENTED_OUT = re.compile(r"^# (?=\w+ = |\[)", re.MULTILINE)


@pytest.fixture(autouse=True)
def _apart(monkeypatch):
    """Let a project's sessions be sessions of their own: in no CI, and no workers of xdist."""
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "mine"
    assert main(["init", str(folder)]) == 0
    return folder


def run_pytest(folder, *args, loads=()):
    done = apart.run_pytest(args, folder, loads=loads)
    return done.ret, done.stdout.str()


def test_it_says_what_it_made_and_what_comes_next(tmp_path, capsys):
    assert main(["init", str(tmp_path / "mine")]) == 0
    out = capsys.readouterr().out
    assert f"cd {tmp_path / 'mine'}\n  pytest " in out
    assert all(name in out for name in FILES)
    made = {str(path.relative_to(tmp_path / "mine")) for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert made == set(FILES)


def test_a_folder_with_a_space_is_quoted_for_the_shell(tmp_path, capsys):
    assert main(["init", str(tmp_path / "we ird")]) == 0
    assert f"  cd '{tmp_path}/we ird'\n" in capsys.readouterr().out


def test_an_empty_folder_will_do_and_json_names_the_files(tmp_path, capsys):
    assert main(["init", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(tmp_path), "files": list(FILES)}


def test_with_edit_it_has_an_edit_case_its_image_and_the_variants_of_editing_models(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["init", str(folder), "--edit"]) == 0
    out = capsys.readouterr().out
    for part in (*FILES, *EDIT_FILES, "pytest --qil-model=tiny-edit ", "--qil-model=Qwen/Qwen-Image-Edit-2511 "):
        assert part in out
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert made == {*FILES, *EDIT_FILES}
    suite = load_suite(folder / "cases")
    bases = {variant.base_model for variant in suite.variants}
    assert bases == {"Qwen/Qwen-Image", "tiny-edit", "Qwen/Qwen-Image-Edit-2511"}
    case, _ = suite.case("menu")
    assert case.has_its_inputs
    assert main(["init", str(tmp_path / "other"), "--edit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == [*FILES, *EDIT_FILES]


def test_its_edit_case_under_a_model_of_text_alone_names_the_models_that_its_variants_are_for(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["init", str(folder), "--edit"]) == 0
    _, said = run_pytest(folder, "--collect-only", "-q")
    models = "--qil-model=tiny-edit or --qil-model=Qwen/Qwen-Image-Edit-2511 generates it"
    assert f"qiltest: 1 edit case left out: tiny does text-to-image; {models}\n" in said
    _, said = run_pytest(folder, "--collect-only", "-q", "--qil-model=tiny-edit")
    models = "--qil-model=tiny or --qil-model=Qwen/Qwen-Image generates it"
    assert f"qiltest: 1 text-to-image case left out: tiny-edit does edit; {models}\n" in said
    code, said = run_pytest(folder, "-q", "--qil-case=menu", "--qil-variant=4step", loads=apart.MODEL)
    assert code == 1
    models = "tiny-edit, Qwen/Qwen-Image-Edit-2511"
    assert f"-> choose an editing model: {models}; or other cases\n" in said
    capsys.readouterr()
    check = ["check", f"--cases={folder / 'cases'}", f"--runs={tmp_path / 'runs'}", "--lora=embedded::4step"]
    assert main([*check, "--like=edit-4step", "--model=tiny"]) == 2
    assert "or the model tiny-edit or Qwen/Qwen-Image-Edit-2511\n" in capsys.readouterr().err


def test_its_variants_of_editing_models_are_those_of_the_suite_and_of_the_page(tmp_path):
    assert main(["init", str(tmp_path / "mine"), "--edit"]) == 0
    made = tomllib.loads((tmp_path / "mine" / "cases" / "variants.toml").read_text())
    own = tomllib.loads((ROOT / "cases" / "variants.toml").read_text())
    others = tomllib.loads((ROOT / "docs" / "guide" / "variants-of-other-models.toml").read_text())
    edits = {name: table for name, table in made.items() if name.startswith("edit-")}
    wanted = {name: table for name, table in own.items() if name.startswith("edit-")}
    wanted |= {name: table for name, table in others.items() if name.startswith("edit-2511-")}
    assert edits == wanted


def test_its_edit_case_shows_every_key_of_edits_with_its_default(tmp_path):
    assert main(["init", str(tmp_path / "mine"), "--edit"]) == 0
    text = (tmp_path / "mine" / "cases/edit/menu.toml").read_text()
    case = tomllib.loads(COMMENTED_OUT.sub("", text))
    file, sample = case["inputs"]
    assert set(file) | set(sample) == set(InputTable.model_fields)
    assert set(case["rest"]) == set(RestTable.model_fields)
    assert set(case) >= OF_EDITS - {"kept"}
    assert (case["rounds"], case["rest"]["change"]) == (1, "gate")
    assert any("kept" in table for table in case["texts"])


def test_an_edit_fails_it(project):
    (project / "conftest.py").write_text(STANDIN.read_text())
    (project / "standin.json").write_text(json.dumps({"hello-world/4step": {"typos": {"Hello World": "Helo World"}}}))
    code, said = run_pytest(project, "-q")
    assert code == 1
    assert "1 failed, 2 passed" in said
    assert "distance 1 is above the case's absolute limit 0" in said


@pytest.mark.parametrize(("names", "said"), [(["b", "a"], "a, b"), (list("gfedcba"), "a, b, c, d, e and 2 more")])
def test_a_folder_that_is_not_empty_is_refused_and_left_alone(tmp_path, capsys, names, said):
    for name in names:
        (tmp_path / name).write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    what = f"the folder is not empty: it has {said}; nothing was written"
    assert err == f"qiltest: {tmp_path}: {what}\n  -> name a new folder\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys, name):
    (tmp_path / "file").write_text("mine")
    assert main(["init", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert err == f"qiltest: {tmp_path / name}: cannot be written: Not a directory\n  -> name another folder\n"


def uncommented(project):
    return COMMENTED_OUT.sub("", (project / CASE).read_text())


#: keys that a case of text alone has no use for.
OF_EDITS = {"task", "inputs", "removed", "rest", "rounds", "kept"}


def tables(project):
    """Each table of the case with its schema, all optional keys uncommented."""
    case = tomllib.loads(uncommented(project))
    (text,), (resolution,), (typo,) = case["texts"], case["resolutions"], case["known_typos"]
    (verdict,) = resolution["report"]
    records = (case, text, resolution, verdict, case["limits"], typo)
    schemas = (CaseTable, TextTable, ResolutionTable, VerdictTable, LimitsTable, TypoTable)
    return list(zip(schemas, records, strict=True))


def test_its_case_shows_every_key_of_the_schema_but_those_of_edits_and_no_other(project):
    for schema, table in tables(project):
        assert set(table) == set(schema.model_fields) - OF_EDITS, schema.__name__
    assert "docs/guide/edit-cases.md" in (project / CASE).read_text()


def test_a_key_that_is_commented_out_stands_there_with_its_default(project):
    active = (project / CASE).read_text()
    for schema, table in tables(project):
        for key, field in schema.model_fields.items():
            if key in OF_EDITS:
                continue
            default = field.get_default(call_default_factory=True)
            required = default is PydanticUndefined
            if required and schema not in (VerdictTable, TypoTable):
                assert re.search(rf"^(\[\[)?{key}\b", active, re.MULTILINE), key
            elif not required and default not in (None, [], (), {}) and not isinstance(table[key], dict):
                assert table[key] == default, key


def test_with_every_key_uncommented_it_still_loads(project):
    (project / CASE).write_text(uncommented(project))
    (case,) = load_suite(project / "cases").cases
    assert (case.reader, case.report_table, len(case.known_typos)) == ("rapidocr", 1, 1)


def test_the_page_on_own_cases_names_no_key_that_it_leaves_out(project):
    page = (ROOT / "docs/guide/own-case.md").read_text()
    shown = {key for _, table in tables(project) for key in table}
    named = set(re.findall(r"`\[*(\w+)\]* = ", page)) | set(re.findall(r"`\[+([\w.]+)\]+`", page))
    assert {part for name in named for part in name.split(".")} <= shown
    assert "layout" in named or "seeds" in named


def workflow(text):
    # YAML 1.1 takes the key `on` for true
    return {("on" if key is True else key): value for key, value in yaml.safe_load(text).items()}


def test_its_workflow_is_as_careful_as_the_suites_own(project):
    mine = workflow((project / ".github/workflows/nightly.yml").read_text())
    own = workflow((ROOT / ".github/workflows/nightly.yml").read_text())
    assert mine["permissions"] == own["permissions"] == {"contents": "read"}
    assert mine["jobs"]["gpu"]["runs-on"] == own["jobs"]["gpu"]["runs-on"]
    uses = [[step["uses"] for step in each["jobs"]["gpu"]["steps"] if "uses" in step] for each in (mine, own)]
    assert uses[0] == uses[1]
    assert not [step for step in mine["jobs"]["gpu"]["steps"] if "${{" in step.get("run", "")]


def test_its_workflow_stops_where_nobody_said_what_to_install(project):
    job = workflow((project / ".github/workflows/nightly.yml").read_text())["jobs"]["gpu"]
    (step,) = (step for step in job["steps"] if step.get("name") == "Set up")
    assert job["env"]["QILTEST_PACKAGE"] == "${{ vars.QILTEST_PACKAGE }}"
    environment = {**os.environ, "QILTEST_PACKAGE": ""}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.startswith("::error::set the repository variable QILTEST_PACKAGE")
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("options", [(), ("--edit",)], ids=["without edits", "with edits"])
def test_its_workflow_runs_every_case_each_on_a_model_that_does_its_task(tmp_path, options):
    folder = tmp_path / "mine"
    assert main(["init", str(folder), *options]) == 0
    job = workflow((folder / ".github/workflows/nightly.yml").read_text())["jobs"]["gpu"]
    models = job["strategy"]["matrix"]["model"]
    assert models == ["Qwen/Qwen-Image", "Qwen/Qwen-Image-Edit-2511"][: 1 + len(options)]
    assert job["env"]["MODEL"] == "${{ matrix.model }}"
    (run,) = (step["run"] for step in job["steps"] if "-m pytest" in step.get("run", ""))
    assert ' --qil-model="$MODEL" ' in run
    suite = load_suite(folder / "cases")
    bases = [base_of_model(model) for model in models]
    tasks = [
        select(suite, kind=ModelKind.REAL, base=base, able=tasks_of(model, base))
        for model, base in zip(models, bases, strict=True)
    ]
    assert {task.case.id for of_model in tasks for task in of_model} == {case.id for case in suite.every}
    assert all(of_model for of_model in tasks)
    # two artifacts of one night must not have one name
    (upload,) = (step["with"]["name"] for step in job["steps"] if step.get("name") == "Upload")
    assert "${{ strategy.job-index }}" in upload


def as_a_step(project, script, environment):
    """Run a step of the workflow by its shell, and what it calls of .venv/bin apart; return the step's exit code."""
    programs = project / ".venv/bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("python", "qiltest"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\0" {name} "$@" > called\nexit $(cat code)\n')
        (programs / name).chmod(0o755)

    def shell(code):
        (project / "code").write_text(str(code))
        words = ["bash", "-e", "-c", script]
        return subprocess.run(words, cwd=project, env=environment, check=False, capture_output=True).returncode

    # the shell says what it calls; then that is run, and the shell is told how it ended
    assert shell(0) == 0
    program, *words = (project / "called").read_bytes().decode().split("\0")[:-1]
    if program == "python":
        assert words[:2] == ["-m", "pytest"]
        program, words = "pytest", words[2:]
    session = apart.begin(program, words, project, env=environment)
    return shell(session.wait()), session


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "model", "case"),
    [
        ((), "Qwen/Qwen-Image", "hello-world"),
        (("--edit",), "Qwen/Qwen-Image", "hello-world"),
        (("--edit",), "Qwen/Qwen-Image-Edit-2511", "menu"),
    ],
)
def test_its_workflow_runs_and_uploads_a_report(tmp_path, options, model, case):
    project = tmp_path / "mine"
    assert main(["init", str(project), *options]) == 0
    steps = workflow((project / ".github/workflows/nightly.yml").read_text())["jobs"]["gpu"]["steps"]
    (project / "conftest.py").write_text(STANDIN.read_text())
    (project / "nightly").mkdir()
    (project / "nightly/started").touch()
    environment = {
        **os.environ,
        "RUNS": str(project / "kept"),
        "MODEL": model,
        "PYTEST_ADDOPTS": "-p no:cacheprovider -p no:hypothesispytest",
    }
    run = next(step["run"] for step in steps if "-m pytest" in step.get("run", ""))
    # the stand-in stands for a real model, and no GPU is looked for; without goldens its latencies are INCOMPARABLE
    code, done = as_a_step(project, run, environment)
    assert code == 1, done.said() + done.said("stderr")
    assert "3 failed" in done.said()
    assert (project / "nightly/junit.xml").is_file()
    keep = next(step["run"] for step in steps if step.get("name") == "Keep the run")
    code, done = as_a_step(project, keep, environment)
    assert code == 0, done.said() + done.said("stderr")
    (kept,) = (project / "nightly/bundle/runs").iterdir()
    assert {"events.jsonl", "report.html", "report.md"} <= {path.name for path in kept.iterdir()}
    assert {sample.case for sample in load_run(kept).planned} == {case}


def test_a_project_without_variants_is_told_of_the_command(project):
    (project / "cases" / "variants.toml").unlink()
    code, said = run_pytest(project, "-q")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "-> `qiltest init FOLDER` makes a project with one" in said


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "qiltest", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("qiltest ")
