"""Score a reading against the expected texts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, permutations

from qiltest.errors import CaseError, ReaderError
from qiltest.reading.records import Line, Reading
from qiltest.scoring.assign import assign
from qiltest.scoring.bars import with_bars
from qiltest.scoring.beside import Own, own_part
from qiltest.scoring.chains import Chain
from qiltest.scoring.distance import LEADER_DOTS, Leaders, align
from qiltest.scoring.evidence import Costs, Piece, joints
from qiltest.scoring.extras import Taken, extra_of
from qiltest.scoring.flanks import without_flanks
from qiltest.scoring.gone import score_gone
from qiltest.scoring.groups import groups_of
from qiltest.scoring.items import number_apart
from qiltest.scoring.leaders import Segment, segments_of
from qiltest.scoring.records import Extra, Score, TextScore
from qiltest.scoring.split import (
    NO_SEPARATORS,
    Cut,
    Edges,
    Separators,
    cuts_of,
    edges_of,
    part_of,
    pieces_of,
    separators_of,
    without_edges,
)
from qiltest.scoring.strokes import joined_marks, strokes_of
from qiltest.suite.cases import Case, ExpectedText, LineBreaks
from qiltest.text import look_alikes
from qiltest.text.escape import one_line
from qiltest.text.normalise import Unit, normalise, required_text, units

#: so many texts that differ in their optional marks alone are told apart.
MOST_ALIKE = 6


class EmptyReadingError(ReaderError):
    """The reader returned nothing for an image that is not blank, so there is no distance to judge."""


def score_case(case: Case, reading: Reading) -> Score:
    """Score a reading against a case's texts by the case's policies. Raises as `score` does."""
    return score(
        case.texts, reading, gone=case.gone, line_breaks=case.line_breaks, forgiven=case.forgiven, alone=case.alone
    )


def score(
    texts: Sequence[ExpectedText],
    reading: Reading,
    *,
    gone: Sequence[str] = (),
    line_breaks: LineBreaks = LineBreaks.LAYOUT,
    forgiven: tuple[str, ...] = (),
    alone: bool = False,
) -> Score:
    """Match expected texts to the lines of a reading and count the edits; `Score.texts` is in the order asked.

    `gone` are texts that must not be there: what is still read of one counts. `alone`: other text beside a text in its
    line counts as part of it.

    Raises EmptyReadingError where the reading has no lines (blank images are refused earlier), ReaderError where a box
    has a coordinate that is not finite, CaseError where a text is empty or a name in `forgiven` is not a look-alike
    class.
    """
    wanted = _wanted(texts, forgiven)
    _require_finite(reading)
    if not any(normalise(line.text) for line in reading.lines):
        raise EmptyReadingError(
            f"the reader {reading.reader.name} returned no text",
            where=f"image of {reading.width}x{reading.height}",
            remedy="look at the image: if it shows text, try another reader (--qil-reader)",
        )
    plain, asked = [required_text(parts) for parts in wanted], [text.text for text in texts]
    lines = with_bars(reading.lines, asked)
    separators = NO_SEPARATORS if alone else separators_of(asked)
    pieces, costs, chains = _matched(lines, plain, _marks(wanted), separators, alone=alone)
    groups = _by_marks(wanted, plain, groups_of(plain, chains, pieces, costs), pieces)
    own = [
        _own_part(text, [pieces[i] for i in group], () if alone else plain, edges)
        for text, group, edges in zip(plain, groups, edges_of(pieces, groups, separators), strict=True)
    ]
    scores = tuple(
        _text_score(text, parts, [pieces[i] for i in group], part, line_breaks, forgiven, lines)
        for text, parts, group, part in zip(texts, wanted, groups, own, strict=True)
    )
    extra = _extras(plain, pieces, groups, own, alone=alone)
    left = score_gone(gone, reading, scores) if gone else ()
    return Score(
        reader=reading.reader,
        texts=scores,
        extra=extra,
        distance=sum(text.distance for text in scores)
        + sum(item.distance for item in extra)
        + sum(item.distance for item in left),
        distance_alnum=sum(text.distance_alnum for text in scores)
        + sum(alnum_of(item.text) for item in extra if item.distance)
        + sum(alnum_of(item.read) for item in left),
        length=sum(text.length for text in scores if text.required),
        gone=left,
        strokes=joined_marks([(text.strokes, text.length) for text in scores]),
        glyphs=reading.glyphs,
    )


def _require_finite(reading: Reading) -> None:
    for number, line in enumerate(reading.lines, 1):
        if not all(math.isfinite(value) for point in line.box for value in point):
            raise ReaderError(
                f"the reader {reading.reader.name} returned a box that is not finite",
                where=f"line {number}, {one_line(line.text, 60)!r}",
                remedy="mend the reader: a box is four points in pixels",
            )


def _wanted(texts: Sequence[ExpectedText], forgiven: Sequence[str]) -> list[tuple[Unit, ...]]:
    unknown = sorted(set(forgiven) - set(look_alikes.names()))
    if unknown:
        raise CaseError(
            f"unknown look-alike class: {', '.join(map(repr, unknown))}",
            where="forgiven",
            remedy=f"choose from: {', '.join(look_alikes.names())}",
        )
    wanted = [units(text.text, text.optional_marks) for text in texts]
    empty = [text.text for text, parts in zip(texts, wanted, strict=True) if not required_text(parts)]
    if empty or not wanted:
        raise CaseError(
            f"nothing to compare in {empty!r}" if empty else "no expected text",
            where="texts",
            remedy="give texts with at least one character that is not optional",
        )
    return wanted


def _marks(wanted: Sequence[tuple[Unit, ...]]) -> dict[str, set[str]]:
    """Return the characters of optional marks, by the text without marks."""
    found: dict[str, set[str]] = {}
    for parts in wanted:
        own = {char for part in parts if part.optional for char in part.text}
        found.setdefault(required_text(parts), set()).update(own)
    return found


def _by_marks(
    wanted: Sequence[tuple[Unit, ...]], plain: Sequence[str], groups: Sequence[tuple[int, ...]], pieces: Sequence[Piece]
) -> list[tuple[int, ...]]:
    """Share out the lines of texts that differ in their optional marks alone, which matching takes for equal."""
    found = [*groups]
    alike: dict[str, list[int]] = {}
    for number, text in enumerate(plain):
        alike.setdefault(text, []).append(number)
    for numbers in alike.values():
        if not 1 < len({wanted[k] for k in numbers}) <= len(numbers) <= MOST_ALIKE:
            continue
        cost = {
            (k, j): align(wanted[k], [pieces[i].text for i in groups[j]], line_breaks=LineBreaks.LAYOUT).distance
            for k in numbers
            for j in numbers
        }
        best = min(
            permutations(numbers), key=lambda order: sum(cost[pair] for pair in zip(numbers, order, strict=True))
        )
        for k, j in zip(numbers, best, strict=True):
            found[k] = groups[j]
    return found


def _matched(
    lines: Sequence[Line],
    plain: Sequence[str],
    marks: Mapping[str, Collection[str]],
    separators: Separators,
    *,
    alone: bool,
) -> tuple[list[Piece], Costs, tuple[Chain, ...]]:
    """Cut the lines, match them, and undo the cuts between parts that no two texts took.

    A part that no text took belongs to what is beside it, and the marks between two parts that one text took are its
    own. Returns the pieces, what it costs to join them, and each text's chain.
    """
    parts = [*_parts(lines, plain, alone=alone)]
    cuts = {key: cuts_of(part.text, plain, part.line.text, separators) for key, part in enumerate(parts)}
    while True:
        pieces = [piece for key, part in enumerate(parts) for piece in part.pieces(cuts[key])]
        costs = joints(pieces)
        chains = assign(plain, pieces, marks, costs, alone=alone)
        kept = _kept_cuts(cuts, {i: number for number, chain in enumerate(chains) for i in chain.pieces})
        if kept == cuts:
            return pieces, costs, chains
        cuts = kept


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A line, or what of it stands between leader dots."""

    #: the part alone, and the index of the line in the reading.
    line: Line
    index: int
    #: normalised.
    text: str
    segment: Segment | None = None

    def pieces(self, cuts: Sequence[Cut]) -> list[Piece]:
        """Cut the part at some places of its normalised text."""
        found = list(pieces_of(self.line, self.text, self.index, cuts))
        if self.segment is not None:
            found[-1] = replace(found[-1], led=self.segment.led)
            found = [replace(piece, edged=self.segment.edged) for piece in found]
        return found


