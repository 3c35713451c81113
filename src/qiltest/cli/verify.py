"""`qiltest verify`: answers from a stored run alone whether it is complete, unchanged, and passes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from qiltest.cli.common import AddParser, cases_flag, golden_flag, json_flag, print_json, print_lines, runs_flag
from qiltest.cli.own_words import in_own_words
from qiltest.engine.verify import Verified, verify_run
from qiltest.gate.golden import GoldenStore
from qiltest.runs.store import RunStore
from qiltest.suite.load import load_cases
from qiltest.text.format import count


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest verify`."""
    parser = add(
        description="Checks a stored run: every planned image was judged, no line, reading or image was changed since, "
        "and each score and verdict, computed again with these cases and goldens, is the stored one and passes. Needs "
        "no model and writes nothing. Exit code 0: all of that; 1: a fault, each on a line with its remedy; 2: wrong "
        "usage, or no such run.",
        parents=[cases_flag(), golden_flag(), runs_flag(), json_flag()],
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, its id, the start of its id, or `latest`")
    parser.set_defaults(handler=run_verify)


def run_verify(args: argparse.Namespace) -> int:
    """Verify a run and print its faults. Returns 0 or 1; raises StoreError and CaseError."""
    folder = RunStore(root=args.runs).find(args.run)
    found = verify_run(folder, cases=load_cases(args.cases, edits=True), goldens=GoldenStore(root=args.golden))
    if args.json:
        faults = [asdict(fault) for fault in found.faults]
        known = {"run": found.run, "passes": found.passes, "images": found.images, "full": found.full}
        print_json({**known, "faults": faults, "more_faults": found.more})
    else:
        print_lines(in_own_words(line, args.flags) for line in _lines(found, folder))
    return 0 if found.passes else 1


def _lines(found: Verified, folder: Path) -> Iterator[str]:
    yield from map(str, found.faults)
    if found.more:
        yield f"and at least {count(found.more, 'more fault')}"
    of = "the whole suite" if found.full else "a selection of the suite"
    verdict = "does not pass" if found.faults else "passes: complete, unchanged, every verdict PASS again"
    yield f"run {folder}: {count(found.images, 'image')}, {of}; {verdict}"
