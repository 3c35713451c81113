"""`qiltest history`: the trend of a case over the recorded runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from qiltest.arguments import positive_int
from qiltest.cli.common import AddParser, console, json_flag, print_json, runs_flag
from qiltest.errors import StoreError
from qiltest.runs.history import HISTORY, Past, PastPoint, read
from qiltest.text.escape import one_line
from qiltest.text.format import seconds


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest history`."""
    parser = add(
        description="Shows edits, verdict and latency of a case over the recorded runs, oldest first. Exit code 0: "
        "there is something to show; 2: no run has such a case.",
        parents=[runs_flag(), json_flag()],
    )
    parser.add_argument("case", metavar="CASE[@WxH]", help="id of a case, with a resolution or of all")
    parser.add_argument("--variant", metavar="V", help="this variant alone")
    parser.add_argument("--last", type=positive_int, default=20, metavar="N", help="at most so many runs (20)")
    parser.set_defaults(handler=run_history)


def run_history(args: argparse.Namespace) -> int:
    """Show the trend. Raises StoreError where nothing is recorded, or nothing of that case."""
    path = args.runs / HISTORY
    pasts, bad = read(path)
    wanted = [(past, _points(past, args.case, args.variant)) for past in pasts]
    wanted = [(past, points) for past, points in wanted if points][-args.last :]
    if not wanted:
        raise _nothing(path, pasts, args.case, args.variant)
    if args.json:
        print_json(_record(wanted))
    else:
        console().print(_table(wanted))
    if bad:
        console(stderr=True).print(f"{path}: {bad} lines cannot be read and are left out")
    return 0


def _points(past: Past, case: str, variant: str | None) -> dict[str, PastPoint]:
    identity, _, size = case.partition("@")
    return {
        name: point
        for name, point in past.points.items()
        if name.partition("@")[0] == identity
        and (not size or name.partition("@")[2].startswith(f"{size}-"))
        and variant in {None, point.variant}
    }


def _nothing(path: Path, pasts: Iterable[Past], case: str, variant: str | None) -> StoreError:
    known = sorted({name.partition("@")[0] for past in pasts for name in past.points})
    if not known:
        return StoreError("no run is recorded", where=str(path), remedy="each run of the suite adds its line")
    of = f" of variant {variant!r}" if variant else ""
    return StoreError(f"no run has a case {case!r}{of}", where=str(path), remedy=f"the cases there: {', '.join(known)}")


def _record(wanted: Iterable[tuple[Past, dict[str, PastPoint]]]) -> list[dict[str, Any]]:
    return [
        {
            "run": past.run,
            "started": past.started,
            "model": past.model,
            "reader": past.reader,
            "points": {name: asdict(point) for name, point in points.items()},
        }
        for past, points in wanted
    ]


def _table(wanted: list[tuple[Past, dict[str, PastPoint]]]) -> Table:
    names = list(dict.fromkeys(name for _, points in wanted for name in points))
    # a change of model or reader ends comparability, so both are columns where they differ
    models, readers = ({past.model for past, _ in wanted}, {past.reader for past, _ in wanted})
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("started", no_wrap=True)
    for title in ("model",) * (len(models) > 1) + ("reader",) * (len(readers) > 1):
        table.add_column(title, overflow="fold")
    for name in names:
        table.add_column(Text(one_line(name.partition("@")[2])), overflow="fold")
    for past, points in wanted:
        cells = [past.run, past.started[:16].replace("T", " ")]
        cells += [past.model] * (len(models) > 1) + [past.reader] * (len(readers) > 1)
        cells += [_words(points.get(name)) for name in names]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _words(point: PastPoint | None) -> str:
    if point is None:
        return "–"
    edits = "" if point.distance is None else f" {point.distance}"
    return f"{point.status}{edits}" + ("" if point.seconds is None else f", {seconds(point.seconds)}")
