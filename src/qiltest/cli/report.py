"""`qiltest report`: writes the report of a stored run, as HTML, Markdown or JSON."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from qiltest.cli.common import (
    AddParser,
    case_flag,
    cases_flag,
    console,
    golden_flag,
    json_flag,
    open_page,
    print_json,
    print_lines,
    runs_flag,
)
from qiltest.errors import QiltestError, StoreError
from qiltest.report import write_html, write_json, write_markdown
from qiltest.report.headline import verdict_of
from qiltest.report.html.page import render_html
from qiltest.report.json_report import MOST_IN_JSON, render_json
from qiltest.report.markdown import render_markdown
from qiltest.report.view import view
from qiltest.runs import Run, RunStore
from qiltest.runs.filter import is_of, only_cases
from qiltest.runs.merge import load_runs
from qiltest.runs.status import Status
from qiltest.runs.store import LATEST
from qiltest.text.escape import printable_json
from qiltest.text.format import count

WRITERS: dict[str, Callable[..., None]] = {"html": write_html, "md": write_markdown, "json": write_json}

#: for standard output; texts in a report are visible already, and the console takes commands of a job's log out.
_PRINTED: dict[str, Callable[..., str]] = {
    "html": lambda run, **options: render_html(view(run, **options), Path.cwd()),
    "md": lambda run, **options: render_markdown(view(run, **options), Path.cwd()),
    "json": lambda run, **options: printable_json(render_json(view(run, most=MOST_IN_JSON, **options), Path.cwd())),
}
_STANDARD_OUTPUT = "-"


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest report`."""
    parser = add(
        description="Writes the report of a stored run. Exit code 0: it was written, whatever the run's verdict; 2: "
        "wrong usage, no such run, or not writable; 1: with --exit-code, the run does not pass.",
        parents=[
            case_flag(),
            golden_flag(),
            cases_flag("case files of a bundle (default: cases)"),
            runs_flag(),
            json_flag("print what was written as JSON"),
        ],
    )
    parser.add_argument(
        "run",
        nargs="?",
        default=LATEST,
        metavar="RUN",
        help="a run's folder, its id, the start of its id, or latest; RUN+RUN takes several as one, such "
        "as the parts of a session",
    )
    parser.add_argument("--format", choices=sorted(WRITERS), default="html", help="default: html")
    parser.add_argument(
        "--output", metavar="PATH", help="- for standard output (default: report.FORMAT in the run's folder)"
    )
    parser.add_argument(
        "--bundle",
        nargs="?",
        const="",
        type=Path,
        metavar="PATH",
        help="the run with its images, events, reports, goldens and cases as one zip (PATH ends in .zip; default: "
        "qiltest-ID.zip) or a new folder, from which every command on stored runs works on another machine",
    )
    parser.add_argument("--previous", metavar="RUN", help="compare with this run (default: the goldens)")
    parser.add_argument(
        "--exit-code", action="store_true", help="end with 1 unless the run passes, as its session would have"
    )
    parser.add_argument("--open", action="store_true", help="open it in the browser, if there is a display")
    parser.set_defaults(handler=run_report)


def run_report(args: argparse.Namespace) -> int:
    """Write the report and print its path. Returns 0; raises StoreError."""
    store = RunStore(root=args.runs)
    if args.bundle is not None:
        return _bundle(store, args)
    run = _load(store, args.run, args.case)
    previous = None if args.previous is None else _load(store, args.previous, args.case)
    if args.output == _STANDARD_OUTPUT:
        return _print(run, previous, args)
    name = "merged" if "+" in run.id else "report"  # the report of one of them stays
    path = Path(args.output) if args.output else run.path / f"{name}.{args.format}"
    if path.is_dir():
        path = path / f"report.{args.format}"
    try:
        WRITERS[args.format](run, path, previous=previous, golden_folder=args.golden)
    except OSError as error:
        raise StoreError(
            f"the report could not be written: {error.strerror or error}",
            where=str(path),
            remedy="free some space, or choose another file with --output",
        ) from error
    status, headline, _ = verdict_of(run)
    if args.json:
        known = {"run": run.id, "format": args.format, "report": str(path)}
        print_json({**known, "verdict": status.value, "headline": headline})
    else:
        print_lines((f"{status.value}: {headline}", *_left_out(run), f"report: {path.resolve()}"))
    if args.open:
        open_page(path)
    return _exit_code(run) if args.exit_code else 0


def _left_out(run: Run) -> Iterator[str]:
    """Yield which parts of a shared session are not in the run."""
    if run.shards is not None and run.shards.missing:
        parts = ", ".join(f"{number}/{run.shards.of}" for number in run.shards.missing)
        yield f"not here: {parts} of the session (--qil-shard)"


def _exit_code(run: Run) -> int:
    """Return what a session of all these images would have ended with: 0 where it passes, else 1."""
    status, _, _ = verdict_of(run)
    accepted = status is Status.NEW and run.exit_status == 0
    whole = run.shards is None or not run.shards.missing
    return 0 if (status is Status.PASS or accepted) and whole else 1


def _bundle(store: RunStore, args: argparse.Namespace) -> int:
    """Write the bundle and print its path."""
    from qiltest.engine.bundle import write_bundle

    for flag, value in (("--case", args.case), ("--output", args.output), ("--previous", args.previous)):
        if value:
            raise QiltestError(
                f"{flag} and --bundle exclude each other: a bundle is the whole run", remedy=f"remove {flag}"
            )
    folder = store.find(args.run)
    path = args.bundle if args.bundle.name else Path(f"qiltest-{folder.resolve().name}.zip")
    made = write_bundle(folder, path, golden_folder=args.golden, cases=args.cases)
    if args.json:
        known = {"run": folder.resolve().name, "bundle": str(made.path), "images": made.images}
        print_json({**known, "goldens": made.goldens, "lacks": made.lacks})
    else:
        print_lines(f"not in the bundle: {lack}" for lack in made.lacks)
        print_lines((f"bundle: {made.path.resolve()}: {count(made.images, 'image')}, {count(made.goldens, 'golden')}",))
    return 0


def _load(store: RunStore, name: str, cases: Sequence[str]) -> Run:
    """Read a run back, or several as one, as far as there is room, with these cases alone where some are named."""
    return only_cases(load_runs(store, name, wanted=is_of(cases)), cases)


def _print(run: Run, previous: Run | None, args: argparse.Namespace) -> int:
    if args.json or args.open:
        raise QiltestError(
            "--output - writes the report itself to standard output",
            remedy="leave out --json and --open, or name a file with --output",
        )
    with suppress(BrokenPipeError):  # a reader that goes away, as `head` does
        console().file.write(_PRINTED[args.format](run, previous=previous, golden_folder=args.golden))
    return 0
