"""`qiltest compare`: two runs, or two variants, picture by picture."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qiltest.errors import StoreError
from qiltest.gate.narrow import only_cases
from qiltest.gate.paired import MARGIN, compare_runs
from qiltest.gate.paired_records import Comparison, Comparisons, Release
from qiltest.report.comparison_words import correction, exact_words, interval_words, meaning, plan_words
from qiltest.report.text import one_line
from qiltest.runs import Run, RunState, RunStore

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
    parser.add_argument("before", metavar="RUN", help="what is replaced: id, start of an id, folder, or latest")
    parser.add_argument("after", nargs="?", metavar="RUN", help="what replaces it (the same run, for two variants)")
    parser.add_argument("--margin", type=_margin, default=MARGIN, metavar="RATE", help=f"{_MARGIN_HELP} ({MARGIN})")
    parser.add_argument("--variant", metavar="A", help="this variant alone (each that both runs have)")
    parser.add_argument("--with", dest="with_variant", metavar="B", help="compare it with this variant (itself)")
    parser.add_argument(
        "--case", action="append", default=[], metavar="ID[@WxH]", help="this case alone; may be repeated (all)"
    )
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs (runs)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write an HTML page with the pictures that decided")
    parser.add_argument("--json", action="store_true", help="machine-readable result on standard output")
    parser.set_defaults(handler=run_compare)


def _margin(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 <= value < 1):
        raise argparse.ArgumentTypeError(f"{text} is not a rate: give edits per character, such as 0.01")
    return value


def run_compare(args: argparse.Namespace) -> int:
    """Compare and say what was found. Returns 0 where not worse was shown, else 1; raises StoreError."""
    store = RunStore(root=args.runs)
    before = only_cases(store.load(args.before), args.case)
    after = before if args.after is None else only_cases(store.load(args.after), args.case)
    if args.after is None and args.with_variant is None:
        raise StoreError(
            "one run alone is compared with nothing",
            where=str(before.path),
            remedy="name a second run, or two variants with --variant A --with B",
        )
    found = compare_runs(before, after, variant=args.variant, with_variant=args.with_variant, margin=args.margin)
    problems = tuple(dict.fromkeys((*_problems(before), *_problems(after))))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    if args.json:
        console.print(json.dumps(_record(found, before, after, problems), allow_nan=False), soft_wrap=True)
    else:
        _show(console, found, problems)
    if args.report is not None:
        _write_page(args, found, before, after, problems)
        if not args.json:
            console.print(f"page: {one_line(str(args.report.resolve()))}", soft_wrap=True)
    return 0 if found.holds else 1


def _write_page(
    args: argparse.Namespace, found: Comparisons, before: Run, after: Run, problems: tuple[str, ...]
) -> None:
    from qiltest.report.comparison import write_page

    try:
        write_page(
            found, before, after, args.report, variant=args.variant, with_variant=args.with_variant, problems=problems
        )
    except OSError as error:
        raise StoreError(
            f"the page could not be written: {error.strerror or error}",
            where=str(args.report),
            remedy="free space, or choose another file with --report",
        ) from error


def _problems(run: Run) -> Iterator[str]:
    if run.state is not RunState.FINISHED:
        yield f"run {run.id} is {run.state}: {len(run.results)} of {len(run.planned)} pictures begun"
    yield from (f"run {run.id}: {problem}" for problem in run.problems)


def _show(console: Console, found: Comparisons, problems: tuple[str, ...]) -> None:
    for comparison in found.comparisons:
        console.print(_table(comparison))
        for line in _words(comparison):
            console.print(one_line(line), soft_wrap=True)
        console.print()
    for line in (*found.unpaired, *problems):
        console.print(one_line(line), soft_wrap=True)
    console.print(correction(found), soft_wrap=True)
    console.print(Text(f"{found.verdict}: {meaning(found.verdict)}", style=_STYLES[found.verdict]), soft_wrap=True)


def _table(comparison: Comparison) -> Table:
    title = f"{comparison.before} -> {comparison.after}"
    table = Table(title=Text(one_line(title)), title_justify="left")
    table.add_column("case", overflow="fold")
    for name in ("better", "same", "worse", "edits", "per 100 characters", "p, corrected"):
        table.add_column(name, justify="right")
    for case in comparison.cases:
        table.add_row(
            Text(one_line(case.case)),
            str(case.wins),
            str(case.ties),
            str(case.losses),
            f"{case.before} -> {case.after}",
            f"{100 * case.difference:+.2f}",
            f"{case.p_holm:.2g}",
        )
    table.add_section()
    change = "-" if comparison.difference is None else f"{100 * comparison.difference:+.2f}"
    table.add_row(
        "all",
        str(comparison.wins),
        str(comparison.ties),
        str(comparison.losses),
        f"{sum(case.before for case in comparison.cases)} -> {sum(case.after for case in comparison.cases)}",
        change,
        "",
    )
    return table


def _words(comparison: Comparison) -> Iterator[str]:
    if comparison.exact is not None:
        yield exact_words(comparison.exact)
    if comparison.interval is not None:
        yield interval_words(comparison.interval, comparison.unit)
    yield from (f"{obstacle.verdict} {obstacle.id}: {obstacle.why}" for obstacle in comparison.obstacles)
    yield from (f"unpaired {name}" for name in comparison.unpaired)
    for first, reason in enumerate(comparison.reasons):
        yield f"{comparison.verdict if first == 0 else '':<14}{reason}"
    if comparison.plan is not None:
        yield plan_words(comparison.plan)


_STYLES = {
    Release.SHIP: "green",
    Release.DO_NOT_SHIP: "bold red",
    Release.CANNOT_TELL: "yellow",
    Release.INCOMPARABLE: "bold red",
    Release.ERROR: "bold red",
    Release.MISSING: "bold red",
}


def _record(found: Comparisons, before: Run, after: Run, problems: tuple[str, ...]) -> dict[str, object]:
    return {
        "before": before.id,
        "after": after.id,
        "verdict": found.verdict,
        "holds": found.holds,
        "margin": found.margin,
        "alpha": found.alpha,
        "comparisons_made": {"variants": len(found.comparisons), "cases": found.case_tests},
        "comparisons": [{**asdict(comparison), "pairs": comparison.pairs} for comparison in found.comparisons],
        "unpaired": found.unpaired,
        "problems": problems,
    }
