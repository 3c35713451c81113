"""The command line: `qiltest COMMAND`. pytest runs the suite; these commands do everything else.

Each command is a module of its name, imported when the command is called. Its `add_parser(add)` makes the parser and
sets `handler`, which takes the parsed arguments and returns the exit code. A QiltestError is printed, with exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import cast

from qiltest import __version__
from qiltest.errors import QiltestError

#: the commands, each with its line in `qiltest --help`.
COMMANDS = {
    "read": "read images: lines with text, box and confidence",
    "score": "score one image against its expected texts",
    "rescore": "read and score the images of a run again",
    "review": "accept or reject the goldens that a run would change",
    "check": "decide whether a LoRA file may replace a release",
    "compare": "compare two stored runs, or two variants, image by image",
    "report": "write the report of a stored run",
    "history": "show a case over the stored runs",
    "lora": "inspect a LoRA file and check that it fits a base model",
    "calibrate": "measure a reader's own errors on images of known text",
    "init": "create a project: a case, variants, a test, a nightly workflow",
}
_INTERRUPTED = 130


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only the options of `command` are loaded."""
    parser = argparse.ArgumentParser(
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
            import_module(f"qiltest.cli.{name}").add_parser(add)
        else:
            add()
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 passes, 1 does not pass, 2 wrong usage."""
    words = sys.argv[1:] if argv is None else argv
    command = next((word for word in words if not word.startswith("-")), None)
    try:
        arguments = build_parser(command).parse_args(words)
        handler = cast("Callable[[argparse.Namespace], int]", arguments.handler)
        return int(handler(arguments))
    except QiltestError as error:
        message, code = str(error), error.exit_code
    except KeyboardInterrupt:
        message, code = "interrupted", _INTERRUPTED
    from qiltest.cli.common import console

    console(stderr=True).print(f"qiltest: {message}", soft_wrap=True)
    return code
