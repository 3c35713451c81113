"""The nightly workflow and its page: options exist, inputs stay out of the shell, tables are those of the results."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/nightly.yml"
RESULTS, OTHER = (ROOT / "benchmarks/results" / name for name in ("gpu_h100.json", "gpu_h200.json"))


@pytest.fixture(scope="module")
def workflow():
    # YAML 1.1 takes the key `on` for true
    read = yaml.safe_load(WORKFLOW.read_text())
    return {("on" if key is True else key): value for key, value in read.items()}


@pytest.fixture(scope="module")
def steps(workflow):
    return workflow["jobs"]["gpu"]["steps"]


def commands(steps, program):
    """The words after a program's name, for each line of a step that calls it."""
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    return [shlex.split(line.partition(program)[2]) for line in lines if program in line]


def test_it_runs_each_night_and_by_hand_with_a_lora_and_what_it_is_like(workflow):
    assert workflow["on"]["schedule"][0]["cron"]
    assert set(workflow["on"]["workflow_dispatch"]["inputs"]) == {"lora", "like", "seeds", "accept"}
    assert workflow["jobs"]["gpu"]["runs-on"] == ["self-hosted", "linux", "gpu"]


def test_it_may_read_the_repository_and_no_more(workflow, steps):
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["gpu"]["permissions"] == {"contents": "read", "issues": "write"}
    assert workflow["jobs"]["gpu"]["if"] == "${{ !inputs.accept }}"
    assert workflow["jobs"]["accept"]["if"] == "${{ inputs.accept }}"
    assert steps[0]["with"]["persist-credentials"] is False


def test_every_action_is_pinned_to_a_commit(steps):
    used = [step["uses"] for step in steps if "uses" in step]
    assert len(used) == 2
    assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", one) for one in used)


def test_nothing_that_a_person_typed_is_written_into_a_shell_command(steps):
    assert not [step for step in steps if "${{" in step.get("run", "")]
    inspection = next(step for step in steps if step.get("name") == "A LoRA on trial")
    assert inspection["env"] == {
        "LORA": "${{ inputs.lora }}",
        "LIKE": "${{ inputs.like }}",
        "SEEDS": "${{ inputs.seeds }}",
    }
    for name in ("LORA", "LIKE", "SEEDS", "RUNS"):
        assert f'="${name}"' in inspection["run"]


@pytest.mark.slow
def test_its_suite_command_draws_and_leaves_what_is_uploaded(suite, steps, workflow):
    words = commands(steps, "-m pytest")[0]
    assert words[:3] == ["tests/report_cases", "-m", "gpu"]
    suite.pytester.mkdir("nightly").joinpath("started").touch()
    reader = workflow["jobs"]["gpu"]["env"]["READER"]
    result = suite.run(
        *[word.replace("$RUNS", str(suite.path / "kept")).replace("$READER", reader) for word in words[1:]]
    )
    assert len(set(suite.generated())) == 4, result.stderr.str()
    assert (suite.path / "nightly/junit.xml").is_file()
    assert len(json.loads((suite.path / "nightly/benchmark.json").read_text())["benchmarks"]) == 4
    keep = keep_the_run(suite, steps)
    assert keep.returncode == 0, keep.stderr
    (run,) = (suite.path / "nightly/bundle/runs").iterdir()
    assert {"events.jsonl", "images", "report.html", "report.md"} <= {path.name for path in run.iterdir()}
    links = re.findall(r'(?:href|src)="([^"#:]+\.png)"', (run / "report.html").read_text())
    assert links
    assert [link for link in links if not (run / link).is_file()] == []
    assert (suite.path / "kept" / run.name / "events.jsonl").is_file()
    assert told_of(suite.path, steps) == f"notify {suite.path}/kept/{run.name} --github --webhook\n"


def told_of(folder, steps):
    """The command by which the step that tells a person calls qiltest."""
    (tell,) = (step for step in steps if step.get("name") == "Tell a person")
    (folder / ".venv/bin/qiltest").write_text('#!/bin/sh\necho "$@"\n')
    environment = {**os.environ, "RUNS": str(folder / "kept")}
    command = ["bash", "-e", "-c", tell["run"]]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


