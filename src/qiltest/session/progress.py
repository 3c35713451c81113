"""A progress bar on terminals while images are generated.

The bar is on the line below pytest's dots: shown while a test runs, and erased before pytest continues its line.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qiltest.text.console import SafeConsole

if TYPE_CHECKING:
    import pytest

    from qiltest.runs.status import Status

_REFRESH_SECONDS = 0.25
_DEFAULT_WIDTH = 80
_ERASE_LINE = "\x1b[2K"
_SAVE, _RESTORE = "\x1b7", "\x1b8"


class ProgressBar:
    """Shows the number of images, the time left, the verdicts and the current image; nothing without a terminal."""

    def __init__(self, *, terminal: int | None, column: Callable[[], int]) -> None:
        """`terminal` is a file descriptor or None, `column` returns the column of pytest's cursor, from 0."""
        self._terminal = terminal
        self._text = ""
        self._column = column
        self._bar = Progress(
            MofNCompleteColumn(),
            BarColumn(bar_width=12),
            TimeRemainingColumn(),
            TextColumn("left"),
            # ids come from files and may contain brackets
            TextColumn("{task.fields[verdicts]}{task.description}", markup=False),
            auto_refresh=False,
            console=SafeConsole(file=StringIO(), force_terminal=True),
        )
        self._task = self._bar.add_task("", total=None, verdicts="")
        self._verdicts: Counter[Status] = Counter()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, total: int) -> None:
        """Set how many images there are."""
        self._bar.update(self._task, total=total)

    def show(self, text: str) -> None:
        """Show the bar below pytest's line until `hide`."""
        if self._terminal is None:
            return
        self._text = text
        self._bar.update(self._task, description=text)
        # make a line below, then return to pytest's cursor
        self._write(f"\n\x1b[1A\x1b[{self._column() + 1}G")
        self._stop.clear()
        self._thread = threading.Thread(target=self._refresh, name="qiltest-progress", daemon=True)
        self._thread.start()

    def step(self, step: int, steps: int) -> None:
        """Show the step of the current image, from 1; costs nothing without a terminal."""
        if self._terminal is None:
            return
        self._bar.update(self._task, description=f"{self._text} step {step}/{steps}")

    def hide(self, verdict: Status | None = None) -> None:
        """Erase the bar and count one image and its verdict; do nothing if it is not shown."""
        if self._thread is None:
            return
        if verdict is not None:
            self._verdicts[verdict] += 1
        found = sorted(self._verdicts.items(), key=lambda item: item[0].rank)
        self._bar.update(self._task, verdicts="".join(f"{status.icon} {number}  " for status, number in found))
        self._bar.advance(self._task)
        self._stop.set()
        self._thread.join()
        self._thread = None
        self._write(f"{_SAVE}\n{_ERASE_LINE}{_RESTORE}")

    def _refresh(self) -> None:
        while True:
            self._write(f"{_SAVE}\n{_ERASE_LINE}{self._line()}{_RESTORE}")
            if self._stop.wait(_REFRESH_SECONDS):
                return

    def _line(self) -> str:
        assert self._terminal is not None
        # one column stays free, so that no terminal wraps; some report width 0
        width = (_columns(self._terminal) or _DEFAULT_WIDTH) - 1
        console = SafeConsole(file=StringIO(), force_terminal=True, width=width)
        with console.capture() as captured:
            console.print(self._bar.get_renderable(), no_wrap=True, crop=True, end="")
        return captured.get().split("\n")[0]

    def _write(self, text: str) -> None:
        assert self._terminal is not None
        with suppress(OSError):  # the terminal was closed; the images are generated all the same
            os.write(self._terminal, text.encode())


def progress_bar(config: pytest.Config) -> ProgressBar:
    """Return the bar of a session. It writes to stderr's terminal, past pytest's capture."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with nullcontext() if capture is None else capture.global_and_fixture_disabled():
        terminal = open_terminal()
    return ProgressBar(terminal=terminal, column=partial(_column, config))


def open_terminal() -> int | None:
    """Return a duplicate descriptor of stderr if it is a terminal, else None."""
    try:
        return os.dup(2) if os.isatty(2) and os.environ.get("TERM") != "dumb" else None
    except OSError:
        return None


def _columns(terminal: int) -> int:
    try:
        return os.get_terminal_size(terminal).columns
    except OSError:
        return 0


def _column(config: pytest.Config) -> int:
    """Return the column of pytest's cursor, from 0."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    return 0 if reporter is None else int(reporter._tw.width_of_current_line)
