"""`qiltest read` and `qiltest score`: single pictures, without a run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qiltest.errors import QiltestError
from qiltest.gate.verdict import Verdict
from qiltest.reading import DEFAULT_READER, Reader, Reading, Suspicion, open_reader, reader_names, suspicious
from qiltest.scoring import EmptyReadingError, Score, TextScore, marked, score
from qiltest.suite.cases import ExpectedText, LineBreaks
from qiltest.suite.load import load_suite

#: What argparse calls the object that `add_subparsers` returns.
Subparsers = Any


def add_parsers(subparsers: Subparsers) -> None:
    """Add both verbs."""
    add_read_parser(subparsers)
    add_score_parser(subparsers)


def add_read_parser(subparsers: Subparsers) -> None:
    """Add `qiltest read`."""
    parser = subparsers.add_parser("read", help="read pictures: lines with text, box and confidence")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    _add_common(parser)
    parser.set_defaults(handler=run_read)


def add_score_parser(subparsers: Subparsers) -> None:
    """Add `qiltest score`."""
    parser = subparsers.add_parser("score", help="what one picture shows against what was asked")
    parser.add_argument("picture", type=Path, metavar="PICTURE")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--case", metavar="ID[@WxH]", help="the texts and the policy of a case")
    asked.add_argument("--expect", nargs="+", metavar="TEXT", help="the texts; nothing is forgiven unless said here")
    parser.add_argument("--cases", type=Path, default=Path("cases"), metavar="FOLDER", help="case files (cases)")
    parser.add_argument("--optional", action="append", default=[], metavar="MARK", help="a mark that may be missing")
    parser.add_argument(
        "--line-breaks",
        choices=[str(choice) for choice in LineBreaks],
        help="hyphens at line breaks: layout or text (the case's; strict for --expect)",
    )
    parser.add_argument("--forgive", action="append", default=[], metavar="CLASS", help="look-alikes that do not count")
    parser.add_argument("--limit", type=_count, metavar="N", help="largest distance that passes (the case's; 0)")
    _add_common(parser)
    parser.set_defaults(handler=run_score)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reader", metavar="R", help=f"{', '.join(reader_names())} ({DEFAULT_READER})")
    parser.add_argument("--json", action="store_true", help="machine-readable result on standard output")


def run_read(args: argparse.Namespace) -> int:
    """Read the pictures and show their lines. Returns 0; raises ReaderError."""
    reader = open_reader(args.reader or DEFAULT_READER)
    readings = [(picture, reader.read(picture)) for picture in args.pictures]
    console = Console()
    if args.json:
        records = [_reading_record(picture, reading) for picture, reading in readings]
        _print_json(console, records[0] if len(records) == 1 else records)
    else:
        for picture, reading in readings:
            console.print(_reading_table(picture, reading))
    return 0


def run_score(args: argparse.Namespace) -> int:
    """Score the picture. Returns 0 where the distance is within the limit, else 1; raises QiltestError."""
    asked = _asked(args)
    reader = open_reader(args.reader or asked.reader or DEFAULT_READER)
    outcome = _outcome(args.picture, asked, reader)
    console = Console()
    if args.json:
        _print_json(console, _score_record(args.picture, asked, reader, outcome))
    else:
        _print_score(console, args.picture, asked, outcome)
    return 0 if outcome.verdict is Verdict.PASS else 1


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What `qiltest score` holds the picture against."""

    case: str | None
    texts: tuple[ExpectedText, ...]
    line_breaks: LineBreaks
    forgiven: tuple[str, ...]
    limit: int
    reader: str | None


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """What came of it; no score: the reader returned nothing."""

    score: Score | None
    verdict: Verdict
    error: str = ""
    suspicions: tuple[Suspicion, ...] = ()


def _asked(args: argparse.Namespace) -> _Asked:
    breaks = LineBreaks(args.line_breaks) if args.line_breaks else None
    forgiven, marks = tuple(args.forgive), tuple(args.optional)
    if args.expect:
        return _Asked(
            case=None,
            texts=tuple(ExpectedText(text=text, optional_marks=marks) for text in args.expect),
            line_breaks=breaks or LineBreaks.STRICT,
            forgiven=forgiven,
            limit=args.limit or 0,
            reader=None,
        )
    if marks:
        raise QiltestError("--optional goes with --expect", remedy="a case names its optional marks itself")
    case, _ = load_suite(args.cases).case(args.case)
    allowed = case.limits.tolerance if case.limits.absolute is None else case.limits.absolute
    return _Asked(
        case=args.case,
        texts=case.texts,
        line_breaks=breaks or case.line_breaks,
        forgiven=(*case.forgiven, *forgiven),
        limit=allowed if args.limit is None else args.limit,
        reader=case.reader,
    )


