"""The command line: `qiltest COMMAND`. pytest runs the suite; these commands do everything else.

Each command is a module of its name, imported when the command is called. Its `add_parser(add)` makes the parser and
sets `handler`, which takes the parsed arguments and returns the exit code. A QiltestError is printed, with exit code 2.
So is an OSError that no command foresaw (a folder where a file should be, a full disk, a name that is too long), and
output that cannot be written. A reader that goes away, as `head` does, leaves the exit code as it is.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import cast

from qiltest import __version__
from qiltest.cli.parser import Parser
from qiltest.errors import QiltestError

#: the commands, each with its line in `qiltest --help`.
COMMANDS = {
    "read": "read images: lines with text, box and confidence",
    "score": "score one image against its expected texts",
    "rescore": "read and score the images of a run again",
    "review": "accept or reject the goldens that a run would change",
    "plan": "write what must be generated, for images that another program makes",
    "check": "decide whether a LoRA file may replace a release",
    "compare": "compare two stored runs, or two variants, image by image",
    "verify": "check that a stored run is complete, unchanged and passes",
    "report": "write the report of a stored run",
    "history": "the recorded runs: a case, since when images do not pass, trends, exports",
    "stability": "draw the same samples again: which texts move, and what limit they need",
    "runs": "list the stored runs",
    "prune": "remove old runs, but none that a golden or a page needs",
    "notify": "tell a person: GitHub issues for failing cases, a webhook",
    "lora": "inspect a LoRA file and check that it fits a base model",
    "calibrate": "measure a reader's own errors on images of known text",
    "init": "create a project: a case, variants, a test, a nightly workflow",
    "completion": "print the code by which a shell completes qiltest",
}
_FAILED, _INTERRUPTED = 2, 130
_CHECK = "check that it exists, that it may be read and written, and that there is space"


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only the options of `command` are loaded."""
    parser = Parser(
        prog="qiltest",
        description="Reads the text in generated images and says whether a text-to-image release got worse.",
        epilog="pytest runs the suite itself: `pytest` with the embedded model, `pytest -m gpu` with the real one. "
        "Exit code 0: passes; 1: does not pass; 2: wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"qiltest {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        add = partial(commands.add_parser, name, help=text)
        if name == command:
            from qiltest.cli.examples import epilog

            add = partial(add, epilog=epilog(name))
            import_module(f"qiltest.cli.{name}").add_parser(add)
            made = commands.choices[name]
            made.set_defaults(flags=frozenset(made._option_string_actions))
        else:
            add()
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 passes, 1 does not pass, 2 wrong usage."""
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        from qiltest.cli.completion import complete

        complete(build_parser, os.environ.get("COMP_LINE", ""))
    _prepare_streams()
    words = sys.argv[1:] if argv is None else argv
    message, code = _called(words)
    if message:
        from qiltest.cli.common import console
        from qiltest.text.console import discard

        try:
            console(stderr=True).print(f"qiltest: {message}", soft_wrap=True)
        except OSError:  # there is nowhere left to say it
            discard(sys.stderr)
    return code


def _called(words: Sequence[str]) -> tuple[str, int]:
    """Return what went wrong, or "", and the exit code."""
    command = next((word for word in words if not word.startswith("-")), None)
    flags: frozenset[str] = frozenset()
    try:
        arguments = build_parser(command).parse_args(words)
        flags = arguments.flags
        handler = cast("Callable[[argparse.Namespace], int]", arguments.handler)
        code = int(handler(arguments))
        return _flushed(code)
    except SystemExit as ended:  # --help, --version, wrong usage: argparse has said it
        message, code = _flushed(int(ended.code or 0))
        if message:
            return message, code
        raise
    except QiltestError as error:
        from qiltest.cli.own_words import in_own_words

        return in_own_words(str(error), flags), error.exit_code
    except KeyboardInterrupt:
        return "interrupted", _INTERRUPTED
    except OSError as error:
        if _output_failed(error):
            return _unwritten(error), _FAILED
        where = "" if error.filename is None else os.fsdecode(error.filename)
        return str(QiltestError(error.strerror or str(error), where=where, remedy=_CHECK)), _FAILED


def _flushed(code: int) -> tuple[str, int]:
    """Write what is still buffered; a verdict that nobody can read is none, except where the reader went away."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _output_failed(error)
        if isinstance(error, BrokenPipeError):
            return "", code
        return _unwritten(error), _FAILED
    return "", code


def _unwritten(error: OSError) -> str:
    return f"the result cannot be written to standard output: {error.strerror or error}\n  -> {_CHECK}"


def _output_failed(error: OSError) -> bool:
    """Return whether it was standard output; then spare the interpreter its own last flush, with its own exit code."""
    from qiltest.text.console import OutputError, discard  # rich is slow to import

    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
        return True
    return isinstance(error, OutputError)


def _prepare_streams() -> None:
    """Give closed standard streams a place, and let each show every character, in any locale.

    A closed stream's number would go to the next file that is opened, and what a library prints into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
