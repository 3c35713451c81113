"""The workflows: what they may do, what they run, and that nothing typed by a person reaches a shell."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

import qiltest
from qiltest.cli.main import build_parser

ROOT = Path(__file__).parents[1]


def read(path):
    # YAML 1.1 takes the key `on` for true
    return {("on" if key is True else key): value for key, value in yaml.safe_load(path.read_text("utf-8")).items()}


WORKFLOWS = {path.stem: read(path) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]


def steps(name, job):
    return WORKFLOWS[name]["jobs"][job]["steps"]


def test_the_nightly_of_a_new_project_keeps_its_run_as_this_ones_does():
    template = ROOT / "src/qiltest/cli/new_project/nightly.yml.txt"
    (job,) = read(template)["jobs"].values()
    (mine,) = (step["run"] for step in steps("nightly", "gpu") if step.get("name") == "Keep the run")
    (its,) = (step["run"] for step in job["steps"] if step.get("name") == "Keep the run")
    assert its == mine
    assert any("touch nightly/started" in step.get("run", "") for step in job["steps"])


def test_a_night_tells_a_person_and_nothing_depends_on_it():
    template = read(ROOT / "src/qiltest/cli/new_project/nightly.yml.txt")
    (job,) = template["jobs"].values()
    both = (WORKFLOWS["nightly"]["jobs"]["gpu"], job)
    mine, its = (next(step for step in own["steps"] if step.get("name") == "Tell a person") for own in both)
    assert mine == its
    assert mine["continue-on-error"] is True
    words = shlex.split(mine["run"].splitlines()[-1])[1:]
    arguments = build_parser(words[0]).parse_args(words)
    assert (arguments.github, arguments.webhook, arguments.dry_run) == (True, "QILTEST_WEBHOOK", False)
    for own in both:
        assert own["permissions"] == {"contents": "read", "issues": "write"}
        named = [step["name"] for step in own["steps"] if "GH_TOKEN" in step.get("env", {})]
        assert named == ["Tell a person"], "no other step of the job has the token"


def test_the_workflows_are_three():
    assert list(WORKFLOWS) == ["ci", "nightly", "release"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_read_the_repository_and_no_more(name):
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    jobs = WORKFLOWS[name]["jobs"]
    own = {job: jobs[job]["permissions"] for job in jobs if "permissions" in jobs[job]}
    assert own == {
        "ci": {},
        "nightly": {
            "gpu": {"contents": "read", "issues": "write"},
            "accept": {"actions": "read", "contents": "write", "pull-requests": "write"},
        },
        "release": {"publish": {"id-token": "write"}},
    }.get(name)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_ends_by_itself_pins_its_actions_and_keeps_no_token(name, job):
    assert WORKFLOWS[name]["jobs"][job]["timeout-minutes"] <= 180
    used = [step for step in steps(name, job) if "uses" in step]
    assert [step["uses"] for step in used if not re.fullmatch(r"[a-z]+/[a-z-]+@[0-9a-f]{40}", step["uses"])] == []
    checkouts = [step for step in used if step["uses"].startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_nothing_is_written_into_a_shell_command(name, job):
    assert [step["run"] for step in steps(name, job) if "${{" in step.get("run", "")] == []


def test_ci_runs_make_test_on_pushes_and_pull_requests():
    assert set(WORKFLOWS["ci"]["on"]) == {"push", "pull_request"}
    (run,) = (step["run"] for step in steps("ci", "test") if "make" in step.get("run", ""))
    assert shlex.split(run)[:2] == ["make", "test"]
    assert re.search(r"^test:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert any(step.get("with", {}).get("cache") == "pip" for step in steps("ci", "test"))


def test_a_release_is_built_checked_tried_in_a_fresh_environment_and_only_then_published():
    jobs = WORKFLOWS["release"]["jobs"]
    assert list(WORKFLOWS["release"]["on"]["push"]) == ["tags"]
    assert (jobs["smoke"]["needs"], jobs["publish"]["needs"]) == ("build", "smoke")
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    built = "\n".join(step.get("run", "") for step in jobs["build"]["steps"])
    assert "python -m build" in built
    assert "twine check --strict" in built
    tried = "\n".join(step.get("run", "") for step in jobs["smoke"]["steps"])
    for command in ("venv fresh", "pip install", "qiltest --version", "qiltest init", "-m pytest"):
        assert command in tried
    assert not any(step.get("uses", "").startswith("actions/checkout@") for step in jobs["smoke"]["steps"])


@pytest.mark.parametrize(
    ("tag", "heading", "said"),
    [
        ("v{version}", "## [{version}] - 2026-12-01", ""),
        ("v9.9.9", "## [{version}] - 2026-12-01", "tag v9.9.9"),
        ("v{version}", "## [Unreleased]", "no dated heading"),
    ],
)
def test_a_release_refuses_a_tag_that_is_not_the_version_of_code_and_changelog(tmp_path, tag, heading, said):
    (tmp_path / "src/qiltest").mkdir(parents=True)
    (tmp_path / "src/qiltest/__init__.py").write_text((ROOT / "src/qiltest/__init__.py").read_text("utf-8"))
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading.format(version=qiltest.__version__)}\n")
    step = next(step for step in steps("release", "build") if step.get("name") == "The tag is the version")
    environment = {"PATH": "/usr/bin:/bin", "GITHUB_REF_NAME": tag.format(version=qiltest.__version__)}
    command = ["bash", "-e", "-c", step["run"]]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert (ended.returncode != 0) is bool(said)
    assert said in ended.stdout


def test_the_hooks_are_those_of_the_virtual_environment():
    hooks = [
        hook
        for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
    ]
    assert {"ruff", "ruff-format", "mypy", "end-of-file-fixer", "trailing-whitespace", "check-toml", "check-json"} <= {
        hook["id"] for hook in hooks
    }
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in hooks)
