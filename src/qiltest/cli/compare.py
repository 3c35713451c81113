"""`qiltest compare`: compares two runs, or two variants, image by image."""

from __future__ import annotations

import argparse

from qiltest.arguments import rate
from qiltest.cli.common import (
    AddParser,
    case_flag,
    console,
    file_path,
    json_flag,
    open_page,
    print_json,
    print_lines,
    runs_flag,
)
from qiltest.comparison.compare import compare_runs
from qiltest.comparison.records import MARGIN
from qiltest.errors import QiltestError, StoreError
from qiltest.report.terminal.comparison import comparison_record, print_comparisons, run_problems
from qiltest.runs import Run, RunStore
from qiltest.runs.filter import only_cases
from qiltest.runs.merge import load_runs


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest compare`."""
    parser = add(
        description="Compares images of the same case, resolution and seed. With --across, runs of several sources "
        "(generated here, by a server, or elsewhere) are set side by side, and each is asked whether it writes as well "
        "as the first. Exit code 0: no worse, within the margin; 1: worse, cannot tell, or not comparable; 2: wrong "
        "usage.",
        parents=[case_flag(), runs_flag(), json_flag()],
    )
    parser.add_argument(
        "before",
        nargs="?",
        metavar="RUN",
        help="the run before: id, start of an id, folder, latest, or several: A+B",
    )
    parser.add_argument("after", nargs="?", metavar="RUN", help="the run after (default: the same run)")
    parser.add_argument(
        "--across", nargs="+", metavar="RUN", help="set these runs side by side; the first is the reference"
    )
    margin = f"largest accepted rise of the error rate, 0 to 1 (default: {MARGIN})"
    parser.add_argument("--margin", type=rate, default=MARGIN, metavar="RATE", help=margin)
    parser.add_argument("--variant", metavar="A", help="only this variant (default: all of both runs)")
    parser.add_argument(
        "--with", dest="with_variant", metavar="B", help="compare with this variant (default: the same)"
    )
    parser.add_argument(
        "--report", type=file_path, metavar="PATH", help="write an HTML page with the images that differ"
    )
    parser.add_argument("--open", action="store_true", help="open the page of --report, if there is a display")
    parser.set_defaults(handler=run_compare)


def run_compare(args: argparse.Namespace) -> int:
    """Compare and print the result. Returns 0 where nothing is worse within the margin, else 1; raises StoreError."""
    if args.open and args.report is None:
        raise QiltestError("--open opens the page of --report", remedy="give both: --report page.html --open")
    store = RunStore(root=args.runs)
    if args.across is not None:
        return _across(args, store)
    if args.before is None:
        raise StoreError("no run is given", where=str(args.runs), remedy="name two runs, or several with --across")
    before = only_cases(_load(store, args.before), args.case)
    after = before if args.after is None else only_cases(_load(store, args.after), args.case)
    if args.after is None and args.with_variant is None:
        raise StoreError(
            "only one run given",
            where=str(before.path),
            remedy="name two runs, or one run with --variant A --with B",
        )
    found = compare_runs(before, after, variant=args.variant, with_variant=args.with_variant, margin=args.margin)
    problems = tuple(dict.fromkeys((*run_problems(before), *run_problems(after))))
    if args.json:
        print_json(comparison_record(found, before, after, problems))
    else:
        print_comparisons(console(), found, problems)
    if args.report is not None:
        from qiltest.report.comparison.page import write_page

        names = {"variant": args.variant, "with_variant": args.with_variant}
        write_page(found, before, after, args.report, problems=problems, **names)
        if not args.json:
            print_lines([f"page: {args.report.resolve()}"])
        if args.open:
            open_page(args.report)
    return 0 if found.passes else 1


def _across(args: argparse.Namespace, store: RunStore) -> int:
    """Set several runs side by side. Returns 0 where each writes as well as the first, else 1; raises StoreError."""
    from qiltest.comparison.across import set_side_by_side
    from qiltest.report.across.page import write_across
    from qiltest.report.across.record import across_record, print_across

    if args.before is not None or args.with_variant is not None:
        what = "a run before --across" if args.before is not None else "--with"
        raise StoreError(
            f"{what} and --across exclude each other",
            where=str(args.runs),
            remedy="name all runs after --across, the reference first; --variant A compares one variant",
        )
    runs = [only_cases(_load(store, name), args.case) for name in args.across]
    across = set_side_by_side(runs, variant=args.variant, margin=args.margin)
    problems = tuple(dict.fromkeys(problem for run in runs for problem in run_problems(run)))
    if args.report is not None:
        write_across(across, args.report, problems=problems)
    if args.json:
        print_json(across_record(across, problems))
    else:
        print_across(console(), across, problems)
        if args.report is not None:
            print_lines([f"page: {args.report.resolve()}"])
    return 0 if across.passes else 1


def _load(store: RunStore, names: str) -> Run:
    """Load a run, or several joined by `+` as one. Raises StoreError."""
    return load_runs(store, names)
