"""A run as a person looks at it: cases worst first, per case one row a size and seed, per row one cell a variant.

Everything here is plain data; templates only place it. Texts are as written and as read: making them harmless is the
templates' finalizer and the writers' escaping, so that nothing has to remember it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qiltest.cases import Case
from qiltest.gate.verdict import Verdict
from qiltest.report.beside import Beside, beside
from qiltest.report.changes import Change, Changes, changes
from qiltest.report.findings import Finding, ReportMark, findings, report_marks
from qiltest.report.geometry import Box, Quad, bounds, polygon, wrong_quads
from qiltest.report.marks import Marked, Span, marked
from qiltest.report.measure import by_variant, speed_ups
from qiltest.report.status import Status, status_of, text_is_judged, worst
from qiltest.report.text import one_line
from qiltest.report.words import count, edit_sentences, seconds
from qiltest.runs.records import CaseResult, Run, RunState
from qiltest.scoring.normalise import normalise
from qiltest.scoring.records import ExtraKind, Score, TextScore
from qiltest.variants import Variant

TINY = "tiny"
#: the language that a browser picks glyphs by; signs in traditional characters are told by their case's language.
_HTML_LANGUAGES = {"zh": "zh-Hans", "zh-hant": "zh-Hant", "zh-hans": "zh-Hans"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A polygon over the picture, in the reading's pixels."""

    points: str
    #: "right", "wrong", "forgiven", "gating", "other", or "spot" for a differing character.
    kind: str
    title: str
    #: number of the expected text that it belongs to, -1 for none.
    text: int


@dataclass(frozen=True, kw_only=True)
class TextView:
    """One expected text and what was read for it."""

    number: int
    score: TextScore
    sentences: tuple[str, ...]
    #: what the golden read here, where that was something else; None where it is the same or there is none.
    golden_read: str | None
    #: the lines' extent in the reading's pixels; None where nothing was matched.
    box: Box | None

    @cached_property
    def sides(self) -> Marked:
        """Both sides with their marks; made when asked for, because a summary of thousands shows a few."""
        return marked(self.score)

    @property
    def expected(self) -> tuple[Span, ...]:
        """The expected text with its differing characters marked."""
        return self.sides.expected

    @property
    def read(self) -> tuple[Span, ...]:
        """The text as read with its differing characters marked."""
        return self.sides.read

    @property
    def right(self) -> bool:
        """True where nothing counts against it."""
        return self.score.distance == 0

    @property
    def missing(self) -> bool:
        """True where nothing was matched to it."""
        return not self.score.read


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One picture: a case at a size, by a variant, from a seed."""

    anchor: str
    result: CaseResult
    variant: Variant
    status: Status
    #: why, most important first.
    reasons: tuple[str, ...]
    change: Change | None
    texts: tuple[TextView, ...]
    #: width and height of the reading, in pixels; of the picture drawn where it was not read.
    extent: tuple[int, int]
    speed_up: float | None
    mark: ReportMark | None
    #: the picture to flip to: the golden's or the earlier run's, where it is stored and another; and what it is.
    before: Path | None
    before_name: str

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The reader's lines and the differing characters, over the picture; made when asked for."""
        return _shapes(self.result, self.texts)

    def spots(self, text: TextView) -> tuple[Box, ...]:
        """Return about where the differing characters of a text are, in the reading's pixels."""
        boxes = (bounds((quad,)) for quad in _quads(self.result, text))
        return tuple(box for box in boxes if box is not None)

    @property
    def score(self) -> Score | None:
        """The picture's score, None where it was not scored."""
        return self.result.score

    @property
    def beside(self) -> Beside | None:
        """What was measured beside the text, None where nothing was."""
        return beside(self.result)

    @property
    def wrong(self) -> tuple[TextView, ...]:
        """Texts with something counted against them, worst first."""
        return tuple(sorted((t for t in self.texts if not t.right), key=lambda t: -t.score.distance))

    @property
    def correct(self) -> tuple[TextView, ...]:
        """Texts with nothing counted against them, in the order asked."""
        return tuple(text for text in self.texts if text.right)

    @property
    def why(self) -> str:
        """What is wrong, in one line; "" where nothing is."""
        wrong = self.wrong
        if not wrong:
            return next(iter(self.reasons), "")
        first = next(iter(wrong[0].sentences), "")
        rest = len(wrong) - 1
        return first + (f"; and {count(rest, 'more text')}" if rest else "")

    @property
    def excess(self) -> int:
        """Edits above the limit; for sorting."""
        judgement = self.result.judgement
        if judgement is None or judgement.distance is None:
            return 0
        return judgement.distance - (judgement.limit or 0)

    @property
    def badness(self) -> tuple[int, int, int]:
        """Sorts worst first."""
        distance = 0 if self.score is None else self.score.distance
        return self.status.rank, -self.excess, -distance