def _parts(lines: Sequence[Line], plain: Sequence[str], *, alone: bool) -> Iterator[_Part]:
    """Yield the lines that have text, parted where leader dots stand, and behind the number of an item."""
    segments = segments_of(lines, plain)
    for index, line in enumerate(lines):
        numbered = () if alone else number_apart(line, plain)
        for segment in segments.get(index, numbered or (None,)):
            part = line if segment is None else part_of(line, segment)
            if text := normalise(part.text):
                yield _Part(line=part, index=index, text=text, segment=segment)


def _kept_cuts(cuts: Mapping[int, Sequence[Cut]], taken: Mapping[int, int]) -> dict[int, list[Cut]]:
    """Return the cuts of each line whose two sides two texts took; `taken`: which text took a piece."""
    kept: dict[int, list[Cut]] = {}
    at = 0
    for index, places in cuts.items():
        part = range(at, at + len(places) + 1)
        kept[index] = [
            cut
            for k, cut in zip(part, places, strict=False)
            if k in taken and k + 1 in taken and taken[k] != taken[k + 1]
        ]
        at = part.stop
    return kept


def _own_part(text: str, group: Sequence[Piece], expected: Sequence[str], edges: Edges) -> Own:
    """Return the text's own part of its lines; all of them where no other text may stand beside it."""
    whole = Own(lines=tuple(piece.raw for piece in group), wrong=0)
    if not expected or not group:
        return whole
    # an ornament's first mark alone looks like the bullet of an item, and two ornaments like what separates items
    inner = without_flanks(text, whole)
    if inner is not whole:
        return inner
    lines, before, after = without_edges(whole.lines, edges)
    own = own_part(text, lines, expected)
    return replace(own, before=f"{before} {own.before}".strip(), after=f"{own.after} {after}".strip())


