"""`qiltest score`: scores one image against expected texts."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from qiltest.arguments import natural_int
from qiltest.cli.common import AddParser, cases_flag, console, json_flag, print_json, read_noted, reader_flag
from qiltest.cli.own_words import in_own_words
from qiltest.cli.parser import TEXT
from qiltest.engine.edits import Before, change_of_edit
from qiltest.errors import InputError, QiltestError, ReaderError
from qiltest.gate.change import change_fault
from qiltest.gate.judge import stroke_rate_of
from qiltest.gate.strokes import MEASURED, stroke_fault
from qiltest.gate.verdict import Verdict
from qiltest.image_files import ON_WHITE
from qiltest.input_images import InputImage
from qiltest.quality.change import Change
from qiltest.reading import DEFAULT_READER, BrokenStrokes, Reader, Reading, broken_strokes, open_reader
from qiltest.reading.images import decode, image_bytes
from qiltest.report.diff import Mark, marked
from qiltest.report.rest import rest_line
from qiltest.report.terminal.broken import broken_line, broken_record
from qiltest.scoring import EmptyReadingError, Score, TextScore, score
from qiltest.scoring.alphabet import AlphabetError, reader_for, require_readable, with_gone
from qiltest.scoring.benchmarks import BenchmarkScore, benchmark_scores, count_image
from qiltest.suite.case_checks import text_faults
from qiltest.suite.cases import Case, EditRules, ExpectedText, Limits, LineBreaks
from qiltest.suite.edit_checks import gone_faults
from qiltest.suite.inputs import find_input
from qiltest.suite.load import load_suite
from qiltest.suite.problems import show
from qiltest.text.escape import one_line, printable_line
from qiltest.text.format import count
from qiltest.text.normalise import normalise
from qiltest.text.tables import plain_table

#: Stands for a character of the expected text that was not read.
_NOT_READ = "▁"


def add_parser(add: AddParser) -> None:
    """Add the options of `qiltest score`."""
    parser = add(
        description="Reads one image and counts the edits to the expected texts. Exit code 0: within the limit; 1: "
        "above it, or no text found; 2: wrong usage.",
        parents=[cases_flag(), reader_flag(), json_flag()],
    )
    parser.add_argument("image", type=Path, metavar="IMAGE")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--case", metavar="ID[@WxH]", help="take texts and scoring rules from this case")
    expect = "the expected texts; may be repeated, and a text may begin with a hyphen: --expect=-15~-10°C"
    asked.add_argument("--expect", nargs="+", action="extend", type=TEXT, metavar="TEXT", help=expect)
    removed = "texts that must be gone, with --expect; may be repeated"
    parser.add_argument("--removed", nargs="+", action="extend", default=[], type=TEXT, metavar="TEXT", help=removed)
    given = "the image that was edited: what else changed is measured (default: the file that the case names)"
    parser.add_argument("--input", type=Path, metavar="IMAGE", help=given)
    optional = "characters that may be missing, with --expect; may be repeated"
    parser.add_argument("--optional", action="append", default=[], type=TEXT, metavar="MARK", help=optional)
    parser.add_argument(
        "--line-breaks",
        choices=[str(choice) for choice in LineBreaks],
        help="hyphens at line breaks are layout, or count (default: the case's; strict for --expect)",
    )
    forgive = "look-alikes that do not count, such as O/0; may be repeated"
    parser.add_argument("--forgive", action="append", default=[], type=TEXT, metavar="CLASS", help=forgive)
    parser.add_argument(
        "--alone", action="store_true", help="other text beside a text in its line counts (default: the case's `alone`)"
    )
    parser.add_argument(
        "--limit", type=natural_int, metavar="N", help="most edits that pass (default: the case's, or 0)"
    )
    parser.set_defaults(handler=run_score)


def run_score(args: argparse.Namespace) -> int:
    """Score the image. Returns 0 where the edits are within the limit, else 1; raises QiltestError."""
    asked = _asked(args)
    given = _input(args.input, asked)
    name = args.reader or asked.reader or DEFAULT_READER
    reader = open_reader(reader_for(name, asked.to_be_found, asked.forgiven))
    outcome = _outcome(args.image, asked, reader, name, given)
    outcome = replace(outcome, error=in_own_words(outcome.error, args.flags))
    if args.json:
        print_json(_record(args.image, asked, reader, outcome), readable=True)
    else:
        _show(args.image, asked, outcome)
    return 0 if outcome.verdict is Verdict.PASS else 1


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the image is compared with, and how."""

    case: str | None
    texts: tuple[ExpectedText, ...]
    line_breaks: LineBreaks
    forgiven: tuple[str, ...]
    alone: bool
    limit: int
    reader: str | None
    removed: tuple[str, ...] = ()
    #: of an edit; None for text-to-image.
    edit: Case | None = None
    #: None without a case.
    whole: Case | None = None

    @property
    def to_be_found(self) -> tuple[ExpectedText, ...]:
        """The texts that the reader has to be able to return: what must be gone, too."""
        return with_gone(self.texts, self.removed)

    @property
    def strokes_gate(self) -> bool:
        """False where the case has `quality = "report"`."""
        return self.whole is None or self.whole.limits.health_gates

    def rate_of(self, found: Score) -> float | None:
        """Return the share of characters of the case's faultless images that are taken for broken."""
        return None if self.whole is None else stroke_rate_of(self.whole, found)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    """The result; `score` is None where the reader returned nothing, or cannot return what is asked for."""

    score: Score | None
    verdict: Verdict
    error: str = ""
    benchmarks: BenchmarkScore | None = None
    broken: tuple[BrokenStrokes, ...] = ()
    #: why the image fails by its strokes, or "".
    fault: str = ""
    #: what an edit changed besides its texts; None where no input image was given.
    change: Change | None = None
    #: why it fails by that, or "".
    change_fault: str = ""


