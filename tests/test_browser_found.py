"""A browser test is never lost unseen: it is skipped with a reason, or fails where CI requires it."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from conftest import pytest_terminal_summary
from fake_runs import BROWSERS, not_run

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools/fetch_browser.sh"
#: what the script calls beside package managers.
TOOLS = ("sh", "id", "timeout", "grep", "env")


def test_without_a_browser_a_test_is_skipped_and_says_what_to_do(monkeypatch):
    monkeypatch.delenv("QILTEST_BROWSER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no chromium: install it"):
        not_run("no chromium: install it")


def test_where_browsers_are_required_it_fails(monkeypatch):
    monkeypatch.setenv("QILTEST_BROWSER", "require")
    with pytest.raises(pytest.fail.Exception, match="QILTEST_BROWSER=require, but no chromium"):
        not_run("no chromium")


def test_ci_requires_them_here_and_in_the_workflow():
    assert re.search(r"^export QILTEST_BROWSER=require$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["test"]["env"]["QILTEST_BROWSER"] == "require"
    (names,) = re.findall(r"for name in (.*); do", SCRIPT.read_text())
    assert tuple(names.split()) == BROWSERS


@pytest.fixture
def machine(tmp_path):
    """Runs the script on a machine that has these programs, each a line of shell, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name))

    def run(**programs):
        for name, line in {"python": "exit 1", **programs}.items():
            (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/called\n{line}\n')
            (folder / name).chmod(0o755)
        called = tmp_path / "called"
        called.write_text("")
        done = subprocess.run(
            [str(folder / "sh"), str(SCRIPT), str(folder / "python")],
            env={"PATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, called.read_text()

    return run


def test_a_browser_that_is_there_is_left_alone(machine):
    assert machine(chromium="") == (0, "", "")


def test_a_machine_that_cannot_have_one_says_so_and_does_not_fail(machine):
    code, said, called = machine()
    assert code == 0
    assert said.splitlines()[-1].startswith("no Chromium: the browser tests will not run")
    assert "-m playwright install chromium" in called


@pytest.mark.skipif(
    os.getuid() != 0 or "ID=debian" not in Path("/etc/os-release").read_text(), reason="not Debian's root"
)
def test_root_of_a_debian_gets_its_package(machine, tmp_path):
    made = tmp_path / "bin/chromium"
    installs = f"case \"$*\" in *install*) echo '#!/bin/sh' > {made}; chmod +x {made};; esac"
    chmod = shutil.which("chmod")
    (tmp_path / "bin/chmod").symlink_to(chmod)
    code, said, called = machine(**{"apt-get": installs})
    assert (code, said) == (0, "fetching Chromium for the browser tests\n")
    assert re.search(r"^apt-get update.*\napt-get install .*chromium$", called, re.MULTILINE)
    assert "playwright install" not in called


def test_what_was_skipped_is_kept_for_the_last_lines_of_make_test(monkeypatch, tmp_path):
    report = SimpleNamespace(longrepr=("tests/x.py", 3, "Skipped: no chromium:\n install it"))
    reporter = SimpleNamespace(stats={"skipped": [report, report]})
    monkeypatch.setenv("QILTEST_SKIPPED", str(tmp_path / "build/skipped.txt"))
    for _ in range(2):
        pytest_terminal_summary(reporter)
    assert (tmp_path / "build/skipped.txt").read_text() == "  2 x no chromium: install it\n" * 2
    monkeypatch.delenv("QILTEST_SKIPPED")
    pytest_terminal_summary(reporter)
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^test: begin browser lint tests suite", makefile, re.MULTILINE)
