"""A progress bar on terminals while images are generated.

The bar is on the line below pytest's dots, and what each worker does below it: shown while a test runs, and erased
before pytest continues its line.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from qiltest.text.console import SafeConsole

if TYPE_CHECKING:
    import pytest

    from qiltest.runs.status import Status

_REFRESH_SECONDS = 0.25
_DEFAULT_WIDTH, _DEFAULT_HEIGHT = 80, 24
_ERASE_LINE = "\x1b[2K"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
#: workers that are shown, and rows of the terminal that are left to pytest.
_WORKERS, _OTHERS = 8, 3


class ProgressBar:
    """Shows the number of images, the time left, the verdicts and the current image; nothing without a terminal."""

    def __init__(self, *, terminal: int | None, column: Callable[[], int]) -> None:
        """`terminal` is a file descriptor or None, `column` returns the column of pytest's cursor, from 0."""
        self._terminal = terminal
        self._text = ""
        self._column = column
        self._working: Callable[[], Sequence[str]] = tuple
        #: lines of workers for which there is room while the bar is shown.
        self._rows = 0
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
        room = (_size(self._terminal)[1] or _DEFAULT_HEIGHT) - _OTHERS
        self._rows = max(0, min(len(self._working()), _WORKERS, room))
        # make lines below, then return to pytest's cursor
        below = 1 + self._rows
        self._write("\n" * below + f"\x1b[{below}A\x1b[{self._column() + 1}G")
        self._stop.clear()
        self._thread = threading.Thread(target=self._refresh, name="qiltest-progress", daemon=True)
        self._thread.start()

    def watch(self, working: Callable[[], Sequence[str]]) -> None:
        """Show these lines below the bar from now on: what each worker does. It must not wait."""
        self._working = working
        if self._thread is not None:
            self._end()
            self.show(self._text)

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
        self._end()

    def _end(self) -> None:
        assert self._thread is not None
        self._stop.set()
        self._thread.join()
        self._thread = None
        self._write(_SAVE + f"\n{_ERASE_LINE}" * (1 + self._rows) + _RESTORE)

    def _refresh(self) -> None:
        while True:
            lines = (self._line(self._bar.get_renderable()), *self._of_workers())
            self._write(_SAVE + "".join(f"\n{_ERASE_LINE}{line}" for line in lines) + _RESTORE)
            if self._stop.wait(_REFRESH_SECONDS):
                return

    def _of_workers(self) -> list[str]:
        """Return as many lines as there is room for; the last one says how many workers have none."""
        found = list(self._working()) if self._rows else []
        texts, more = found[: self._rows], len(found) - self._rows
        if more > 0:
            texts[-1] = f"{more + 1} other workers"
        texts += [""] * (self._rows - len(texts))
        return [self._line(Text(f"  {text}" if text else "")) for text in texts]

    def _line(self, shown: RenderableType) -> str:
        assert self._terminal is not None
        # one column stays free, so that no terminal wraps; some report width 0
        width = (_size(self._terminal)[0] or _DEFAULT_WIDTH) - 1
        console = SafeConsole(file=StringIO(), force_terminal=True, width=width)
        with console.capture() as captured:
            console.print(shown, no_wrap=True, crop=True, end="")
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


def _size(terminal: int) -> tuple[int, int]:
    """Return columns and rows of a terminal; 0 for what it does not say."""
    try:
        found = os.get_terminal_size(terminal)
    except OSError:
        return 0, 0
    return found.columns, found.lines


def _column(config: pytest.Config) -> int:
    """Return the column of pytest's cursor, from 0."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    return 0 if reporter is None else int(reporter._tw.width_of_current_line)
