"""README's commands work as they are written, in the order written, from a shell that has activated nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import apart

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
#: each command line without its comment, in order.
BARE = re.sub(r"^```.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
LINES = [re.sub(r"\s+#\s.*$", "", line) for line in re.findall(r"^    (\S.*)$", BARE, re.MULTILINE)]
ACTIVATE = ". .venv/bin/activate"
#: what this test cannot do: `make` installs from the index, and there may be no GPU here.
LEFT_OUT = ("make ", "pytest tests/report_cases -m gpu")


def programs(line):
    return [part.strip().strip("()").split()[0] for part in line.split("&&")]


def test_nothing_of_an_environment_is_called_before_it_is_activated():
    assert ACTIVATE in LINES
    before, after = LINES[: LINES.index(ACTIVATE)], LINES[LINES.index(ACTIVATE) + 1 :]
    assert {name for line in before for name in programs(line)} == {"make"}
    assert {name for line in after for name in programs(line)} <= {"qiltest", "pytest", "cd"}
    assert len(after) >= 7


def test_every_command_can_be_typed_as_it_stands():
    for line in LINES:
        assert not re.search(r"\b[A-Z]{3,}\b|[<>…\[\]]", line), f"a placeholder in: {line}"
        # a folder is entered in a shell of its own, so that the next line begins where this one did
        assert "cd " not in line or line.count("(cd ") == line.count("cd ")
        for path in re.findall(r"(?<=[ =])(?:src|tests|cases)/[\w./-]+", line):
            assert (ROOT / path).exists(), path


@pytest.fixture
def clone(tmp_path):
    """A clone as `make demo` leaves it: the environment, and a run; both are this one's."""
    made = tmp_path / "clone"
    made.mkdir()
    for name in ("cases", "golden", "src", "tests", "conftest.py", "pyproject.toml", "Makefile"):
        (made / name).symlink_to(ROOT / name)
    (made / ".venv").symlink_to(sys.prefix)
    return made


@pytest.mark.slow
def test_they_do_work_in_this_order_in_a_shell_that_has_activated_nothing(clone):
    lines = [line for line in LINES if not line.startswith(LEFT_OUT)]
    assert len(lines) >= 6
    # a run of one image stands for `make demo`
    demo = ["tests/report_cases", "-q", "--qil-case=pi-number", "--qil-variant=4step"]
    assert apart.run_pytest(demo, clone, loads=apart.MODEL).ret == 0
    script = "\n".join(f"echo '$ {number}' && {line}" for number, line in enumerate(lines))
    # installed from a checkout, the environment finds the package by itself
    known = {"PATH": "/usr/bin:/bin", "HOME": str(clone), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    known |= {"PYTHONPATH": str(ROOT / "src"), "OMP_WAIT_POLICY": "PASSIVE", "LANG": "C.UTF-8"}
    ended = subprocess.run(
        ["bash", "-e", "-c", script], cwd=clone, env=known, capture_output=True, text=True, check=False, timeout=550
    )
    said = ended.stdout + ended.stderr
    last = re.findall(r"^\$ (\d+)$", ended.stdout, re.MULTILINE)[-1:]
    assert ended.returncode == 0, f"{lines[int(last[0])] if last else 'nothing ran'}\n{said[-3000:]}"
    assert "this is the file that 4step already uses; nothing was generated" in said
    # what `qiltest init` makes is written right by the embedded model
    assert "3 passed" in said
    assert {path.suffix for path in clone.glob("my-images/runs/*/report.*")} == {".html", ".md"}
    assert "1 of 1 pass" in said
    assert (clone / "trends.html").is_file()
    assert "no issue to open, comment or close" in said
    assert "1 of 1 sample stable" in said