def _asked(args: argparse.Namespace) -> _Asked:
    breaks = LineBreaks(args.line_breaks) if args.line_breaks else None
    forgiven, marks = tuple(args.forgive), tuple(args.optional)
    if args.expect:
        _check_texts(args)
        return _Asked(
            case=None,
            texts=tuple(ExpectedText(text=text, optional_marks=marks) for text in args.expect),
            line_breaks=breaks or LineBreaks.STRICT,
            forgiven=forgiven,
            alone=args.alone,
            limit=args.limit or 0,
            reader=None,
            removed=tuple(args.removed),
            edit=_case_of(args) if args.input is not None or args.removed else None,
        )
    if args.removed:
        raise QiltestError("--removed needs --expect", remedy="an edit case has its own list of removed texts")
    if marks:
        raise QiltestError("--optional needs --expect", remedy="a case has its own optional_marks")
    case, _ = load_suite(args.cases).case(args.case)
    allowed = case.limits.tolerance if case.limits.absolute is None else case.limits.absolute
    return _Asked(
        case=args.case,
        texts=case.texts,
        line_breaks=breaks or case.line_breaks,
        forgiven=(*case.forgiven, *forgiven),
        alone=case.alone or args.alone,
        limit=allowed if args.limit is None else args.limit,
        reader=case.reader,
        removed=case.gone,
        edit=case if case.edit is not None else None,
        whole=case,
    )


def _check_texts(args: argparse.Namespace) -> None:
    """Raise QiltestError for texts and marks that no case could have: an image passes with them whatever it shows."""
    faults: list[tuple[str, str, str]] = []
    for text in args.expect:
        marks = [mark for mark in args.optional if normalise(mark) and normalise(mark) in normalise(text)]
        found = text_faults({"optional_marks": marks}, text, ())
        # a letter may be optional here: who names it has seen that the reader does not return it
        faults += (("--expect", seen, allowed) for at, seen, allowed in found if "optional_marks" not in at)
    for mark in args.optional:
        if not normalise(mark) or not any(normalise(mark) in normalise(text) for text in args.expect):
            faults.append(("--optional", f"{show(mark)} is in none of the texts", "marks that occur in a text"))
    texts = [("expected", text) for text in args.expect]
    faults += (("--removed", seen, allowed) for _, seen, allowed in gone_faults(enumerate(args.removed), texts))
    for flag, seen, allowed in faults:
        raise QiltestError(f"{flag}: {seen}", remedy=f"give {allowed}")


def _case_of(args: argparse.Namespace) -> Case:
    """Return a case of the options, for what else an edit changed."""
    texts = tuple(ExpectedText(text=text) for text in args.expect)
    limits = Limits(tolerance=0)
    return Case(
        id="--expect", title="", prompt="", language="en", report_table=None, texts=texts, resolutions=(),
        limits=limits, edit=EditRules(inputs=(), gone=tuple(args.removed)),
    )  # fmt: skip


