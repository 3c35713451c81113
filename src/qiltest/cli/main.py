"""The command line: `qiltest COMMAND`. pytest is the runner; these commands serve what is not a test.

Each command is a module of its name. Its `add_parser(add)` makes the parser and sets `handler`, which takes what was
parsed and returns the exit code. A module is imported when its command is called. A QiltestError that leaves it is
printed, with exit code 2.
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

#: the commands and the line of `qiltest --help` on each.
COMMANDS = {
    "read": "read images: lines with text, box and confidence",
    "score": "what one image shows against what was asked",
    "rescore": "read and score the images of a run again",
    "review": "accept or reject the goldens that a run would change",
    "check": "may this LoRA file replace a release?",
    "compare": "two stored runs, or two variants, paired",
    "report": "write the report of a stored run",
    "history": "the trend of a case over the runs",
    "lora": "what is in a LoRA file and whether it fits a base",
    "calibrate": "measure a reader's own error on images of known text",
    "init": "make a new project: a case, its variants, one test, a nightly workflow",
}
_INTERRUPTED = 130


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; of the commands, only the parser of `command` knows its options."""
    parser = argparse.ArgumentParser(
        prog="qiltest",
        description="Reads the text in generated images and says whether a text-to-image release got worse.",
        epilog="The suite itself is run by pytest: `pytest` on the embedded model, `pytest -m gpu` on the real one.",
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
    """Run a command and return its exit code: 0 it passes, 1 it does not, 2 used wrongly."""
    words = sys.argv[1:] if argv is None else argv
    command = next((word for word in words if not word.startswith("-")), None)
    try:
        arguments = build_parser(command).parse_args(words)
        handler = cast("Callable[[argparse.Namespace], int]", arguments.handler)
        return int(handler(arguments))
    except QiltestError as error:
        _say(f"qiltest: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("qiltest: interrupted")
        return _INTERRUPTED


def _say(text: str) -> None:
    from qiltest.cli.common import console

    console(stderr=True).print(text, soft_wrap=True)
