"""A rich console whose output no text from outside can act on: neither the terminal nor a job's log obeys it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from qiltest.text.escape import visible, without_commands


class SafeConsole(Console):
    """Shows markup, emoji codes, control characters and workflow commands in texts as what they are.

    A reader that goes away, as `head` does, ends the output and nothing else.
    """

    def __init__(self, *, file: IO[str] | None = None, stderr: bool = False, **keywords: Any) -> None:  # noqa: ANN401
        stream = file or (sys.stderr if stderr else sys.stdout)
        super().__init__(file=cast("IO[str]", _JobLog(stream)), markup=False, highlight=False, emoji=False, **keywords)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable, each with its text made visible; rich's own colours are no text."""
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else visible(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)

    def on_broken_pipe(self) -> None:
        """Drop what follows, and leave the exit code to the command: rich's own way ends with 1, which is a verdict."""
        self.quiet = True
        discard(self.file)


class OutputError(OSError):
    """Output cannot be written: a full disk, a stream that was closed."""


class _JobLog:
    """A stream without workflow commands; a terminal has no use for them either. Its errors are OutputErrors."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with _output_errors():
            return self._stream.write(without_commands(text))

    def flush(self) -> None:
        with _output_errors():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # which rich and `discard` handle
        raise
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from error


def discard(stream: IO[str]) -> None:
    """Send what is still written to a stream nowhere, so that the interpreter's last flush does not fail."""
    with suppress(OSError, ValueError, AttributeError):  # a stream in memory has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