@dataclass(frozen=True, kw_only=True)
class Row:
    """The variants beside each other: one size and seed of a case."""

    size: str
    seed: int
    #: size, and seed where the case has several.
    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """One case with all its pictures."""

    anchor: str
    case: Case
    html_language: str
    status: Status
    rows: tuple[Row, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All pictures of the case."""
        return tuple(cell for row in self.rows for cell in row.cells)


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run, ready to be laid out."""

    run: Run
    status: Status
    headline: str
    #: sentences under the headline.
    said: tuple[str, ...]
    counts: tuple[tuple[Status, int], ...]
    changes: Changes
    variants: tuple[Variant, ...]
    cases: tuple[CaseView, ...]
    findings: tuple[Finding, ...]
    marks: tuple[ReportMark, ...]
    undrawn: tuple[str, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All pictures, in the order of the cases."""
        return tuple(cell for case in self.cases for cell in case.cells)

    @property
    def worst_first(self) -> tuple[Cell, ...]:
        """All pictures, worst first."""
        return tuple(sorted(self.cells, key=lambda cell: cell.badness))

    @property
    def tiny(self) -> bool:
        """True where the embedded model drew, of which the performance report says nothing."""
        return self.run.model == TINY


def view(run: Run, previous: Run | None = None) -> RunView:
    """Return the run as a person looks at it; `previous` is the run that it is compared with, else the goldens."""
    compared_with = changes(run, previous)
    builder = _Builder(run=run, previous=previous, compared_with=compared_with)
    begun = {result.point for result in run.results}
    status, headline, said = _verdict(run)
    return RunView(
        run=run,
        status=status,
        headline=headline,
        said=said,
        counts=_counts(run),
        changes=compared_with,
        variants=tuple(variant for variant, _ in by_variant(run)),
        cases=builder.cases(),
        findings=findings(run),
        marks=report_marks(run),
        undrawn=tuple(point.id for point in run.planned if point not in begun),
    )


def cell_of(run: Run, result: CaseResult, anchor: str) -> Cell:
    """Return one picture of a run by itself: without what changed, speed-up and the performance report's mark."""
    bare = _Builder(run=run, previous=None, compared_with=Changes(against="", items=()))
    return bare.cell(anchor, result, None, None, None)


def html_language(case: Case) -> str:
    """Return the language that a browser is to pick the case's glyphs by."""
    return _HTML_LANGUAGES.get(case.language.lower(), "en")


def _counts(run: Run) -> tuple[tuple[Status, int], ...]:
    counter = Counter(map(status_of, run.results))
    undrawn = len(set(run.planned) - {result.point for result in run.results})
    counter[Status.WAITING] += undrawn
    return tuple((status, counter[status]) for status in Status if counter[status])


def _verdict(run: Run) -> tuple[Status, str, tuple[str, ...]]:
    """Return the run's verdict, its headline and what must be said beside it."""
    counts = dict(_counts(run))
    total = max(len(run.planned), len(run.results))
    said = [*run.problems]
    if run.state is not RunState.FINISHED:
        said.insert(0, f"The run is {run.state.value}: {len(run.results)} of {count(total, 'picture')} begun.")
    if not all(map(text_is_judged, run.results)):
        said.append("Text was not judged, because this model's weights are random: the verdict is on latency alone.")
    status = worst(counts)
    headline = _headline(status, counts, total)
    recorded = sum(result.golden_recorded for result in run.results)
    if recorded:
        headline += f"; {count(recorded, 'golden was', 'goldens were')} recorded"
    session_failed = run.exit_status not in {0, None} or bool(run.problems)
    if status in {Status.PASS, Status.NEW} and session_failed:
        return Status.FAIL, f"{headline}, but the session failed", tuple(said)
    return status, headline, tuple(said)


def _headline(status: Status, counts: Mapping[Status, int], total: int) -> str:
    pictures = f"{counts.get(status, 0)} of {count(total, 'picture')}"
    return {
        Status.FAIL: f"{pictures} failed",
        Status.ERROR: f"{pictures} could not be judged",
        Status.MISSING: f"{pictures} missing",
        Status.INCOMPARABLE: f"{pictures} cannot be compared",
        Status.NEW: f"{pictures} new",
        Status.WAITING: f"{pictures} not judged yet" if total else "No picture was asked for",
        Status.PASS: "The picture holds" if total == 1 else f"All {total} pictures hold",
    }[status]


@dataclass(frozen=True, kw_only=True)
class _Builder:
    """Builds the cases of a run."""

    run: Run
    previous: Run | None
    compared_with: Changes

    def cases(self) -> tuple[CaseView, ...]:
        speed = speed_ups(self.run)
        marks = {mark.point: mark for mark in report_marks(self.run)}
        change = {item.point: item for item in self.compared_with.items}
        cells: dict[str, list[Cell]] = {}
        for number, result in enumerate(self.run.results):
            cell = self.cell(f"p{number}", result, speed.get(result.id), marks.get(result.id), change.get(result.id))
            cells.setdefault(result.point.case, []).append(cell)
        views = [self._case(f"c{number}", case, cells[case]) for number, case in enumerate(cells)]
        return tuple(sorted(views, key=lambda case: min(cell.badness for cell in case.cells)))

    def _case(self, anchor: str, case_id: str, cells: list[Cell]) -> CaseView:
        case = self.run.case(case_id)
        rows: dict[tuple[str, int], list[Cell]] = {}
        for cell in cells:
            rows.setdefault((str(cell.result.point.size), cell.result.point.seed), []).append(cell)
        several = len({seed for _, seed in rows}) > 1

        def title(size: str, seed: int) -> str:
            return f"{size}, seed {seed}" if several else size

        ordered = [
            Row(
                size=size,
                seed=seed,
                title=title(size, seed),
                cells=tuple(sorted(row, key=lambda cell: -cell.variant.nfe)),
            )
            for (size, seed), row in rows.items()
        ]
        return CaseView(
            anchor=anchor,
            case=case,
            html_language=html_language(case),
            status=worst(cell.status for cell in cells),
            rows=tuple(ordered),
        )

    def cell(
        self,
        anchor: str,
        result: CaseResult,
        speed_up: float | None,
        mark: ReportMark | None,
        change: Change | None,
    ) -> Cell:
        texts = _texts(result)
        before, before_name = self._before(result)
        return Cell(
            anchor=anchor,
            result=result,
            variant=self.run.variant(result.point.variant),
            status=status_of(result),
            reasons=_reasons(result),
            change=change,
            texts=texts,
            extent=_extent(result),
            speed_up=speed_up,
            mark=mark,
            before=before,
            before_name=before_name,
        )

    def _before(self, result: CaseResult) -> tuple[Path | None, str]:
        """Return the picture that this one replaces, where it is stored and not the same."""
        if self.previous is not None:
            old = self.previous.result(result.id)
            if old is not None and old.picture is not None and old.picture != result.picture:
                return old.picture.path, f"run {self.previous.id}"
            return None, ""
        golden, now = result.golden, result.picture
        if golden is None or now is None or golden.picture == now.sha256:
            return None, ""
        return _stored(self.run.path.parent, golden.picture), "golden"


def _stored(runs: Path, sha256: str) -> Path | None:
    """Return a golden's picture where some run beside this one drew it and its bytes are what the golden names."""
    # the name comes from a golden's file: only a bare hash may become part of a path
    if len(sha256) != 64 or not sha256.isalnum() or not sha256.isascii():
        return None
    found = sorted(runs.glob(f"*/pictures/{sha256}.png"))
    return next((path for path in found if hashlib.sha256(path.read_bytes()).hexdigest() == sha256), None)


def _reasons(result: CaseResult) -> tuple[str, ...]:
    judged = () if result.judgement is None else result.judgement.reasons
    latency: tuple[str, ...] = ()
    if result.latency is not None and result.latency.gates and result.latency.verdict is not Verdict.PASS:
        latency = result.latency.reasons
    accepted = "accepted: this run recorded it as the golden" if result.golden_recorded else ""
    return tuple(filter(None, (result.error, accepted, *judged, *latency)))


def _texts(result: CaseResult) -> tuple[TextView, ...]:
    if result.score is None:
        return ()
    lines = () if result.reading is None else result.reading.lines
    before = _golden_texts(result)
    out = []
    for number, score in enumerate(result.score.texts):
        boxes = [lines[index].box for index in score.lines if 0 <= index < len(lines)]
        old = before.get(number)
        out.append(
            TextView(
                number=number,
                score=score,
                sentences=_sentences(score),
                golden_read=None if old is None or normalise(old) == normalise(score.read) else old,
                box=bounds(boxes),
            )
        )
    return tuple(out)


def _sentences(score: TextScore) -> tuple[str, ...]:
    if not score.read:
        shown = f"“{one_line(score.expected, 60)}” was not read"
        return (shown,) if score.distance else (f"{shown}, which the case allows",)
    return edit_sentences(score)


def _golden_texts(result: CaseResult) -> dict[int, str]:
    """Return what the golden read, by number of the expected text, where the texts are still the same."""
    if result.golden is None or result.score is None:
        return {}
    pairs = enumerate(zip(result.golden.texts, result.score.texts, strict=False))
    return {number: old.read for number, (old, new) in pairs if old.expected == new.expected}


def _shapes(result: CaseResult, texts: Iterable[TextView]) -> tuple[Shape, ...]:
    if result.reading is None:
        return ()
    owner = {index: text for text in texts for index in text.score.lines}
    extras = {} if result.score is None else {extra.line: extra for extra in result.score.extra}
    shapes = []
    for index, line in enumerate(result.reading.lines):
        text, extra = owner.get(index), extras.get(index)
        kind = "other"
        if text is not None:
            kind = "right" if text.right else "wrong"
        elif extra is not None and extra.kind is not ExtraKind.OTHER:
            kind = "gating"
        title = f"{line.text} (confidence {line.confidence:.2f})"
        shapes.append(Shape(points=polygon(line.box), kind=kind, title=title, text=-1 if text is None else text.number))
    spots = [shape for text in texts for shape in _spots(result, text)]
    return (*shapes, *spots)


def _spots(result: CaseResult, text: TextView) -> Iterable[Shape]:
    for quad in _quads(result, text):
        yield Shape(points=polygon(quad), kind="spot", title="; ".join(text.sentences), text=text.number)


def _quads(result: CaseResult, text: TextView) -> tuple[Quad, ...]:
    if result.reading is None or text.right:
        return ()
    sides = text.sides
    return wrong_quads(text.score, result.reading.lines, sides.read_positions, sides.read_gaps)


def _extent(result: CaseResult) -> tuple[int, int]:
    if result.reading is not None:
        return result.reading.width, result.reading.height
    size = result.effective or result.point.size
    return size.width, size.height


def latency_words(cell: Cell) -> str:
    """Return the denoise latency in words, with the golden where there is one; "" where nothing was timed."""
    timing = cell.result.timing
    if timing is None:
        return ""
    latency = cell.result.latency
    golden = "" if latency is None or latency.golden_seconds is None else f" (golden {seconds(latency.golden_seconds)})"
    return seconds(timing.denoise_seconds) + golden