def _outcome(picture: Path, asked: _Asked, reader: Reader) -> _Outcome:
    reading = reader.read(picture)
    try:
        found = score(asked.texts, reading, line_breaks=asked.line_breaks, forgiven=asked.forgiven)
    except EmptyReadingError as error:
        return _Outcome(score=None, verdict=Verdict.ERROR, error=str(error))
    return _Outcome(
        score=found,
        verdict=Verdict.PASS if found.distance <= asked.limit else Verdict.FAIL,
        suspicions=suspicious(reading, {line for text in found.texts for line in text.lines}),
    )


def _reading_record(picture: Path, reading: Reading) -> dict[str, Any]:
    lines = [
        {"text": line.text, "box": [list(point) for point in line.box], "confidence": line.confidence}
        for line in reading.lines
    ]
    return {"picture": str(picture), "reader": reading.reader.fingerprint, "lines": lines}


def _score_record(picture: Path, asked: _Asked, reader: Reader, outcome: _Outcome) -> dict[str, Any]:
    found = outcome.score
    record: dict[str, Any] = {
        "picture": str(picture),
        "case": asked.case,
        "reader": reader.info.fingerprint,
        "texts": [_text_record(text) for text in found.texts] if found else [_unread(text) for text in asked.texts],
        "extra": [asdict(extra) for extra in found.extra] if found else [],
        "suspicious": [
            {"text": item.text, "confidence": item.confidence, "place": [round(x, 1) for x in item.place]}
            for item in outcome.suspicions
        ],
        "distance": found.distance if found else None,
        "distance_alnum": found.distance_alnum if found else None,
        "limit": asked.limit,
        "verdict": str(outcome.verdict),
    }
    return record | ({"error": outcome.error} if outcome.error else {})


def _text_record(text: TextScore) -> dict[str, Any]:
    return {
        "expected": text.expected,
        "read": text.read,
        "distance": text.distance,
        "distance_alnum": text.distance_alnum,
        "edits": [asdict(edit) for edit in text.edits],
        "layout": list(text.layout),
    }


def _unread(text: ExpectedText) -> dict[str, Any]:
    nothing: dict[str, Any] = {"read": "", "distance": None, "distance_alnum": None, "edits": [], "layout": []}
    return {"expected": text.text, **nothing}


def _print_json(console: Console, record: object) -> None:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1)
    console.print(text, markup=False, highlight=False, soft_wrap=True, emoji=False)


def _reading_table(picture: Path, reading: Reading) -> Table:
    table = Table(title=f"{picture} ({reading.width}x{reading.height}), {reading.reader.engine}")
    table.add_column("text", overflow="fold")
    table.add_column("confidence", justify="right")
    table.add_column("box")
    for line in reading.lines:
        box = " ".join(f"{x:.0f},{y:.0f}" for x, y in line.box)
        table.add_row(Text(line.text), f"{line.confidence:.3f}", box)
    table.caption = f"{len(reading.lines)} lines in {reading.seconds:.2f} s"
    return table


def _print_score(console: Console, picture: Path, asked: _Asked, outcome: _Outcome) -> None:
    if outcome.score is None:
        console.print(Text(f"{outcome.verdict}: {picture}: {outcome.error}"))
        return
    table = Table(title=str(picture))
    for column in ("expected", "read", "distance", "letters and digits", "notes"):
        table.add_column(column, overflow="fold")
    for text in outcome.score.texts:
        notes = [*text.layout, *_named(text)]
        table.add_row(
            Text(text.expected), _coloured(text), str(text.distance), str(text.distance_alnum), Text("; ".join(notes))
        )
    console.print(table)
    for extra in outcome.score.extra:
        if extra.distance:
            console.print(Text(f"{extra.kind}: {extra.text!r} (of {extra.of!r}), counts {extra.distance}"))
    for item in outcome.suspicions:
        x, y = item.place
        console.print(Text(f"doubtful strokes: {item.text!r} at {x:.0f},{y:.0f} (confidence {item.confidence:.2f})"))
    console.print(Text(f"{outcome.verdict}: distance {outcome.score.distance}, limit {asked.limit}"))


def _named(text: TextScore) -> Sequence[str]:
    return [
        f"{edit.expected!r} for {edit.read!r} look alike ({edit.look_alike}{'' if edit.counted else ', forgiven'})"
        for edit in text.edits
        if edit.look_alike
    ]


def _coloured(text: TextScore) -> Text:
    shown = Text()
    for part, kind in marked(text):
        shown.append(part, style="" if kind is None else "bold red")
    return shown


def _count(value: str) -> int:
    number = int(value)
    if number < 0:
        raise argparse.ArgumentTypeError("a number of edits is 0 or more")
    return number