def _with_leaders(own: Sequence[str], group: Sequence[Piece]) -> tuple[str, ...]:
    """Return a text's own lines with the leader dots between its pieces; those at its edges are left out."""
    dots = [*(piece.led for piece in group[:-1]), ""][: len(own)]
    return tuple(line + led for line, led in zip(own, dots, strict=True))


def _leaders(text: str, own: Sequence[str], read: Sequence[str]) -> Leaders:
    """Return where leader dots stand in the lines read (`own` are the same without), normalised and joined.

    `text` is the expected text as the case has it: where it has white space, they do not count.
    """
    dots: set[int] = set()
    at = 0
    for line, led in zip(own, read, strict=True):
        dots.update(range(at + len(normalise(line)), at + len(normalise(led))))
        at += len(normalise(led))
    words = accumulate(len(normalise(word)) for word in text.split())
    return Leaders(dots=frozenset(dots), spaces=frozenset(words))


def _text_score(
    text: ExpectedText,
    parts: tuple[Unit, ...],
    group: Sequence[Piece],
    own: Own,
    line_breaks: LineBreaks,
    forgiven: tuple[str, ...],
    shown: Sequence[Line],
) -> TextScore:
    required, lines = required_text(parts), [piece.line for piece in group]
    strokes = strokes_of(required, own.lines, lines, shown)
    read, dotted = own.lines, _with_leaders(own.lines, group)
    found = align(parts, [*map(normalise, read)], line_breaks=line_breaks, forgiven=forgiven)
    if dotted != read:
        shown_dots = [*map(normalise, dotted)]
        leaders = _leaders(text.text, own.lines, dotted)
        free = align(parts, shown_dots, line_breaks=line_breaks, forgiven=forgiven, leaders=leaders)
        if free.distance > found.distance:  # the dots stand inside a word or number: they are text
            read, found = dotted, align(parts, shown_dots, line_breaks=line_breaks, forgiven=forgiven)
    led = read == own.lines and (dotted != read or any(piece.edged for piece in group))
    excused = not lines and not text.required
    return TextScore(
        expected=text.text,
        read="\n".join(read),
        distance=0 if excused else found.distance,
        distance_alnum=0 if excused else found.distance_alnum,
        length=len(required),
        edits=() if excused else found.edits,
        lines=tuple(dict.fromkeys(lines)),
        required=text.required,
        kept=text.kept,
        layout=(*found.layout, LEADER_DOTS) if led else found.layout,
        beside=own.beside,
        strokes=strokes.marks,
        broken=strokes.broken,
    )


def _extras(
    plain: Sequence[str],
    pieces: Sequence[Piece],
    groups: Sequence[Sequence[int]],
    own: Sequence[Own],
    *,
    alone: bool,
) -> tuple[Extra, ...]:
    used = {i for group in groups for i in group}
    taken = [
        Taken(text=text, read="".join(map(normalise, part.lines)), pieces=tuple(pieces[i] for i in group))
        for text, group, part in zip(plain, groups, own, strict=True)
    ]
    left = [piece for i, piece in enumerate(pieces) if i not in used]
    return tuple(extra_of(piece, piece.raw, taken, left, alone=alone) for piece in left)


def alnum_of(text: str) -> int:
    """Return how many letters and digits a text has."""
    return sum(char.isalnum() for char in normalise(text))
