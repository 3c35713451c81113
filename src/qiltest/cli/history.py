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
from qiltest.runs.history import HISTORY, HistoryEntry, HistorySample, read
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
    entries, bad = read(path)
    wanted = [(entry, _samples(entry, args.case, args.variant)) for entry in entries]
    wanted = [(entry, samples) for entry, samples in wanted if samples][-args.last :]
    if not wanted:
        raise _nothing(path, entries, args.case, args.variant)
    if args.json:
        print_json(_record(wanted))
    else:
        console().print(_table(wanted))
    if bad:
        console(stderr=True).print(f"{path}: {bad} lines cannot be read and are left out")
    return 0


def _samples(entry: HistoryEntry, case: str, variant: str | None) -> dict[str, HistorySample]:
    identity, _, size = case.partition("@")
    return {
        name: sample
        for name, sample in entry.samples.items()
        if name.partition("@")[0] == identity
        and (not size or name.partition("@")[2].startswith(f"{size}-"))
        and variant in {None, sample.variant}
    }


def _nothing(path: Path, entries: Iterable[HistoryEntry], case: str, variant: str | None) -> StoreError:
    known = sorted({name.partition("@")[0] for entry in entries for name in entry.samples})
    if not known:
        return StoreError("no run is recorded", where=str(path), remedy="each run of the suite adds its line")
    of = f" of variant {variant!r}" if variant else ""
    return StoreError(f"no run has a case {case!r}{of}", where=str(path), remedy=f"the cases there: {', '.join(known)}")


def _record(wanted: Iterable[tuple[HistoryEntry, dict[str, HistorySample]]]) -> list[dict[str, Any]]:
    return [
        {
            "run": entry.run,
            "started": entry.started,
            "model": entry.model,
            "reader": entry.reader,
            "points": {name: asdict(sample) for name, sample in samples.items()},
        }
        for entry, samples in wanted
    ]


def _table(wanted: list[tuple[HistoryEntry, dict[str, HistorySample]]]) -> Table:
    names = list(dict.fromkeys(name for _, samples in wanted for name in samples))
    # a change of model or reader ends comparability, so both are columns where they differ
    models, readers = ({entry.model for entry, _ in wanted}, {entry.reader for entry, _ in wanted})
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("started", no_wrap=True)
    for title in ("model",) * (len(models) > 1) + ("reader",) * (len(readers) > 1):
        table.add_column(title, overflow="fold")
    for name in names:
        table.add_column(Text(one_line(name.partition("@")[2])), overflow="fold")
    for entry, samples in wanted:
        cells = [entry.run, entry.started[:16].replace("T", " ")]
        cells += [entry.model] * (len(models) > 1) + [entry.reader] * (len(readers) > 1)
        cells += [_words(samples.get(name)) for name in names]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _words(sample: HistorySample | None) -> str:
    if sample is None:
        return "–"
    edits = "" if sample.distance is None else f" {sample.distance}"
    return f"{sample.status}{edits}" + ("" if sample.seconds is None else f", {seconds(sample.seconds)}")
