"""The command line: `qiltest VERB`. pytest is the runner; these verbs serve what is not a test.

Each group of verbs is a module with `add_parsers(verbs)`, which adds its parsers and sets on each
`handler: Callable[[argparse.Namespace], int]`; what the handler returns is the exit code. A QiltestError that leaves it
is printed, with exit code 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import cast

from rich.console import Console

from qiltest import __version__
from qiltest.cli import calibrate as verbs_calibrate
from qiltest.cli import check as verbs_check
from qiltest.cli import compare as verbs_compare
from qiltest.cli import history as verbs_history
from qiltest.cli import init as verbs_init
from qiltest.cli import lora as verbs_lora
from qiltest.cli import read as verbs_reading
from qiltest.cli import report as verbs_report
from qiltest.cli import rescore as verbs_runs
from qiltest.cli import review as verbs_review
from qiltest.errors import QiltestError


class Exit(IntEnum):
    """Exit codes of every verb."""

    HOLDS = 0
    DOES_NOT = 1
    USED_WRONGLY = 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command and all its verbs."""
    parser = argparse.ArgumentParser(
        prog="qiltest",
        description="Reads the text in generated pictures and says whether a text-to-image release got worse.",
        epilog="The suite itself is run by pytest: `pytest` on the embedded model, `pytest -m gpu` on the real one.",
    )
    parser.add_argument("--version", action="version", version=f"qiltest {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    modules = (
        verbs_reading,
        verbs_runs,
        verbs_review,
        verbs_check,
        verbs_compare,
        verbs_report,
        verbs_history,
        verbs_lora,
        verbs_calibrate,
        verbs_init,
    )
    for module in modules:
        module.add_parsers(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and return its exit code: 0 it holds, 1 it does not, 2 used wrongly."""
    arguments = build_parser().parse_args(argv)
    handler = cast("Callable[[argparse.Namespace], int]", arguments.handler)
    try:
        return int(handler(arguments))
    except QiltestError as error:
        Console(stderr=True).print(f"qiltest: {error}", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        Console(stderr=True).print("qiltest: interrupted", markup=False)
        return 130
