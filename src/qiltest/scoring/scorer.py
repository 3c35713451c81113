"""Score a reading against the expected texts."""

from __future__ import annotations

from collections.abc import Sequence

from qiltest.errors import CaseError, ReaderError
from qiltest.reading.records import Reading
from qiltest.scoring.assign import assign
from qiltest.scoring.chains import Chain, Piece
from qiltest.scoring.distance import align
from qiltest.scoring.extras import Taken, extra_of, weight
from qiltest.scoring.geometry import encloses, orders
from qiltest.scoring.records import Extra, Score, TextScore
from qiltest.scoring.split import pieces_of
from qiltest.suite.cases import Case, ExpectedText, LineBreaks
from qiltest.text import look_alikes
from qiltest.text.normalise import Unit, normalise, required_text, units

#: an unmatched line inside a block belongs to the block's text from this weight and confidence on.
ABSORBED_WEIGHT, ABSORBED_CONFIDENCE = 2.0, 0.6


class EmptyReadingError(ReaderError):
    """The reader returned nothing for an image that is not blank, so there is no distance to judge."""


def score_case(case: Case, reading: Reading) -> Score:
    """Score a reading against a case's texts by the case's policies. Raises as `score` does."""
    return score(case.texts, reading, line_breaks=case.line_breaks, forgiven=case.forgiven)


def score(
    texts: Sequence[ExpectedText],
    reading: Reading,
    *,
    line_breaks: LineBreaks = LineBreaks.LAYOUT,
    forgiven: tuple[str, ...] = (),
) -> Score:
    """Match expected texts to the lines of a reading and count the edits; `Score.texts` is in the order asked.

    Raises EmptyReadingError where the reading has no lines (blank images are refused earlier), CaseError where a text
    is empty or a name in `forgiven` is not a look-alike class.
    """
    wanted = _wanted(texts, forgiven)
    if not any(normalise(line.text) for line in reading.lines):
        raise EmptyReadingError(
            f"the reader {reading.reader.name} returned no text",
            where=f"image of {reading.width}x{reading.height}",
            remedy="look at the image: if it shows text, try another reader (--qil-reader)",
        )
    plain = [required_text(parts) for parts in wanted]
    pieces = _pieces(reading, plain)
    groups = _groups(assign(plain, pieces, _marks(wanted)), pieces)
    scores = tuple(
        _text_score(text, parts, [pieces[i] for i in group], reading, line_breaks, forgiven)
        for text, parts, group in zip(texts, wanted, groups, strict=True)
    )
    extra = _extras(plain, pieces, groups, reading)
    return Score(
        reader=reading.reader,
        texts=scores,
        extra=extra,
        distance=sum(text.distance for text in scores) + sum(item.distance for item in extra),
        distance_alnum=sum(text.distance_alnum for text in scores) + sum(_alnum(item) for item in extra),
        length=sum(text.length for text in scores if text.required),
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


def _pieces(reading: Reading, plain: Sequence[str]) -> list[Piece]:
    found: list[Piece] = []
    for index, line in enumerate(reading.lines):
        text = normalise(line.text)
        if text:
            found.extend(pieces_of(line, text, index, plain))
    return found


def _groups(chains: Sequence[Chain], pieces: Sequence[Piece]) -> list[tuple[int, ...]]:
    """Return each text's pieces, with the unmatched lines inside its block, such as a phrase generated twice."""
    free = set(range(len(pieces))) - {i for chain in chains for i in chain.pieces}
    groups = []
    for chain in chains:
        inside = _inside(chain.pieces, pieces, sorted(free))
        free -= set(inside)
        groups.append(_merged(chain.pieces, inside, pieces))
    return groups


def _inside(group: tuple[int, ...], pieces: Sequence[Piece], free: Sequence[int]) -> list[int]:
    if len(group) < 2:
        return []
    block = [pieces[i].place for i in group]
    return [
        i
        for i in free
        if pieces[i].confidence >= ABSORBED_CONFIDENCE
        and weight(pieces[i].text) >= ABSORBED_WEIGHT
        and encloses(block, pieces[i].place)
    ]


def _merged(group: tuple[int, ...], inside: Sequence[int], pieces: Sequence[Piece]) -> tuple[int, ...]:
    """Insert the lines found inside a block among its lines, keeping their reading order."""
    if not inside:
        return group
    together = sorted({*group, *inside})
    for order in orders([pieces[i].place for i in together]):
        merged = tuple(together[k] for k in order)
        if tuple(i for i in merged if i in group) == group:
            return merged
    return group


def _text_score(
    text: ExpectedText,
    parts: tuple[Unit, ...],
    group: Sequence[Piece],
    reading: Reading,
    line_breaks: LineBreaks,
    forgiven: tuple[str, ...],
) -> TextScore:
    found = align(parts, [piece.text for piece in group], line_breaks=line_breaks, forgiven=forgiven)
    excused = not group and not text.required
    return TextScore(
        expected=text.text,
        read="\n".join(_raw(piece, reading) for piece in group),
        distance=0 if excused else found.distance,
        distance_alnum=0 if excused else found.distance_alnum,
        length=len(required_text(parts)),
        edits=() if excused else found.edits,
        lines=tuple(dict.fromkeys(piece.line for piece in group)),
        required=text.required,
        layout=found.layout,
    )


def _raw(piece: Piece, reading: Reading) -> str:
    """Return the text as read; a part of a line, and a line that holds several, exist in their normalised form only."""
    line = reading.lines[piece.line].text
    return line if normalise(line) == piece.text and "\n" not in line else piece.text


def _extras(
    plain: Sequence[str], pieces: Sequence[Piece], groups: Sequence[Sequence[int]], reading: Reading
) -> tuple[Extra, ...]:
    used = {i for group in groups for i in group}
    taken = [
        Taken(text=text, read="".join(pieces[i].text for i in group), pieces=tuple(pieces[i] for i in group))
        for text, group in zip(plain, groups, strict=True)
    ]
    return tuple(extra_of(piece, _raw(piece, reading), taken) for i, piece in enumerate(pieces) if i not in used)


def _alnum(extra: Extra) -> int:
    return sum(char.isalnum() for char in normalise(extra.text)) if extra.distance else 0
