"""`qiltest calibrate`: measures a reader's own errors on images of known text, and stores them with the cases."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

from rich.progress import Progress, TaskID
from rich.table import Table

from qiltest.arguments import natural_int, positive_int
from qiltest.calibration import Floor, Rate
from qiltest.calibration.measure import KNOWN, calibrate, strokes_of
from qiltest.calibration.store import check_writable, read_floor, write_floor
from qiltest.cli.common import AddParser, cases_flag, console, json_flag, print_json, print_lines, reader_flag
from qiltest.errors import StoreError
from qiltest.reading import DEFAULT_READER, Reader, open_reader
from qiltest.scoring.alphabet import reader_for, require_readable_case
from qiltest.suite.cases import Case
from qiltest.suite.load import FLOORS_FOLDER, load_suite
from qiltest.text.format import count
from qiltest.text.tables import plain_table


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest calibrate`."""
    parser = add(
        description="Renders images of each case's texts, with and without planted typos, reads them, and stores the "
        "reader's own errors (its noise floor) with the cases. Exit code 0: done; 2: wrong usage, or not writable.",
        parents=[cases_flag(), reader_flag(), json_flag()],
    )
    parser.add_argument(
        "--case", action="append", default=[], metavar="ID", help="only this case; may be repeated (default: all)"
    )
    parser.add_argument(
        "--images", type=positive_int, default=12, metavar="N", help="clean images per case (default: 12)"
    )
    parser.add_argument("--seed", type=natural_int, default=0, metavar="N", help="seed of the images (default: 0)")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"where to write the floors (default: {FLOORS_FOLDER}/ in the cases' folder)",
    )
    parser.add_argument(
        "--strokes",
        action="store_true",
        help="only how many characters are taken for broken, as after a new glyph network; all else stays as measured",
    )
    parser.add_argument("--force", action="store_true", help="also replace floors that were measured on more images")
    parser.set_defaults(handler=run_calibrate)


def run_calibrate(args: argparse.Namespace) -> int:
    """Calibrate the named cases, or all. Returns 0; raises QiltestError."""
    suite = load_suite(args.cases)
    cases = [suite.case(name)[0] for name in args.case] or list(suite.cases)
    readers = _readers(cases, args.reader or DEFAULT_READER)
    folder = args.output or args.cases / FLOORS_FOLDER
    stored = _stored(readers, folder) if args.strokes else {}
    if not args.force and not args.strokes:
        _refuse_fewer(readers, args.images, folder)
    check_writable(folder)
    floors = []
    with Progress(console=console(stderr=True), transient=True) as progress:
        for case, reader in progress.track(readers, description="calibrating"):
            task = progress.add_task(case.id, total=None)
            tick = partial(_describe, progress, task)
            if args.strokes:
                rate, glyphs = strokes_of(case, reader, images=args.images, seed=args.seed, tick=tick)
                floors.append(replace(stored[case.id], strokes=rate, glyphs=glyphs))
            else:
                floors.append(calibrate(case, reader, images=args.images, seed=args.seed, tick=tick))
            write_floor(floors[-1], folder)
            progress.remove_task(task)
    if args.json:
        print_json([asdict(floor) for floor in floors], readable=True)
    else:
        for table in _tables(floors):
            console().print(table)
        print_lines(_summary(floors))
    written = f"written to {folder}: {', '.join(f'{floor.case}.json' for floor in floors)}"
    console(stderr=args.json).print(written, soft_wrap=True)
    return 0


def _describe(progress: Progress, task: TaskID, word: str) -> None:
    progress.update(task, description=word)


def _readers(cases: Sequence[Case], name: str) -> list[tuple[Case, Reader]]:
    """Return each case with its reader. Raises ReaderError for one that cannot return the case's characters."""
    opened = cache(open_reader)
    pairs = [(case, opened(reader_for(name, case.texts, case.forgiven))) for case in cases]
    for case, reader in pairs:
        require_readable_case(case, reader, asked=name)
    return pairs


def _stored(readers: Sequence[tuple[Case, Reader]], folder: Path) -> dict[str, Floor]:
    """Return the floors that are there, by case. Raises StoreError for a case without one of the same reader."""
    found = {case.id: read_floor(case.id, reader.info.name, folder) for case, reader in readers}
    known = {
        case.id: floor
        for case, reader in readers
        if (floor := found[case.id]) is not None and floor.fingerprint == reader.info.fingerprint
    }
    missing = [case.id for case, _ in readers if case.id not in known]
    if missing:
        raise StoreError(
            f"{', '.join(missing)}: no noise floor by this reader to add the strokes to",
            where=str(folder),
            remedy="leave out --strokes to measure all",
        )
    return known


def _refuse_fewer(readers: Sequence[tuple[Case, Reader]], images: int, folder: Path) -> None:
    """Raise StoreError where a floor of the same reader, measured on more images, would be replaced."""
    stored = [(read_floor(case.id, reader.info.name, folder), reader) for case, reader in readers]
    better = [
        floor
        for floor, reader in stored
        if floor is not None and floor.fingerprint == reader.info.fingerprint and floor.images > images
    ]
    if better:
        most = max(floor.images for floor in better)
        raise StoreError(
            f"{', '.join(floor.case for floor in better)}: measured on up to {count(most, 'image')}, now {images}",
            where=str(folder),
            remedy=f"use --images {most}, --output FOLDER to write elsewhere, or --force to replace it",
        )


def _tables(floors: list[Floor]) -> Iterator[Table]:
    """Yield two tables, which fit 80 columns each: the reader's errors, and the typos that it finds."""
    kinds = sorted({kind for floor in floors for kind in floor.typos})
    columns = ("median", "mean", "95 %", "most", "texts exact", "broken strokes")
    errors, typos = _table("OCR errors on correct images", columns), _table("planted typos detected", kinds)
    for floor in floors:
        rates = [floor.typos.get(kind) for kind in kinds]
        errors.add_row(
            floor.case,
            f"{floor.floor:g}",
            f"{floor.mean:.2f}",
            f"{floor.percentile_95:g}",
            str(floor.largest),
            f"{floor.exact_texts.found}/{floor.exact_texts.of}",
            f"{floor.strokes.found}/{floor.strokes.of}",
        )
        typos.add_row(floor.case, *("" if rate is None else f"{rate.found}/{rate.of}" for rate in rates))
    yield errors
    if kinds:
        yield typos


def _table(title: str, columns: Sequence[str]) -> Table:
    table = plain_table(title)
    table.add_column("case", overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _summary(floors: list[Floor]) -> list[str]:
    """Return shares over all cases: typos detected (planted, known, in images read at their floor), broken strokes."""
    planted = [rate for floor in floors for kind, rate in floor.typos.items() if kind != KNOWN]
    known = [floor.typos[KNOWN] for floor in floors if KNOWN in floor.typos]
    clean = [floor.clean_typos for floor in floors]
    return [
        f"planted typos detected: {_share(planted)}",
        f"known typos of the cases detected: {_share(known)}",
        f"all of these, counting only images whose clean version reads at its floor: {_share(clean)}",
        f"whole characters taken for broken: {_share([floor.strokes for floor in floors], none='none judged')}",
    ]


def _share(rates: list[Rate], *, none: str = "none planted") -> str:
    from scipy.stats import binomtest  # takes a second to load

    found, of = sum(rate.found for rate in rates), sum(rate.of for rate in rates)
    if not of:
        return none
    interval = binomtest(found, of).proportion_ci(method="wilson")
    return f"{found} of {of} ({found / of:.1%}; 95 %: {interval.low:.1%} to {interval.high:.1%})"
