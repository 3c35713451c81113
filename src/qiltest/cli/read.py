"""`qiltest read`: shows the lines that a reader (an OCR engine) finds in images."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.table import Table
from rich.text import Text

from qiltest.cli.common import AddParser, console, json_flag, print_json, print_lines, read_noted, reader_flag
from qiltest.reading import DEFAULT_READER, Reading, broken_strokes, open_reader
from qiltest.reading.strokes import counted
from qiltest.report.terminal.broken import broken_line, broken_record
from qiltest.text.escape import one_line
from qiltest.text.format import count
from qiltest.text.tables import plain_table


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest read`."""
    parser = add(
        description="Shows the lines of text in images. Exit code 0: done; 2: wrong usage, or no such image.",
        parents=[reader_flag(), json_flag()],
    )
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.set_defaults(handler=run_read)


def run_read(args: argparse.Namespace) -> int:
    """Read the images and print their lines. Returns 0; raises ReaderError."""
    reader = open_reader(args.reader or DEFAULT_READER)
    readings = [(image, read_noted(reader, image)) for image in args.images]
    if args.json:
        records = [_record(image, reading) for image, reading in readings]
        print_json(records[0] if len(records) == 1 else records, readable=True)
    else:
        for image, reading in readings:
            title = f"{image} ({reading.width}x{reading.height}), {reading.reader.engine}"
            console().print(one_line(title), soft_wrap=True)
            console().print(_table(reading))
            print_lines(map(broken_line, broken_strokes(reading)))
    return 0


def _record(image: Path, reading: Reading) -> dict[str, object]:
    lines = [
        {
            "text": line.text,
            "box": [list(point) for point in line.box],
            "confidence": line.confidence,
            "strokes": list(line.strokes) or [None] * len(line.text),
        }
        for line in reading.lines
    ]
    facts = {"picture": str(image), "reader": reading.reader.fingerprint, "glyphs": reading.glyphs}
    return {**facts, "lines": lines, "broken_strokes": [broken_record(item) for item in broken_strokes(reading)]}


def _table(reading: Reading) -> Table:
    table = plain_table()
    table.add_column("text", overflow="fold")
    table.add_column("confidence", justify="right", no_wrap=True)
    table.add_column("box", no_wrap=True)
    for line in reading.lines:
        corners = [f"{x:.0f},{y:.0f}" for x, y in line.box]
        box = f"{' '.join(corners[:2])}\n{' '.join(corners[2:])}"
        table.add_row(Text(one_line(line.text)), f"{line.confidence:.3f}", box)
    places = ((line, index) for line in reading.lines for index in range(len(line.strokes)))
    judged = sum(counted(line, index) is not None for line, index in places)
    strokes = f"; strokes of {count(judged, 'character')} judged" if reading.glyphs else ""
    table.caption = f"{count(len(reading.lines), 'line')} in {reading.seconds:.2f} s{strokes}"
    return table