def _input(given: Path | None, asked: _Asked) -> Path | None:
    """Return the image that was edited; None where nothing is to be compared. Raises QiltestError.

    It is one that a session would give to an editing model: transparent and animated ones are refused here, too.
    """
    path = _named_input(given, asked)
    if path is not None:
        InputImage.of(path).load()
    return path


def _named_input(given: Path | None, asked: _Asked) -> Path | None:
    if asked.edit is None:
        if given is not None:
            raise QiltestError(f"{asked.case} is no edit case, so --input has no use", remedy="leave out --input")
        return None
    if given is not None or asked.case is None:
        return given
    assert asked.edit.edit is not None
    first = asked.edit.edit.inputs[0]
    if first.file is None:
        what = f"the input image of {asked.case} is generated: the image of {first}"
        raise QiltestError(what, remedy="give it with --input IMAGE")
    try:
        return Path(find_input(asked.edit, first.file).path)
    except InputError as error:
        raise InputError(error.what, where=error.where, remedy=f"{error.remedy}; or name it: --input IMAGE") from error


def _outcome(image: Path, asked: _Asked, reader: Reader, name: str, given: Path | None) -> _Outcome:
    where = f"case {asked.case}" if asked.case else "--expect"
    try:
        require_readable(reader, asked.to_be_found, where=where, forgiven=asked.forgiven, asked=name)
        reading = read_noted(reader, image)
        found = score(
            asked.texts,
            reading,
            gone=asked.removed,
            line_breaks=asked.line_breaks,
            forgiven=asked.forgiven,
            alone=asked.alone,
        )
        change = None
        if given is not None and asked.edit is not None:
            change = change_of_edit(asked.edit, Before.of(given, reader.read), image, reading, found)
    except AlphabetError as error:
        # a key of case files, which is an option here
        own = error.remedy if asked.whole is not None else error.remedy.replace("`optional_marks`", "`--optional`")
        said = str(AlphabetError(error.what, where=error.where, remedy=own))
        return _Outcome(score=None, verdict=Verdict.ERROR, error=said)
    except EmptyReadingError as error:
        what = f"{error.what}; {ON_WHITE}" if _is_transparent(image) else error.what
        said = str(EmptyReadingError(what, where=error.where, remedy=error.remedy))
        return _Outcome(score=None, verdict=Verdict.ERROR, error=said)
    except InputError as error:
        return _Outcome(score=None, verdict=Verdict.ERROR, error=str(error))
    changed = "" if change is None else change_fault(change)
    gates = asked.edit is None or asked.edit.edit is None or asked.edit.edit.change_gates
    fault = stroke_fault(found, floor=MEASURED, own_rate=asked.rate_of(found)) if asked.strokes_gate else ""
    passes = found.distance <= asked.limit and not (changed and gates) and not fault
    return _Outcome(
        score=found,
        verdict=Verdict.PASS if passes else Verdict.FAIL,
        fault=fault,
        change=change,
        change_fault=changed,
        benchmarks=_benchmarks(asked, reading),
        broken=broken_strokes(reading, {line for text in found.texts for line in text.lines}),
    )


def _is_transparent(image: Path) -> bool:
    with suppress(ReaderError):
        return decode(image_bytes(image, str(image))).transparent
    return False


def _benchmarks(asked: _Asked, reading: Reading) -> BenchmarkScore | None:
    """Return the scores of published benchmarks, which never gate; None where they count nothing of what is asked."""
    expected = [text.text for text in asked.texts if text.required]
    counts = count_image(expected, [line.text for line in reading.lines])
    return next(iter(benchmark_scores(filter(None, (counts,)))), None)


def _benchmark_record(scored: BenchmarkScore | None) -> dict[str, Any] | None:
    if scored is None:
        return None
    return {"language": scored.language, "longtext": asdict(scored.longtext), "oneig": asdict(scored.oneig)}


