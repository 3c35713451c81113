"""`qiltest compare`: two runs, or two variants, image by image."""

from __future__ import annotations

import argparse
from pathlib import Path

from qiltest.arguments import rate
from qiltest.cli.common import AddParser, case_flag, console, json_flag, print_json, print_lines, runs_flag
from qiltest.comparison.compare import compare_runs
from qiltest.comparison.records import MARGIN
from qiltest.errors import StoreError
from qiltest.report.terminal.comparison import comparison_record, print_comparisons, run_problems
from qiltest.runs import Run, RunStore
from qiltest.runs.filter import only_cases
from qiltest.runs.merge import merge_runs

_MARGIN_HELP = "rise of the character error rate that is taken for not worse, 0 to 1"


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest compare`."""
    parser = add(
        description='Compares images of the same case, resolution and seed. Exit code 0: "not worse by more than '
        'the margin" is shown of every comparison; 1: worse, cannot tell, or not comparable; 2: used wrongly.',
        parents=[case_flag(), runs_flag(), json_flag()],
    )
    parser.add_argument(
        "before", metavar="RUN", help="what is replaced: id, start of an id, folder, latest, or several: A+B"
    )
    parser.add_argument("after", nargs="?", metavar="RUN", help="what replaces it (the same run, for two variants)")
    parser.add_argument("--margin", type=rate, default=MARGIN, metavar="RATE", help=f"{_MARGIN_HELP} ({MARGIN})")
    parser.add_argument("--variant", metavar="A", help="this variant alone (each that both runs have)")
    parser.add_argument("--with", dest="with_variant", metavar="B", help="compare it with this variant (itself)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write an HTML page with the images that decided")
    parser.set_defaults(handler=run_compare)


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
    out = console()
    if args.json:
        print_json(comparison_record(found, before, after, problems))
    else:
        print_comparisons(out, found, problems)
    if args.report is not None:
        from qiltest.report.comparison.page import write_page

        of = {"variant": args.variant, "with_variant": args.with_variant}
        write_page(found, before, after, args.report, problems=problems, **of)
        if not args.json:
            print_lines([f"page: {args.report.resolve()}"])
    return 0 if found.passes else 1


def _load(store: RunStore, names: str) -> Run:
    """Read a run back, or several joined by `+` as one. Raises StoreError."""
    found = [store.load(name) for name in ([names] if Path(names).is_dir() else names.split("+"))]
    return merge_runs(found) if len(found) > 1 else found[0]
