"""`qiltest rescore`: the images of a stored run, read and scored again."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from qiltest.cli.common import (
    AddParser,
    cases_flag,
    console,
    golden_flag,
    json_flag,
    print_json,
    print_lines,
    reader_flag,
    runs_flag,
)
from qiltest.engine.rescore import ImageChange, Rescored, rescore
from qiltest.gate.golden import GoldenStore
from qiltest.runs.store import LATEST, RunStore
from qiltest.suite.load import load_cases
from qiltest.text.escape import visible


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest rescore`."""
    parser = add(
        description="Reads and scores stored images again, without a model, into a new run; the old one is not "
        "touched. Exit code 0: every image that could be judged holds; 1: one does not, or could not be read.",
        parents=[
            reader_flag("the run's own"),
            cases_flag("take expected texts from here (the run's own)", default=None),
            golden_flag(),
            runs_flag(),
            json_flag(),
        ],
    )
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help="id, start of an id, folder, or latest")
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
    if args.json:
        print_json(_record(result), readable=True)
    else:
        _show(result)
    return 0 if result.passes else 1


def _show(result: Rescored) -> None:
    moved = [change for change in result.changes if change.moved]
    if moved:
        console().print(_table(moved))
    counts = f"{len(result.changes)} images of run {result.before.id} read again, {len(moved)} with another result"
    print_lines((counts, *result.before.problems, *result.after.problems, f"run {result.after.path}"))


def _table(changes: list[ImageChange]) -> Table:
    table = Table(title="What changed")
    for name in ("image", "distance", "verdict", "text"):
        table.add_column(name, overflow="fold")
    for change in changes:
        texts = "\n".join(f"{before!r} -> {after!r}" for before, after in change.texts)
        cells = (change.sample, _arrow(change.distance), _arrow(change.verdict), texts or change.error)
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def _arrow(pair: tuple[object, object]) -> str:
    before, after = ("-" if value is None else str(value) for value in pair)
    return before if before == after else f"{before} -> {after}"


def _record(result: Rescored) -> dict[str, object]:
    return {
        "run": result.after.id,
        "rescored_from": result.before.id,
        "reader": result.after.reader.fingerprint,
        "passes": result.passes,
        "images": [
            {
                "image": change.sample,
                "distance": {"before": change.distance[0], "after": change.distance[1]},
                "verdict": {"before": change.verdict[0], "after": change.verdict[1]},
                "texts": [{"before": before, "after": after} for before, after in change.texts],
                "error": change.error,
            }
            for change in result.changes
        ],
        "problems": [*result.before.problems, *result.after.problems],
    }
