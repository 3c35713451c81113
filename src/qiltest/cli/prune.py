"""`qiltest prune`: removes old runs, once it was told to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from qiltest.arguments import positive_int
from qiltest.cli.common import AddParser, golden_flag, json_flag, print_json, print_lines, runs_flag
from qiltest.cli.runs import verdict, when
from qiltest.runs.prune import Plan, plan, remove
from qiltest.runs.store import RunStore
from qiltest.text.format import count, size

#: a month of nights.
KEEP = 30


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest prune`."""
    parser = add(
        description="Says which runs are old and needed by nobody; with --remove it removes them. Of the others stay "
        "those that have a golden's image, those that a comparison's page links to, those that a process writes, and "
        "the last run of each model that passes. The history keeps its lines. Exit code 0: done; 2: wrong usage, or "
        "one cannot be removed.",
        parents=[golden_flag(), runs_flag(), json_flag()],
    )
    parser.add_argument(
        "--keep",
        type=positive_int,
        default=KEEP,
        metavar="N",
        help=f"the newest runs with images, which stay (default: {KEEP})",
    )
    parser.add_argument("--remove", action="store_true", help="remove them; without it nothing is changed")
    parser.set_defaults(handler=run_prune)


def run_prune(args: argparse.Namespace) -> int:
    """Remove old runs, or say which. Returns 0; raises StoreError."""
    found = plan(RunStore(root=args.runs), args.golden, newest=args.keep)
    if not args.json:
        print_lines(_plan_lines(found))
    gone = [run.id for run in remove(found)] if args.remove else []
    if args.json:
        print_json(_record(found, gone))
    elif args.remove:
        print_lines([f"removed {count(len(gone), 'run')}"])
    elif found.remove:
        print_lines(["nothing was removed: --remove removes them"])
    return 0


def _plan_lines(found: Plan) -> Iterator[str]:
    if found.remove:
        yield f"{count(len(found.remove), 'run')} to remove, which frees {size(found.frees)}:"
    else:
        yield "no run to remove"
    yield from (f"  {run.id}  {when(run)}  {verdict(run)}  {size(run.size)}" for run in found.remove)
    yield f"{count(found.newest, 'newest run')} and {count(len(found.kept), 'older one')} stay"
    yield from (f"  {kept.run.id}: {kept.why}" for kept in found.kept)


def _record(found: Plan, gone: list[str]) -> dict[str, object]:
    return {
        "remove": [run.id for run in found.remove],
        "frees": found.frees,
        "newest": found.newest,
        "kept": [{"run": kept.run.id, "why": kept.why} for kept in found.kept],
        "removed": gone,
    }
