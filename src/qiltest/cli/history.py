"""`qiltest history`: shows a case over the recorded runs."""

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
from qiltest.text.format import count, seconds


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest history`."""
    parser = add(
        description="Shows verdict, edits and latency of a case over the recorded runs, oldest first. Exit code 0: "
        "done; 2: wrong usage, or no run has this case.",
        parents=[runs_flag(), json_flag()],
    )
    parser.add_argument("case", metavar="CASE[@WxH]", help="id of a case; all resolutions unless one is named")
    parser.add_argument("--variant", metavar="V", help="only this variant")
    parser.add_argument("--last", type=positive_int, default=20, metavar="N", help="most runs shown (default: 20)")
    parser.set_defaults(handler=run_history)


def run_history(args: argparse.Namespace) -> int:
    """Show the runs. Returns 0; raises StoreError where no run, or none with that case, is recorded."""
    path = args.runs / HISTORY
    entries, bad = read(path)
    chosen = ((entry, _samples(entry, args.case, args.variant)) for entry in entries)
    wanted = [(entry, samples) for entry, samples in chosen if samples][-args.last :]
    if not wanted:
        raise _nothing(path, entries, bad, args.case, args.variant)
    if args.json:
        print_json([_record(entry, samples) for entry, samples in wanted])
    else:
        console().print(_table(wanted))
    if bad:
        console(stderr=True).print(f"{path}: skipped {count(bad, 'line')}, damaged or of another version")
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


def _nothing(path: Path, entries: Iterable[HistoryEntry], bad: int, case: str, variant: str | None) -> StoreError:
    known = sorted({name.partition("@")[0] for entry in entries for name in entry.samples})
    if not known and bad:
        what = f"no run can be shown: {count(bad, 'line')}, damaged or of another version"
        return StoreError(what, where=str(path), remedy="run pytest; the next run adds a line of this version")
    if not known:
        return StoreError(
            "no run is recorded", where=str(path), remedy="run pytest first, or name the folder with --runs"
        )
    of = f" of variant {variant!r}" if variant else ""
    return StoreError(f"no run has case {case!r}{of}", where=str(path), remedy=f"the cases are: {', '.join(known)}")


def _record(entry: HistoryEntry, samples: dict[str, HistorySample]) -> dict[str, Any]:
    known = {name: getattr(entry, name) for name in ("run", "started", "model", "reader")}
    return {**known, "samples": {name: asdict(sample) for name, sample in samples.items()}}


def _table(wanted: list[tuple[HistoryEntry, dict[str, HistorySample]]]) -> Table:
    names = list(dict.fromkeys(name for _, samples in wanted for name in samples))
    # runs of another model or reader are not comparable, so both are columns where they differ
    several = [name for name in ("model", "reader") if len({getattr(entry, name) for entry, _ in wanted}) > 1]
    table = Table(box=None, pad_edge=False)
    table.add_column("run", no_wrap=True)
    table.add_column("started", no_wrap=True)
    for title in (*several, *(name.partition("@")[2] for name in names)):
        table.add_column(Text(one_line(title)), overflow="fold")
    for entry, samples in wanted:
        cells = [entry.run, entry.started[:16].replace("T", " "), *(getattr(entry, name) for name in several)]
        cells += [_words(samples.get(name)) for name in names]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _words(sample: HistorySample | None) -> str:
    if sample is None:
        return "–"
    edits = "" if sample.distance is None else f" {sample.distance}"
    return f"{sample.status}{edits}" + ("" if sample.seconds is None else f", {seconds(sample.seconds)}")
