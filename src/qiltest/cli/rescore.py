"""`qiltest rescore`: the pictures of a stored run, read and scored again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from qiltest.engine.rescore import Change, Rescored, rescore
from qiltest.gate.golden import GoldenStore
from qiltest.reading.registry import reader_names
from qiltest.runs.store import LATEST, RunStore
from qiltest.suite.load import load_cases

#: What argparse calls the object that `add_subparsers` returns.
Subparsers = Any


def add_parsers(subparsers: Subparsers) -> None:
    """Add `qiltest rescore`."""
    parser = subparsers.add_parser(
        "rescore",
        help="read and score the pictures of a run again",
        description="Reads and scores stored pictures again, without a model, into a new run; the old one is not "
        "touched. Exit code 0: every picture that could be judged holds; 1: one does not, or could not be read.",
    )
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help="id, start of an id, folder, or latest")
    parser.add_argument("--reader", metavar="R", help=f"{', '.join(reader_names())} (the run's own)")
    parser.add_argument("--cases", type=Path, metavar="DIR", help="take expected texts from here (the run's own)")
    parser.add_argument("--golden", type=Path, default=Path("golden"), metavar="DIR", help="goldens (golden)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (runs)")
    parser.add_argument("--json", action="store_true", help="machine-readable result on standard output")
    parser.set_defaults(handler=run_rescore)


def run_rescore(args: argparse.Namespace) -> int:
    """Rescore a run and say what changed. Returns 0 or 1; raises StoreError, ReaderError, CaseError, GoldenError."""
    store = RunStore(root=args.runs)
    result = rescore(
        store.load(args.run),
        store=store,
        goldens=GoldenStore(root=args.golden),
        reader=args.reader,
        cases=None if args.cases is None else load_cases(args.cases),
    )
    console = Console()
    if args.json:
        console.print_json(json.dumps(_record(result), ensure_ascii=False, allow_nan=False))
    else:
        _show(console, result)
    return 0 if result.holds else 1


def _show(console: Console, result: Rescored) -> None:
    moved = [change for change in result.changes if change.moved]
    if moved:
        console.print(_table(moved))
    console.print(
        f"{len(result.changes)} pictures of run {result.before.id} read again, {len(moved)} with another result",
        highlight=False,
    )
    for problem in (*result.before.problems, *result.after.problems):
        console.print(problem, markup=False, highlight=False)
    console.print(f"run {result.after.path}", markup=False, highlight=False, soft_wrap=True)


def _table(changes: list[Change]) -> Table:
    table = Table(title="What changed")
    for name in ("picture", "distance", "verdict", "text"):
        table.add_column(name, overflow="fold")
    for change in changes:
        texts = "\n".join(f"{before!r} -> {after!r}" for before, after in change.texts)
        cells = (change.point, _arrow(change.distance), _arrow(change.verdict), texts or change.error)
        # text from pictures is shown as it is, never taken for rich's markup
        table.add_row(*(_plain(cell) for cell in cells))
    return table


def _plain(text: str) -> str:
    from rich.markup import escape

    from qiltest.text.escape import visible

    return escape(visible(text))


def _arrow(pair: tuple[object, object]) -> str:
    before, after = ("-" if value is None else str(value) for value in pair)
    return before if before == after else f"{before} -> {after}"


def _record(result: Rescored) -> dict[str, object]:
    return {
        "run": result.after.id,
        "rescored_from": result.before.id,
        "reader": result.after.reader.fingerprint,
        "holds": result.holds,
        "pictures": [
            {
                "picture": change.point,
                "distance": {"before": change.distance[0], "after": change.distance[1]},
                "verdict": {"before": change.verdict[0], "after": change.verdict[1]},
                "texts": [{"before": before, "after": after} for before, after in change.texts],
                "error": change.error,
            }
            for change in result.changes
        ],
        "problems": [*result.before.problems, *result.after.problems],
    }
