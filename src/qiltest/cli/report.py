"""`qiltest report`: the report of a stored run, as HTML, Markdown or JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rich.console import Console

from qiltest.errors import StoreError
from qiltest.report import write_html, write_json, write_markdown
from qiltest.report.view import view
from qiltest.runs import Run, RunStore
from qiltest.text.escape import one_line

WRITERS: dict[str, Callable[..., None]] = {"html": write_html, "md": write_markdown, "json": write_json}


class Subparsers(Protocol):
    """The part of argparse's action that adds a verb."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser:  # noqa: A002 - its name
        """Add a verb's parser."""
        ...


def add_parsers(subparsers: Subparsers) -> None:
    """Add the verb `report`."""
    parser = subparsers.add_parser(
        "report",
        help="write the report of a stored run",
        description="Write the report of a stored run. Exit code 0: it was written, whatever the run's verdict.",
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, its id, the start of its id, or `latest`")
    parser.add_argument("--format", choices=sorted(WRITERS), default="html", help="default: html")
    parser.add_argument("--output", type=Path, metavar="PATH", help="default: report.FORMAT in the run's folder")
    parser.add_argument("--previous", metavar="RUN", help="what changed since this run (default: since the goldens)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="folder of runs; default: runs")
    parser.add_argument("--json", action="store_true", help="say on standard output, as JSON, what was written")
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
    # a path is printed whole on one line, so that a terminal or a script can take it
    console = Console(soft_wrap=True, markup=False, highlight=False, emoji=False)
    if as_json:
        record = {
            "run": run.id,
            "format": form,
            "report": str(path),
            "verdict": page.status.value,
            "headline": page.headline,
        }
        console.print(json.dumps(record, allow_nan=False))
    else:
        console.print(f"{page.status.value}: {page.headline}")
        console.print(f"report: {one_line(str(path.resolve()))}")