def shell(folder, step, **environment):
    """Run a step as the workflow does, with a `qiltest` where it has it."""
    program = folder / ".venv/bin/qiltest"
    program.parent.mkdir(parents=True, exist_ok=True)
    code = "import sys; from qiltest.cli.main import main; sys.exit(main())"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(code)} "$@"\n')
    program.chmod(0o755)
    command = ["bash", "-e", "-c", step["run"]]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def keep_the_run(suite, steps):
    """Run the step that keeps the run."""
    keep = next(step for step in steps if step.get("name") == "Keep the run")
    return shell(suite.path, keep, RUNS=str(suite.path / "kept"))


@pytest.mark.parametrize(
    ("reader", "extras"),
    [("rapidocr", "gpu"), ("easyocr", "gpu,easyocr"), ("easyocr:languages=ch_sim,device=cuda", "gpu,easyocr")],
)
def test_the_reader_is_one_line_which_also_installs_its_extra(workflow, steps, tmp_path, reader, extras):
    assert [line for line in WORKFLOW.read_text().splitlines() if "READER:" in line] == [
        f"      READER: {workflow['jobs']['gpu']['env']['READER']}  # the OCR reader, such as easyocr:device=cuda; "
        "goldens belong to one"
    ]
    assert sum('--qil-reader="$READER"' in step.get("run", "") for step in steps) == 2
    for name in ("python3", "python"):
        program = tmp_path / ".venv/bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text('#!/bin/sh\necho "$@" >> called\n')
        program.chmod(0o755)
    path = f"{tmp_path / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    setup = next(step for step in steps if step.get("name") == "Set up")
    done = shell(tmp_path, setup, READER=reader, PATH=path, GITHUB_ENV=str(tmp_path / "env"), GITHUB_WORKSPACE="/a/b")
    assert done.returncode == 0, done.stderr
    assert f"-m pip install --quiet .[{extras}]" in (tmp_path / "called").read_text().splitlines()


def accept_step(workflow, name):
    return next(step for step in workflow["jobs"]["accept"]["steps"] if step.get("name") == name)


def test_what_it_uploads_is_accepted_on_another_machine_and_the_next_night_is_green(suite, workflow, tmp_path_factory):
    gpu = ("-m", "gpu", "--qil-case=coffee")
    suite.plan(coffee__fast={"typos": {"Qwen Coffee": "Qwen Cofee"}})
    assert suite.run(*gpu).ret == pytest.ExitCode.TESTS_FAILED
    (run,) = (path for path in (suite.path / "runs").iterdir() if path.is_dir())
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(run, other / "night/nightly-7-1" / run.name)
    shutil.rmtree(suite.path / "runs")
    done = shell(other, accept_step(workflow, "Accept its images"), CI="true", NIGHT="7")
    assert done.returncode == 0, done.stderr
    assert "2 accepted, 0 rejected, 0 skipped, 0 left" in done.stdout
    assert done.stdout == (other / "accepted.txt").read_text()
    found = sorted(str(path.relative_to(other)) for path in (other / "golden").rglob("*.json"))
    names = [name.rpartition("/")[2].partition("-")[0] for name in found]
    assert names == ["base", "fast", "base@1328x1328", "fast@1328x1328"]  # texts, and latencies of two cohorts
    shutil.copytree(other / "golden", suite.path / "golden")
    assert suite.run(*gpu).ret == 0


def test_a_night_without_a_run_or_a_number_that_is_none_opens_no_pull_request(workflow, tmp_path):
    (tmp_path / "night").mkdir()
    done = shell(tmp_path, accept_step(workflow, "Accept its images"), NIGHT="7")
    assert done.returncode == 1
    assert "::error::run 7 has no nightly artifact" in done.stdout
    done = shell(tmp_path, accept_step(workflow, "Set up"), NIGHT="7; rm -r /")
    assert done.returncode == 1
    assert "is not the number of a run" in done.stdout