def _record(image: Path, asked: _Asked, reader: Reader, outcome: _Outcome) -> dict[str, Any]:
    found = outcome.score
    record: dict[str, Any] = {
        "picture": str(image),
        "case": asked.case,
        "reader": reader.info.fingerprint,
        "texts": [_text_record(text) for text in found.texts] if found else [_unread(text) for text in asked.texts],
        "extra": [asdict(extra) for extra in found.extra] if found else [],
        "broken_strokes": [broken_record(item) for item in outcome.broken],
        "strokes": {"broken": found.broken, "judged": found.judged, "glyphs": found.glyphs} if found else None,
        "distance": found.distance if found else None,
        "distance_alnum": found.distance_alnum if found else None,
        "limit": asked.limit,
        "benchmarks": _benchmark_record(outcome.benchmarks),
        "verdict": str(outcome.verdict),
    }
    if asked.edit is not None:
        gone = [asdict(gone) for gone in found.gone] if found else []
        record |= {"removed": gone, "rest": outcome.change and asdict(outcome.change)}
    return record | ({"error": outcome.error} if outcome.error else {})


def _text_record(text: TextScore) -> dict[str, Any]:
    keys = ("expected", "read", "distance", "distance_alnum", "edits", "layout", "beside", "strokes", "broken")
    return {key: value for key, value in asdict(text).items() if key in keys}


def _unread(text: ExpectedText) -> dict[str, Any]:
    nothing: dict[str, Any] = {"distance": None, "distance_alnum": None, "edits": [], "layout": [], "beside": []}
    nothing |= {"strokes": "", "broken": []}
    return {"expected": text.text, "read": "", **nothing}


def _show(image: Path, asked: _Asked, outcome: _Outcome) -> None:
    out = console()
    if outcome.score is not None:
        out.print(one_line(str(image)), soft_wrap=True)
        out.print(_table(outcome.score))
    for line in _lines(image, asked, outcome):
        out.print(Text(printable_line(line)))


def _table(found: Score) -> Table:
    table = plain_table()
    for column in ("expected", "read", "distance", "letters and digits", "notes"):
        table.add_column(column, overflow="fold", no_wrap=column == "distance")
    for text in found.texts:
        notes = "; ".join((*(f"beside it: {other!r}" for other in text.beside), *text.layout, *_named(text)))
        distances = (str(text.distance), str(text.distance_alnum))
        table.add_row(Text(one_line(text.expected)), _coloured(text), *distances, Text(one_line(notes)))
    return table


def _lines(image: Path, asked: _Asked, outcome: _Outcome) -> Iterator[str]:
    if outcome.score is None:
        yield from f"{outcome.verdict}: {image}: {outcome.error}".splitlines()  # the remedy has a line of its own
        return
    for gone in outcome.score.gone:
        if gone.distance:
            yield f"not gone: {gone.expected!r}, read as {gone.read!r}, distance {gone.distance}"
    if outcome.change is not None:
        yield f"rest of the image: {rest_line(outcome.change)}"
    elif asked.edit is not None:
        yield "rest of the image: not compared; give the image that was edited with --input IMAGE"
    if outcome.change_fault:
        yield outcome.change_fault
    for extra in outcome.score.extra:
        if extra.distance:
            yield f"{extra.kind}: {extra.text!r} (of {extra.of!r}), distance {extra.distance}"
        elif extra.of:
            yield f"shown again elsewhere, not counted: {extra.text!r} (of {extra.of!r})"
    yield from map(broken_line, outcome.broken)
    if outcome.score.judged:
        yield f"broken strokes: {outcome.score.broken} of {count(outcome.score.judged, 'character')} judged"
    if outcome.fault:
        yield outcome.fault
    yield f"{outcome.verdict}: distance {outcome.score.distance}, limit {asked.limit}"


def _named(text: TextScore) -> Iterator[str]:
    for edit in text.edits:
        if edit.look_alike:
            forgiven = "" if edit.counted else ", forgiven"
            yield f"{edit.read!r} for {edit.expected!r}: look-alike ({edit.look_alike}{forgiven})"


def _coloured(text: TextScore) -> Text:
    """Return the text as read, with differing characters in red and a bar per missing character."""
    spans = marked(text).read
    shown = Text() if spans else Text(_NOT_READ * text.length, style="bold red")
    for span in spans:
        part = _NOT_READ * len(span.other) if span.mark is Mark.GAP else one_line(span.text)
        shown.append(part, style="" if span.mark in {Mark.SAME, Mark.LAYOUT} else "bold red")
    return shown
