"""Shared by the commands: options, the console, and JSON on standard output."""

from __future__ import annotations

import argparse
import json
import os
import sys
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.cli.parser import Parser
from qiltest.errors import ReaderError, StoreError
from qiltest.reading.registry import DEFAULT_READER, reader_names
from qiltest.text.console import SafeConsole
from qiltest.text.escape import printable_json, printable_line

if TYPE_CHECKING:
    from qiltest.engine.options import Options
    from qiltest.reading import Reader, Reading
    from qiltest.runs.records import Run

#: makes the parser of a command; takes what argparse.ArgumentParser takes.
AddParser = Callable[..., argparse.ArgumentParser]
#: columns of output that does not go to a terminal.
_FILE_WIDTH = 200


def json_flag(text: str = "print the result as JSON") -> argparse.ArgumentParser:
    """Return a parent with `--json`."""
    return _parent("--json", action="store_true", help=text)


def runs_flag() -> argparse.ArgumentParser:
    """Return a parent with `--runs`, a Path."""
    return _parent("--runs", type=Path, default=Path("runs"), metavar="FOLDER", help="stored runs (default: runs)")


def golden_flag() -> argparse.ArgumentParser:
    """Return a parent with `--golden`, a Path."""
    return _parent("--golden", type=Path, default=Path("golden"), metavar="FOLDER", help="goldens (default: golden)")


def cases_flag(text: str = "case files (default: cases)", default: str | None = "cases") -> argparse.ArgumentParser:
    """Return a parent with `--cases`, a Path, or None by default where `default` is None."""
    folder = None if default is None else Path(default)
    return _parent("--cases", type=Path, default=folder, metavar="FOLDER", help=text)


def case_flag() -> argparse.ArgumentParser:
    """Return a parent with `--case`, a list."""
    text = "only this case; may be repeated (default: all)"
    return _parent("--case", action="append", default=[], metavar="ID[@WxH]", help=text)


def reader_flag(default: str = DEFAULT_READER) -> argparse.ArgumentParser:
    """Return a parent with `--reader`, None by default; `default` describes the reader used then."""
    return _parent("--reader", metavar="READER", help=f"{', '.join(reader_names())} (default: {default})")


def session_options(args: argparse.Namespace) -> Options:
    """Return the options of a session that a command begins: what all have in common, without a device.

    `args` has model, base_model, reader, case, cases and runs. Each image is new and timed once; nothing is recorded.
    """
    from qiltest.engine.options import Options
    from qiltest.generation.settings import Offload
    from qiltest.runs.store import Reuse

    return Options(
        model=args.model,
        base=args.base_model,
        device=None,
        gpu=False,
        threads=None,
        reader=args.reader,
        cases=tuple(dict.fromkeys(args.case)),
        variants=(),
        sizes=(),
        seed_count=None,
        seeds=(),
        update=None,
        reuse=Reuse.NEVER,
        merge=None,
        compiled=False,
        offload=Offload.NONE,
        fp8=False,
        allow_partial_lora=False,
        expect=None,
        rounds=1,
        release=None,
        cases_folder=args.cases.absolute(),
        golden_folder=Path.cwd() / "golden",
        runs_folder=args.runs.absolute(),
        given=(),
    )


def with_images(run: Run) -> Run:
    """Return the run. Raises StoreError where its session was refused, so that it has no image."""
    if run.refused:
        why = next(iter(run.problems), "its messages say why").partition("\n")[0]
        what = f"this run generated nothing: {why}"
        raise StoreError(what, where=str(run.path), remedy="name an earlier run: `qiltest runs` lists them")
    return run


def open_page(path: Path) -> None:
    """Open a page in the browser, if there is a display: without one a text browser would start, and be waited for."""
    if sys.platform in {"darwin", "win32"} or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(path.resolve().as_uri())


def file_path(text: str) -> Path:
    """Read the path of a file to write. Raises argparse.ArgumentTypeError for `-`."""
    if text == "-":
        raise argparse.ArgumentTypeError("- is not a file\n  -> name one; ./- for a file of that name")
    return Path(text)


def _parent(flag: str, **keywords: object) -> argparse.ArgumentParser:
    parent = Parser(add_help=False)
    # in a group, so that the help of a command begins with its own options
    parent.add_argument_group("common options").add_argument(flag, **keywords)  # type: ignore[arg-type]
    return parent


def console(*, stderr: bool = False) -> SafeConsole:
    """Return a console on which no text can act, and which does not fold output to a file at 80 columns."""
    made = SafeConsole(stderr=stderr)
    if not made.is_terminal:
        made.width = _FILE_WIDTH
    return made


def read_noted(reader: Reader, image: Path) -> Reading:
    """Read an image, and say on standard error what of its file is not read. Raises ReaderError.

    The file is opened once.
    """
    from qiltest.reading.images import decode, image_bytes

    try:
        data = image_bytes(image, str(image))
        decoded = decode(data)
        reading = reader.read(data)
    except ReaderError:
        return reader.read(image)  # whose error names the file
    if decoded.several_frames:
        _note(f"{image} has several frames (an animation, or pages): the first one is read")
    if decoded.transparent:
        _note(f"{image} is transparent in places: it is read on white")
    return reading


def _note(text: str) -> None:
    console(stderr=True).print(printable_line(text), soft_wrap=True)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines without folding; control characters are made visible."""
    out = console()
    for line in lines:
        out.print(printable_line(line), soft_wrap=True)


def print_json(record: object, *, readable: bool = False) -> None:
    """Print a record as JSON: on one line in ASCII, or `readable`, which is indented and escaped only where needed."""
    out, indent = console(), 1 if readable else None
    plain = not readable or not out.encoding.startswith("utf")
    text = json.dumps(record, ensure_ascii=plain, allow_nan=False, indent=indent)
    out.out(printable_json(text), highlight=False)