def test_the_pull_request_has_the_goldens_alone_and_is_for_the_branch_of_the_night(workflow, tmp_path):
    upstream, here = tmp_path / "upstream.git", tmp_path / "here"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(upstream)],
        ["git", "clone", "--quiet", str(upstream), str(here)],
    ):
        subprocess.run(command, check=True, capture_output=True)
    (here / "golden").mkdir()
    (here / "golden/old.json").write_text("{}")
    for command in (
        [*git, "add", "golden"],
        [*git, "commit", "--quiet", "-m", "first"],
        [*git, "push", "origin", "HEAD:main"],
    ):
        subprocess.run(command, cwd=here, check=True, capture_output=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gh").write_text('#!/bin/sh\necho "$@" >> "$CALLED"\n')
    (tools / "gh").chmod(0o755)
    called = tmp_path / "called"
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "CALLED": str(called),
        "NIGHT": "7",
        "BASE": "main",
    }
    step = accept_step(workflow, "Open a pull request")
    assert "changes no golden" in shell(here, step, **environment).stdout
    assert not called.exists()
    (here / "golden/new.json").write_text("{}")
    (here / "accepted.txt").write_text("1 accepted\n")
    done = shell(here, step, **environment)
    assert done.returncode == 0, done.stderr
    assert "pr create --base main --head goldens-of-nightly-7" in called.read_text()
    show = ["git", "show", "--name-only", "--format=%s", "goldens-of-nightly-7"]
    shown = subprocess.run(show, cwd=upstream, check=True, capture_output=True, text=True).stdout.split("\n")
    assert [line for line in shown if line] == ["Goldens of nightly run 7", "golden/new.json"]


def test_a_night_that_made_no_run_does_not_keep_an_earlier_one(suite, steps):
    result = suite.run("--qil-runs=kept", "--qil-case=coffee")
    assert list((suite.path / "kept").glob("*/events.jsonl")), result.stderr.str()
    later = time.time() + 60
    suite.pytester.mkdir("nightly").joinpath("started").touch()
    os.utime(suite.path / "nightly/started", (later, later))
    keep = keep_the_run(suite, steps)
    assert keep.returncode == 1
    assert "::error::no run was made tonight" in keep.stdout
    assert [path.name for path in (suite.path / "nightly").iterdir()] == ["started"]


def test_its_trial_command_names_options_that_exist(suite, steps):
    words = commands(steps, "-m pytest")[1]
    values = {
        "$RUNS": "kept",
        "$READER": "rapidocr",
        "$LORA": "no-such-file.safetensors",
        "$LIKE": "fast",
        "$SEEDS": "2",
    }
    suite.pytester.mkdir("nightly")
    for name, value in values.items():
        words = [word.replace(name, value) for word in words]
    # the embedded model, for the real one's weights are not here and would be missed first
    result = suite.run(*words[1:], "--qil-model=tiny")
    # every option was taken: what is wrong is the file alone
    told = result.stdout.str() + result.stderr.str()
    assert "no such LoRA file" in told
    assert "unrecognized arguments" not in told
    assert suite.generated() == []


def test_what_it_uploads_is_where_its_commands_write(steps):
    upload = next(step for step in steps if step.get("name") == "Upload")
    assert upload["if"] == "${{ always() }}"
    assert upload["with"]["path"] == "nightly/"
    assert "mkdir -p nightly" in steps[1]["run"]  # pytest-benchmark opens its file before anything is generated


