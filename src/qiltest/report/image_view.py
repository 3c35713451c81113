"""What a report shows of one image: its texts with their marks, its figures, and the shapes laid over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qiltest.reading import Suspicion, suspicious
from qiltest.reading.quad import Quad
from qiltest.report.changes import Change
from qiltest.report.diagnostics import figures, reported_faults
from qiltest.report.diff import Marked, Span, marked
from qiltest.report.geometry import Box, bounds, polygon, wrong_quads
from qiltest.runs.records import CaseResult
from qiltest.runs.status import Status
from qiltest.scoring.records import ExtraKind, Score, TextScore
from qiltest.suite.variants import Variant
from qiltest.text.format import count


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A polygon over the image, in the reading's pixels."""

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
class ImageView:
    """One image: a case at a size, by a variant, from a seed."""

    anchor: str
    result: CaseResult
    variant: Variant
    status: Status
    #: why, most important first.
    reasons: tuple[str, ...]
    change: Change | None
    texts: tuple[TextView, ...]
    #: width and height of the reading, in pixels; of the image generated where it was not read.
    extent: tuple[int, int]
    speed_up: float | None
    #: the image to flip to: the golden's or the earlier run's, where it is stored and another; and what it is.
    before: Path | None
    before_name: str

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """The reader's lines and the differing characters, over the image; made when asked for."""
        return _shapes(self.result, self.texts)

    def spots(self, text: TextView) -> tuple[Box, ...]:
        """Return about where the differing characters of a text are, in the reading's pixels."""
        boxes = (bounds((quad,)) for quad in _quads(self.result, text))
        return tuple(box for box in boxes if box is not None)

    @property
    def score(self) -> Score | None:
        """The image's score, None where it was not scored."""
        return self.result.score

    @property
    def reported(self) -> tuple[str, ...]:
        """Faults of the image that do not gate."""
        return () if self.result.health is None else tuple(reported_faults(self.result.health))

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """Measures of the image's quality, each with its value; none where it was not measured."""
        return () if self.result.health is None else tuple(figures(self.result.health))

    @cached_property
    def doubts(self) -> tuple[Suspicion, ...]:
        """Characters of the texts asked for whose strokes the reader doubts: shown, never counted."""
        if self.result.reading is None:
            return ()
        return suspicious(self.result.reading, {line for text in self.texts for line in text.score.lines})

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
