"""`qiltest compare`: two runs, or two variants, picture by picture."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from qiltest.comparison.compare import compare_runs
from qiltest.comparison.records import MARGIN
from qiltest.errors import StoreError
from qiltest.report.terminal.comparison import comparison_record, print_comparisons, run_problems
from qiltest.runs import Run, RunStore
from qiltest.runs.filter import only_cases
from qiltest.runs.merge import merge_runs
from qiltest.text.escape import one_line

_MARGIN_HELP = "rise of the character error rate that is taken for not worse, 0 to 1"
#: columns where nobody's window says how many there are.
_FILE_WIDTH = 200
#: What argparse calls the object that `add_subparsers` returns.
Subparsers = Any


def add_parsers(subparsers: Subparsers) -> None:
    """Add `qiltest compare`."""
    parser = subparsers.add_parser(
        "compare",
        help="two stored runs, or two variants, paired",
        description='Compares pictures of the same case, resolution and seed. Exit code 0: "not worse by more than '
        'the margin" is shown of every comparison; 1: worse, cannot tell, or not comparable; 2: used wrongly.',
    )
    parser.add_argument(
        "before", metavar="RUN", help="what is replaced: id, start of an id, folder, latest, or several: A+B"
    )
    parser.add_argument("after", nargs="?", metavar="RUN", help="what replaces it (the same run, for two variants)")
    parser.add_argument("--margin", type=rate, default=MARGIN, metavar="RATE", help=f"{_MARGIN_HELP} ({MARGIN})")
    parser.add_argument("--variant", metavar="A", help="this variant alone (each that both runs have)")
    parser.add_argument("--with", dest="with_variant", metavar="B", help="compare it with this variant (itself)")
    parser.add_argument(
        "--case", action="append", default=[], metavar="ID[@WxH]", help="this case alone; may be repeated (all)"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (runs)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write an HTML page with the pictures that decided")
    parser.add_argument("--json", action="store_true", help="machine-readable result on standard output")
    parser.set_defaults(handler=run_compare)


def rate(text: str) -> float:
    """Read a margin. Raises argparse.ArgumentTypeError for what is no rate."""
    value = float(text)
    if not (math.isfinite(value) and 0 <= value < 1):
        raise argparse.ArgumentTypeError(f"{text} is not a rate: give edits per character, such as 0.01")
    return value


def run_compare(args: argparse.Namespace) -> int:
    """Compare and say what was found. Returns 0 where not worse was shown, else 1; raises StoreError."""
    store = RunStore(root=args.runs)
    before = only_cases(_load(store, args.before), args.case)
    after = before if args.after is None else only_cases(_load(store, args.after), args.case)
    if args.after is None and args.with_variant is None:
        raise StoreError(
            "one run alone is compared with nothing",
            where=str(before.path),
            remedy="name a second run, or two variants with --variant A --with B",
        )
    found = compare_runs(before, after, variant=args.variant, with_variant=args.with_variant, margin=args.margin)
    problems = tuple(dict.fromkeys((*run_problems(before), *run_problems(after))))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    if args.json:
        console.print(json.dumps(comparison_record(found, before, after, problems), allow_nan=False), soft_wrap=True)
    else:
        print_comparisons(console, found, problems)
    if args.report is not None:
        from qiltest.report.comparison.page import write_page

        of = {"variant": args.variant, "with_variant": args.with_variant}
        write_page(found, before, after, args.report, problems=problems, **of)
        if not args.json:
            console.print(f"page: {one_line(str(args.report.resolve()))}", soft_wrap=True)
    return 0 if found.holds else 1


def _load(store: RunStore, names: str) -> Run:
    """Read a run back, or several joined by `+` as one. Raises StoreError."""
    found = [store.load(name) for name in ([names] if Path(names).is_dir() else names.split("+"))]
    return merge_runs(found) if len(found) > 1 else found[0]