def test_every_option_that_the_page_names_exists(pytester):
    named = set(re.findall(r"--qil-[a-z0-9-]+", (ROOT / "docs/guide/runner.md").read_text()))
    known = set(re.findall(r"--qil-[a-z0-9-]+", pytester.runpytest_inprocess("--help").stdout.str()))
    assert len(named) > 8
    assert named <= known


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("gpu_table", ROOT / "benchmarks/gpu/gpu_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_tables_are_those_of_the_committed_results(table):
    page = (ROOT / "docs/measurements/gpu.md").read_text()
    mine, other = (json.loads(path.read_text())["stages"] for path in (RESULTS, OTHER))
    assert table.page_with(page, table.tables(mine, other)) == page


def test_a_fact_of_another_device_is_shown_under_its_name_where_this_one_has_none(table):
    other = {"machine": {"device": "Other Card"}, "switch": {"worst_seconds": 0.5}}
    lines = list(table.tables({}, other))
    assert "| going from one loaded variant to another, slowest | 0.500 s, on an Other Card |" in lines
    mine = {"switch": {"worst_seconds": 0.25}}
    assert "| going from one loaded variant to another, slowest | 0.250 s |" in list(table.tables(mine, other))


def test_a_stage_that_has_not_run_or_failed_is_said_not_to_be_measured(table):
    empty = list(table.tables({}))
    assert empty[0] == "Device: not measured yet."
    facts = empty[empty.index("| what | measured |") + 2 :]
    assert len(facts) > 8
    assert all(line.endswith("| not measured yet |") for line in facts)
    assert [line.split(",")[0] for line in empty if line.startswith("- ")] == [f"- {size}" for size in table.SIZES]
    failed = list(table.tables({"switch": {"error": "RuntimeError"}, "model": {"left_out": "1 s remained"}}))
    assert failed == empty


def test_a_later_run_replaces_what_it_has_done_and_keeps_what_it_left_out(table):
    machine = {"device": "NVIDIA H200"}
    first = machine | {"matrix_tera_operations_a_second": 809.0}
    old = {"stages": {"machine": first, "switch": {"worst_seconds": 1.0}, "tiny": {"images": 33}}}
    new = {"stages": {"machine": machine, "switch": {"worst_seconds": 0.5}, "tiny": {"left_out": "no time"}}}
    stages = table.merged(old, new)["stages"]
    assert stages["switch"]["worst_seconds"] == 0.5
    assert stages["tiny"] == {"images": 33}
    assert stages["machine"] == first


def test_results_that_gpus_shared_make_one_file_and_what_was_cut_short_is_not_measured(table, tmp_path, monkeypatch):
    row = {"way": "compiled", "variant": "8step", "size": "1328x1328", "seconds": 2.0, "seconds_a_forward": 0.25}
    row["share_of_matrix_rate"] = 0.5
    versions = dict.fromkeys(("torch", "diffusers", "peft", "transformers"), "1")
    machine = {"device": "H100", "versions": versions, "state": [], "matrix_tera_operations_a_second": 700.0}
    machine |= {"cuda": "13.0", "python": "3.12", "cores": 16}
    short = {"rows": [row], "cut_short": ["4step at 1328x1328"]}
    for name, stages in (("a", {"switch": {"worst_seconds": 0.5}}), ("b", {"latency_compiled": short})):
        (tmp_path / name).write_text(json.dumps({"dry_run": False, "stages": {"machine": machine, **stages}}))
    page, results = tmp_path / "page.md", tmp_path / "gpu_h100.json"
    page.write_text(f"{table.BEGIN}\n{table.END}\n")
    named = ["--results", str(results), "--page", str(page), "--merge", str(tmp_path / "a"), str(tmp_path / "b")]
    monkeypatch.setattr("sys.argv", ["gpu_table.py", *named])
    assert table.main() == 0
    assert set(json.loads(results.read_text())["stages"]) == {"machine", "switch", "latency_compiled"}
    text = page.read_text()
    assert "| 1328x1328 | compiled | 8step | 8 | 2.00 |" in text
    assert "| going from one loaded variant to another, slowest | 0.500 s |" in text
    assert "- 1328x1328, not measured yet: base, unfused 8step" in text
    assert "compiled 4step" in text.partition("- 1328x1328")[2].partition("\n")[0]


@pytest.mark.parametrize(
    "new", [{"stages": {"machine": {"device": "another"}}}, {"stages": {}}, {"dry_run": True, "stages": {}}]
)
def test_results_of_another_device_or_of_none_are_not_mixed_in(table, new):
    with pytest.raises(ValueError, match=r"dry run|keep another device's results"):
        table.merged({"stages": {"machine": {"device": "NVIDIA H200"}}}, new)
