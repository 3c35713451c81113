"""What a report shows of one image: its texts with the differing characters marked, and the boxes over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from qiltest.reading import BrokenStrokes, broken_strokes
from qiltest.reading.quad import Quad
from qiltest.report.changes import Change
from qiltest.report.commands import Commands
from qiltest.report.diff import Marked, marked
from qiltest.report.earlier import Earlier
from qiltest.report.geometry import MOST_QUADS, Box, bounds, polygon, square_at, wrong_quads
from qiltest.report.rest import Bar, bars
from qiltest.report.since import Since, gating_extras
from qiltest.runs.records import CaseResult
from qiltest.runs.status import Status, severity
from qiltest.scoring.records import Extra, ExtraKind, GoneScore, Score, TextScore
from qiltest.suite.variants import Variant
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: characters of a text that is named whole beside its first difference.
SHORT = 40


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A polygon over the image, in the reading's pixels."""

    points: str
    #: "right", "wrong", "forgiven", "gating", "other", "spot" for a differing character, or "broken" for one with
    #: broken strokes.
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
    #: what stands beside the text now and did not in the golden; () where there is no golden.
    new_beside: tuple[str, ...] = ()
    #: the lines' extent in the reading's pixels; None where nothing was matched.
    box: Box | None
    #: how its errors stand to the golden's.
    since: Since = Since.UNKNOWN

    @cached_property
    def sides(self) -> Marked:
        """Both sides with their marks; computed on demand, because a summary of thousands of images shows few."""
        return marked(self.score)

    @property
    def right(self) -> bool:
        """True where no edit counts."""
        return self.score.distance == 0

    @property
    def missing(self) -> bool:
        """True where no line was matched to it."""
        return not self.score.read

    @property
    def headline(self) -> str:
        """Its first difference in one line, with the whole text where that is short."""
        first = next(iter(self.sentences), "")
        read, expected = one_line(self.score.read), one_line(self.score.expected)
        if self.missing or max(len(read), len(expected)) > SHORT:
            return first
        return f"“{read}” for “{expected}”: {first}"


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
    #: the earlier image to compare with, where it is stored and differs.
    before: Earlier | None
    #: what to type, of an image that does not pass.
    commands: Commands = field(default_factory=Commands)

    @cached_property
    def outlines(self) -> tuple[Outline, ...]:
        """The reader's lines and the differing characters, over the image; computed on demand."""
        spots = (spot for text in self.texts for spot in _spots(self.result, text))
        return (*_lines(self.result, self.texts), *spots, *_broken(self.result, self.texts, self.broken))

    def spots(self, text: TextView) -> tuple[Box, ...]:
        """Return roughly where the differing characters of a text are, in the reading's pixels."""
        boxes = (bounds((quad,)) for quad in _quads(self.result, text))
        return tuple(box for box in boxes if box is not None)

    @property
    def score(self) -> Score | None:
        """The image's score, None where it was not scored."""
        return self.result.score

    @cached_property
    def broken(self) -> tuple[BrokenStrokes, ...]:
        """Characters in the lines of the expected texts with broken strokes, the first in the reader's order."""
        if self.result.reading is None:
            return ()
        own = {line for text in self.texts for line in text.score.lines}
        return broken_strokes(self.result.reading, own)[:MOST_QUADS]

    @property
    def wrong(self) -> tuple[TextView, ...]:
        """Texts with counted edits: those that are new since the golden, then the most edits."""
        return tuple(sorted((t for t in self.texts if not t.right), key=lambda t: (t.since.rank, -t.score.distance)))

    @cached_property
    def extras(self) -> tuple[tuple[Extra, Since], ...]:
        """Extra text that counts, new one first."""
        return gating_extras(self.result)

    @property
    def left(self) -> tuple[GoneScore, ...]:
        """Texts that an edit had to remove and that are still read."""
        return () if self.score is None else tuple(gone for gone in self.score.gone if gone.distance)

    @property
    def changed(self) -> tuple[Bar, ...]:
        """Where an edit changed the rest of the image, in the blocks of `blocks`."""
        return () if self.result.change is None else tuple(bars(self.result.change))

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks an edit's map has across and down."""
        rows = () if self.result.change is None else self.result.change.blocks
        return max((len(row) for row in rows), default=0), len(rows)

    @property
    def correct(self) -> tuple[TextView, ...]:
        """Texts without a counted edit, in the order of the case."""
        return tuple(text for text in self.texts if text.right)

    @property
    def why(self) -> str:
        """What is wrong, in one line, what is new since the golden first; "" where nothing is wrong."""
        wrong, extras = self.wrong, self.extras
        found = [(text.since, text.headline) for text in wrong]
        found += [(Since.UNKNOWN, f"“{one_line(gone.read, 60)}” is not gone") for gone in self.left]
        found += [(since, f"extra text “{one_line(extra.text, 60)}” ({extra.kind})") for extra, since in extras]
        new = [words for since, words in found if not since.accepted]
        accepted = [words for since, words in found if since.accepted]
        if not new:
            return next(iter((*self.reasons, *accepted)), "")
        rest = f"; and {count(len(new) - 1, 'more text')}" if len(new) > 1 else ""
        return new[0] + rest + (f"; {count(len(accepted), 'error')} as in the golden" if accepted else "")

    @cached_property
    def badness(self) -> tuple[int, int, int]:
        """Sort key, worst first."""
        return severity(self.result)


def _lines(result: CaseResult, texts: Iterable[TextView]) -> Iterator[Outline]:
    owner = {index: text for text in texts for index in text.score.lines}
    extras = () if result.score is None else result.score.extra
    gating = {extra.line for extra in extras if extra.kind is not ExtraKind.OTHER}
    gating |= {line for gone in (() if result.score is None else result.score.gone) for line in gone.lines}
    for index, line in enumerate(() if result.reading is None else result.reading.lines):
        text = owner.get(index)
        kind = "gating" if index in gating else "other"
        if text is not None and index not in gating:
            kind = "right" if text.right else "wrong"
        title = f"{line.text} (confidence {line.confidence:.2f})"
        yield Outline(points=polygon(line.box), kind=kind, title=title, text=-1 if text is None else text.number)


def _spots(result: CaseResult, text: TextView) -> Iterator[Outline]:
    for quad in _quads(result, text):
        yield Outline(points=polygon(quad), kind="spot", title="; ".join(text.sentences), text=text.number)


def _broken(result: CaseResult, texts: Iterable[TextView], found: Iterable[BrokenStrokes]) -> Iterator[Outline]:
    """Yield the characters that the glyph network judged broken."""
    owner = {index: text.number for text in texts for index in text.score.lines}
    lines = () if result.reading is None else result.reading.lines
    for item in found:
        if item.log_odds is not None:
            title = f"broken strokes: {item.text} (log-odds {item.log_odds:.1f})"
            quad = square_at(lines[item.line], item.place)
            yield Outline(points=polygon(quad), kind="broken", title=title, text=owner.get(item.line, -1))


def _quads(result: CaseResult, text: TextView) -> tuple[Quad, ...]:
    if result.reading is None or text.right:
        return ()
    sides = text.sides
    return wrong_quads(text.score, result.reading.lines, sides.read_positions, sides.read_gaps)
