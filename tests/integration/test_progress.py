"""The progress bar: on a terminal only, below pytest's own line, and gone at the end."""

import os
import pty
import re
import sys

import pytest

import apart
from standin_workers import OWN_WORKERS

#: sessions on a terminal of their own.
pytestmark = pytest.mark.slow


def on_a_terminal(folder, *args, **variables) -> tuple[int, str]:
    """Run pytest with a pseudo-terminal for its output; return exit code and everything written."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40", **variables}
    child = apart.pytest_apart(args, folder, env=environment, terminal=os.ttyname(follower))
    os.close(follower)
    out = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(leader)
    return child.wait(), out.decode()


def screen_of(text: str) -> str:
    """Replay what a terminal of unlimited height would show."""
    rows, row, column, saved = [""], 0, 0, (0, 0)
    for piece in re.findall(r"\x1b7|\x1b8|\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", text):
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row, column = row + 1, 0
            rows += [""] * (row + 1 - len(rows))
        elif piece == "\x1b7":
            saved = (row, column)
        elif piece == "\x1b8":
            row, column = saved
        elif piece.startswith("\x1b"):
            number = int(piece[2:-1]) if piece[2:-1].isdecimal() else 1
            if piece.endswith("A"):
                row -= number
            elif piece.endswith("G"):
                column = number - 1
            elif piece == "\x1b[2K":
                rows[row] = ""
        else:
            rows[row] = rows[row].ljust(column)[:column] + piece + rows[row][column + len(piece) :]
            column += len(piece)
    return "\n".join(line.rstrip() for line in rows)


@pytest.fixture
def slow(suite):
    """A suite whose images take long enough for the bar to be seen."""
    suite.record()
    suite.plan(coffee__base={"wait": 0.6}, poster__fast={"wait": 0.6})
    return suite


def test_it_says_what_is_drawn_and_how_many_of_how_many(slow):
    code, written = on_a_terminal(slow.path)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert "coffee@1328x1328-base-s42" in plain
    assert "0/4" in plain
    assert "3/4" in plain


def test_it_says_the_verdicts_so_far(slow):
    slow.plan(
        coffee__base={"typos": {"Qwen Coffee": "Qwen Cofee"}}, coffee__fast={"wait": 0.6}, poster__fast={"wait": 0.6}
    )
    code, written = on_a_terminal(slow.path)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert code == 1
    assert "✕ 1  ✓ 1  coffee@1328x1328-fast-s42" in plain
    assert "✕ 1  ✓ 2  poster@1328x1328-fast-s42" in plain


@pytest.mark.parametrize("verbosity", ["-q", "-v", "--capture=no"])
def test_nothing_of_it_is_left_and_nothing_of_pytest_is_lost(slow, verbosity):
    _, written = on_a_terminal(slow.path, verbosity)
    screen = screen_of(written)
    assert "0/4" not in screen
    assert "━━━━ " not in screen
    assert "4 passed" in screen
    if verbosity == "-v":
        assert screen.count("PASSED") == 4
    else:
        assert "...." in screen


def test_a_failure_in_the_middle_leaves_the_line_whole(slow):
    slow.plan(coffee__base={"wait": 0.3}, poster__base={"wait": 0.3, "typos": {"Enter a world": "Enter world"}})
    _, written = on_a_terminal(slow.path, "-q")
    assert ".F.." in screen_of(written)


def test_what_each_worker_does_is_below_the_bar_and_nothing_of_it_is_left(slow):
    path = slow.path / "conftest.py"
    own = '@pytest.fixture(scope="session")\ndef qil_generator('
    path.write_text(path.read_text().replace(own, "def standin_generator(") + OWN_WORKERS)
    slow.plan(**{f"{case}__{variant}": {"wait": 1.2} for case in ("coffee", "poster") for variant in ("base", "fast")})
    code, written = on_a_terminal(slow.path, "--qil-workers=2", PYTHONPATH=os.pathsep.join(sys.path))
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    for number in (1, 2):
        # two steps of `base`, one of `fast`
        assert re.search(rf"worker {number}  (coffee|poster)@1328x1328-(base|fast)-s42  step \d/\d", plain)
    screen = screen_of(written)
    assert "step " not in screen
    assert "worker 1  " not in screen
    assert "4 passed" in screen


def test_a_dumb_terminal_gets_none(slow):
    _, written = on_a_terminal(slow.path, "-q", TERM="dumb")
    assert "\x1b7" not in written
