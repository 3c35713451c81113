"""`qiltest report`: the report of a stored run, as HTML, Markdown or JSON."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from qiltest.cli.common import AddParser, json_flag, print_json, print_lines, runs_flag
from qiltest.errors import StoreError
from qiltest.report import write_html, write_json, write_markdown
from qiltest.report.view import view
from qiltest.runs import Run, RunStore

WRITERS: dict[str, Callable[..., None]] = {"html": write_html, "md": write_markdown, "json": write_json}


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest report`."""
    parser = add(
        description="Write the report of a stored run. Exit code 0: it was written, whatever the run's verdict.",
        parents=[runs_flag(), json_flag("say on standard output, as JSON, what was written")],
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, its id, the start of its id, or `latest`")
    parser.add_argument("--format", choices=sorted(WRITERS), default="html", help="default: html")
    parser.add_argument("--output", type=Path, metavar="PATH", help="default: report.FORMAT in the run's folder")
    parser.add_argument("--previous", metavar="RUN", help="what changed since this run (default: since the goldens)")
    parser.add_argument("--open", action="store_true", help="show it in the browser, where there is a screen")
    parser.set_defaults(handler=run_report)


def run_report(args: argparse.Namespace) -> int:
    """Write the report and say where it is."""
    store = RunStore(root=args.runs)
    run = store.load(args.run)
    previous = None if args.previous is None else store.load(args.previous)
    path: Path = args.output or run.path / f"report.{args.format}"
    if path.is_dir():
        path = path / f"report.{args.format}"
    try:
        WRITERS[args.format](run, path, previous=previous)
    except OSError as error:
        raise StoreError(
            f"the report could not be written: {error.strerror or error}",
            where=str(path),
            remedy="free space, or choose another place with --output",
        ) from error
    _say(run, path, previous, as_json=args.json, form=args.format)
    if args.open and _has_screen():
        webbrowser.open(path.resolve().as_uri())
    return 0


def _has_screen() -> bool:
    """Without a screen `webbrowser` would start a text browser in the terminal and wait for it."""
    return sys.platform in {"darwin", "win32"} or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _say(run: Run, path: Path, previous: Run | None, *, as_json: bool, form: str) -> None:
    page = view(run, previous)
    if as_json:
        record = {
            "run": run.id,
            "format": form,
            "report": str(path),
            "verdict": page.status.value,
            "headline": page.headline,
        }
        print_json(record)
    else:
        print_lines((f"{page.status.value}: {page.headline}", f"report: {path.resolve()}"))
