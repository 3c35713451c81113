"""`qiltest rescore`: reads and scores the images of a stored run again."""

from __future__ import annotations

import argparse
from dataclasses import replace

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
    with_images,
)
from qiltest.cli.own_words import in_own_words
from qiltest.engine.rescore import ImageChange, Rescored, rescore
from qiltest.gate.golden import GoldenStore
from qiltest.runs.store import LATEST, RunStore
from qiltest.suite.load import load_cases
from qiltest.text.escape import visible
from qiltest.text.format import count
from qiltest.text.tables import plain_table


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest rescore`."""
    parser = add(
        description="Reads and scores stored images again, without a model, and stores the results as a new run. Exit "
        "code 0: every image passes; 1: one does not, or could not be read; 2: wrong usage.",
        parents=[
            reader_flag("the run's own"),
            cases_flag("case files with the expected texts (default: the run's own)", default=None),
            golden_flag(),
            runs_flag(),
            json_flag(),
        ],
    )
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help="id, start of an id, folder, or latest")
    parser.set_defaults(handler=run_rescore)


def run_rescore(args: argparse.Namespace) -> int:
    """Rescore a run and print what changed. Returns 0 or 1; raises StoreError, ReaderError, CaseError, GoldenError."""
    store = RunStore(root=args.runs)
    result = rescore(
        with_images(store.load(args.run)),
        store=store,
        goldens=GoldenStore(root=args.golden),
        reader=args.reader,
        cases=None if args.cases is None else load_cases(args.cases, edits=True),
    )
    said = tuple(replace(change, error=in_own_words(change.error, args.flags)) for change in result.changes)
    result = replace(result, changes=said)
    if args.json:
        print_json(_record(result), readable=True)
    else:
        _show(result)
    return 0 if result.passes else 1


def _show(result: Rescored) -> None:
    moved = [change for change in result.changes if change.moved]
    if moved:
        console().print(_table(moved))
    counts = f"read {count(len(result.changes), 'image')} of run {result.before.id} again: {len(moved)} changed"
    print_lines((counts, *result.before.problems, *result.after.problems, f"run {result.after.path}"))


def _table(changes: list[ImageChange]) -> Table:
    table = plain_table("What changed")
    for name in ("image", "distance", "verdict", "text"):
        table.add_column(name, overflow="fold", no_wrap=name in {"distance", "verdict"})
    for change in changes:
        texts = "\n".join(f"{before!r} -> {after!r}" for before, after in change.texts)
        cells = (change.sample, _arrow(change.distance), _arrow(change.verdict), texts or change.error)
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def _arrow(pair: tuple[object, object]) -> str:
    before, after = ("-" if value is None else str(value) for value in pair)
    return before if before == after else f"{before} -> {after}"


def _both(pair: tuple[object, object]) -> dict[str, object]:
    return dict(zip(("before", "after"), pair, strict=True))


def _record(result: Rescored) -> dict[str, object]:
    return {
        "run": result.after.id,
        "rescored_from": result.before.id,
        "reader": result.after.reader.fingerprint,
        "passes": result.passes,
        "images": [
            {
                "image": change.sample,
                "distance": _both(change.distance),
                "verdict": _both(change.verdict),
                "texts": [_both(text) for text in change.texts],
                "error": change.error,
            }
            for change in result.changes
        ],
        "problems": [*result.before.problems, *result.after.problems],
    }
