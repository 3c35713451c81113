"""`qiltest runs`: lists the stored runs."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

from qiltest.arguments import positive_int
from qiltest.cli.common import AddParser, json_flag, print_json, print_lines, runs_flag
from qiltest.runs.listing import ListedRun, list_runs
from qiltest.runs.store import RunStore
from qiltest.text.escape import one_line
from qiltest.text.format import count, size

#: characters of a command and of a reason.
_SHOWN = 200


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest runs`."""
    parser = add(
        description="Lists the stored runs, oldest first: id, when, verdict, images, size, and the command. An image "
        "that several runs share counts in the size of each. Exit code 0: done; 2: wrong usage.",
        parents=[runs_flag(), json_flag()],
    )
    parser.add_argument("--last", type=positive_int, metavar="N", help="only the newest N (default: all)")
    parser.set_defaults(handler=run_runs)


def run_runs(args: argparse.Namespace) -> int:
    """List the runs. Returns 0; raises StoreError."""
    found = list_runs(RunStore(root=args.runs))[-(args.last or 0) :]
    if args.json:
        print_json([_record(run) for run in found])
    elif found:
        print_lines(line for run in found for line in _lines(run))
    else:
        print_lines([f"no runs in {args.runs}: run pytest first, or name the folder with --runs"])
    return 0


def _lines(run: ListedRun) -> Iterator[str]:
    if run.unreadable:
        yield f"{run.id}  cannot be read  {size(run.size)}"
        yield f"    {one_line(run.unreadable, _SHOWN)}"
        return
    counts = ", ".join(f"{number} {status}" for status, number in run.counts.items())
    images = counts or count(run.planned, "image")
    yield f"{run.id}  {when(run)}  {verdict(run)}  {images}  {size(run.size)}"
    yield f"    {one_line(shlex.join(run.command), _SHOWN)}"
    if run.problems and not run.images:
        yield f"    {one_line(run.problems[0].partition(chr(10))[0], _SHOWN)}"


def when(run: ListedRun) -> str:
    """Return when a run began, to the minute, in UTC."""
    return run.started[:16].replace("T", " ")


def verdict(run: ListedRun) -> str:
    """Return a run's verdict, or how it was left."""
    if run.active:
        return "running"
    return f"{run.status}" if run.exit_status is not None else run.state.value


def _record(run: ListedRun) -> dict[str, Any]:
    return {
        "run": run.id,
        "started": run.started or None,
        "command": list(run.command),
        "model": run.model or None,
        "state": None if run.unreadable else run.state,
        "running": run.active,
        "verdict": None if run.unreadable else run.status,
        "exit_status": run.exit_status,
        "planned": run.planned,
        "images": run.images,
        "counts": dict(run.counts),
        "problems": list(run.problems),
        "size": run.size,
        "unreadable": run.unreadable or None,
    }
