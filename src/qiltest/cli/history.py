"""`qiltest history`: the recorded runs: one case as a table, since when images do not pass, trends, and exports."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from qiltest.arguments import positive_int
from qiltest.cli.common import AddParser, console, file_path, json_flag, print_json, print_lines, runs_flag
from qiltest.errors import StoreError
from qiltest.runs.history import HISTORY, HistoryEntry, HistorySample, read
from qiltest.runs.records import Purpose
from qiltest.text.escape import one_line, printable_json
from qiltest.text.format import count, seconds
from qiltest.text.tables import fitting, plain_table

#: most runs of a table, and of a page.
_LAST, _LAST_OF_PAGE = 20, 60


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest history`."""
    parser = add(
        description="Shows verdict, edits and latency of a case over the recorded runs of the suite, oldest first. "
        "Without a case: since when images do not pass. Exit code 0: done; 2: wrong usage, or no run has this case.",
        parents=[runs_flag(), json_flag()],
    )
    parser.add_argument(
        "case", nargs="?", metavar="CASE[@WxH]", help="id of a case; all resolutions unless one is named"
    )
    parser.add_argument("--variant", metavar="V", help="only this variant")
    parser.add_argument(
        "--last",
        type=positive_int,
        metavar="N",
        help=f"most runs shown (default: {_LAST}; of a page {_LAST_OF_PAGE}, of an export all)",
    )
    parser.add_argument(
        "--checks", action="store_true", help="the checks of LoRA files in place of the suite's runs, by file and hash"
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--html", type=file_path, metavar="PATH", help="write a page of trends")
    output.add_argument(
        "--export",
        choices=("jsonl", "benchmark"),
        help="print one JSON object per image and run, or the newest run for github-action-benchmark "
        "(customSmallerIsBetter)",
    )
    parser.set_defaults(handler=run_history)


def run_history(args: argparse.Namespace) -> int:
    """Show the runs. Returns 0; raises StoreError where no run, or none with that case, is recorded."""
    path = args.runs / HISTORY
    entries, bad = read(path)
    purpose = Purpose.CHECK if args.checks else Purpose.SUITE
    own = [entry for entry in entries if entry.purpose is purpose]
    wanted = [entry for entry in (_only(entry, args.case, args.variant) for entry in own) if entry.samples]
    if not wanted:
        raise _nothing(path, own, bad, args.case, args.variant, checks=args.checks)
    if args.html is not None:
        print_lines(_page(wanted[-(args.last or _LAST_OF_PAGE) :], args))
    elif args.export is not None:
        for text in _exported(wanted[-args.last :] if args.last else wanted, args.export):
            console().out(printable_json(text), highlight=False)
    elif args.json:
        print_json([_record(entry) for entry in wanted[-(args.last or _LAST) :]])
    elif args.case is None:
        print_lines(_since_when(wanted))
    else:
        shown, out = wanted[-(args.last or _LAST) :], console()
        names = list(dict.fromkeys(name for entry in shown for name in entry.samples))
        for table in fitting(out, names, lambda columns: _table(shown, columns)):
            out.print(table)
    if bad:
        console(stderr=True).print(f"{path}: skipped {count(bad, 'line')}, damaged or of another version")
    return 0


def _only(entry: HistoryEntry, case: str | None, variant: str | None) -> HistoryEntry:
    """Return a run with these samples alone."""
    identity, _, size = (case or "").partition("@")
    return replace(
        entry,
        samples={
            name: sample
            for name, sample in entry.samples.items()
            if (not identity or name.partition("@")[0] == identity)
            and (not size or name.partition("@")[2].startswith(f"{size}-"))
            and variant in {None, sample.variant}
        },
    )


def _nothing(
    path: Path, entries: Iterable[HistoryEntry], bad: int, case: str | None, variant: str | None, *, checks: bool
) -> StoreError:
    known = sorted({name.partition("@")[0] for entry in entries for name in entry.samples})
    if not known and bad:
        what = f"no run can be shown: {count(bad, 'line')}, damaged or of another version"
        return StoreError(what, where=str(path), remedy="run pytest; the next run adds a line of this version")
    if not known and checks:
        return StoreError("no check is recorded", where=str(path), remedy="`qiltest check` and --qil-lora record one")
    if not known:
        return StoreError(
            "no run is recorded", where=str(path), remedy="run pytest first, or name the folder with --runs"
        )
    of = f" of variant {variant!r}" if variant else ""
    named = f"case {case!r}{of}" if case else f"an image{of}"
    return StoreError(f"no run has {named}", where=str(path), remedy=f"the cases are: {', '.join(known)}")


def _of_newest_model(entries: Sequence[HistoryEntry]) -> tuple[list[HistoryEntry], str]:
    """Return the runs of the newest run's model, and a sentence on the others, or ""."""
    model = entries[-1].model
    own = [entry for entry in entries if entry.model == model]
    left = len(entries) - len(own)
    return own, f"{count(left, 'run')} of other models left out" if left else ""


def _page(entries: Sequence[HistoryEntry], args: argparse.Namespace) -> Iterator[str]:
    from qiltest.report.trends.page import write_trends

    own, others = _of_newest_model(entries)
    notes = [note for note in (f"Only case {args.case}." if args.case else "", others and f"{others}.") if note]
    write_trends(own, args.html, runs=args.runs, notes=notes)
    yield f"page: {args.html.resolve()}"


def _exported(entries: Sequence[HistoryEntry], kind: str) -> Iterator[str]:
    from qiltest.report.trends.export import benchmark_json, json_lines

    yield from [benchmark_json(entries)] if kind == "benchmark" else json_lines(entries)


def _since_when(entries: Sequence[HistoryEntry]) -> Iterator[str]:
    from qiltest.report.since_when import summary_of, words
    from qiltest.runs.streaks import streaks_of

    own, others = _of_newest_model(entries)
    found = streaks_of(own)
    newest = own[-1]
    passing = sum(sample.passes for sample in newest.samples.values())
    yield f"{newest.model}, {count(len(own), 'run')}; newest {newest.run}: {passing} of {len(newest.samples)} pass"
    yield f"since when: {summary_of(found)}" if found else "nothing fails, and nothing was fixed in the newest run"
    yield from (f"  {streak.standing:<9} {streak.sample}: {words(streak)}" for streak in found)
    if others:
        yield others


def _record(entry: HistoryEntry) -> dict[str, Any]:
    known = {name: getattr(entry, name) for name in ("run", "started", "purpose", "model", "reader", "facts")}
    samples = {name: asdict(sample) for name, sample in entry.samples.items()}
    return {**known, "candidates": entry.candidates, "samples": samples}


def _table(wanted: list[HistoryEntry], names: Sequence[str]) -> Table:
    # runs of another model or reader are not comparable, so both are columns where they differ
    several = [name for name in ("model", "reader") if len({getattr(entry, name) for entry in wanted}) > 1]
    checks = any(entry.candidates for entry in wanted)
    table = plain_table()
    table.add_column("run", no_wrap=True)
    table.add_column("started", no_wrap=True)
    if checks:
        table.add_column("candidates", no_wrap=True)
    for title in (*several, *(name.partition("@")[2] for name in names)):
        table.add_column(Text(one_line(title)), overflow="fold")
    for entry in wanted:
        cells = [entry.run, entry.started[:16].replace("T", " "), *([", ".join(entry.candidates)] if checks else [])]
        cells += [getattr(entry, name) for name in several]
        cells += [_words(entry.samples.get(name)) for name in names]
        table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _words(sample: HistorySample | None) -> str:
    if sample is None:
        return "–"
    edits = "" if sample.distance is None else f" {sample.distance}"
    return f"{sample.status}{edits}" + ("" if sample.seconds is None else f", {seconds(sample.seconds)}")
