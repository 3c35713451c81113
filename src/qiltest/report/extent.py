"""How much of one image a report shows, and the work that takes: linear in what is shown, whatever an image holds."""

from __future__ import annotations

from dataclasses import replace

from qiltest.reading.records import Line, Reading
from qiltest.runs.records import CaseResult
from qiltest.scoring.records import Score, TextScore
from qiltest.text.escape import MAX_SHOWN, bounded

#: of one image: expected texts, extra texts, lines of its reading, reasons or notes.
MOST_TEXTS, MOST_EXTRAS, MOST_LINES, MOST_SAID = 100, 100, 500, 20
#: edits and lines of one text.
MOST_EDITS, MOST_JOINED = 1_000, 64
#: work in characters of a text that is laid out with its marks: of an image without texts, of an edit, of a line, of a
#: line's character, and of so many pairs of a line with a part of a text that is looked for in it.
_IMAGE, _EDIT, _LINE, _CHARACTER, _PAIRS = 1_000, 10, 10, 2, 4


def work(result: CaseResult) -> int:
    """Return the work of showing an image."""
    score, reading = result.score, result.reading
    found = _IMAGE
    if score is not None:
        found += sum(map(_work_of_text, score.texts[:MOST_TEXTS]))
        found += sum(min(len(extra.text), MAX_SHOWN) for extra in score.extra[:MOST_EXTRAS])
    if reading is not None:
        found += sum(_LINE + _CHARACTER * min(len(line.text), MAX_SHOWN) for line in reading.lines[:MOST_LINES])
    return found


def _work_of_text(text: TextScore) -> int:
    characters = min(len(text.expected), MAX_SHOWN) + min(len(text.read), MAX_SHOWN)
    joined = min(len(text.lines), MOST_JOINED)
    return characters + _EDIT * min(len(text.edits), MOST_EDITS) + joined**2 // _PAIRS


def shortened(result: CaseResult) -> CaseResult:
    """Return what is shown of a result: the same object, unless the result holds more."""
    score, reading, judgement = result.score, result.reading, result.judgement
    if score is not None:
        score = _shortened_score(score)
    if reading is not None:
        reading = _shortened_reading(reading)
    if judgement is not None and len(judgement.reasons) > MOST_SAID:
        judgement = replace(judgement, reasons=judgement.reasons[:MOST_SAID])
    if (score, reading, judgement) == (result.score, result.reading, result.judgement) and len(
        result.notes
    ) <= MOST_SAID:
        return result
    return replace(result, score=score, reading=reading, judgement=judgement, notes=result.notes[:MOST_SAID])


def _shortened_score(score: Score) -> Score:
    """Keep the texts with the most edits, in their order, and the first extra texts, those that count before others."""
    if len(score.texts) <= MOST_TEXTS and len(score.extra) <= MOST_EXTRAS and not any(map(_is_long, score.texts)):
        return score
    worst = sorted(range(len(score.texts)), key=lambda number: -score.texts[number].distance)[:MOST_TEXTS]
    texts = tuple(_shortened_text(score.texts[number]) for number in sorted(worst))
    extra = tuple(sorted(score.extra, key=lambda extra: -extra.distance)[:MOST_EXTRAS])
    return replace(score, texts=texts, extra=extra)


def _is_long(text: TextScore) -> bool:
    return (
        max(len(text.expected), len(text.read)) > MAX_SHOWN
        or len(text.edits) > MOST_EDITS
        or max(len(text.lines), len(text.layout)) > MOST_JOINED
    )


def _shortened_text(text: TextScore) -> TextScore:
    """Cut a long text; then its edits are not shown, because their places are those of the whole text."""
    if not _is_long(text):
        return text
    return replace(
        text,
        expected=bounded(text.expected),
        read=bounded(text.read),
        edits=(),
        lines=text.lines[:MOST_JOINED],
        layout=text.layout[:MOST_SAID],
    )


def _shortened_reading(reading: Reading) -> Reading:
    if len(reading.lines) <= MOST_LINES and all(len(line.text) <= MAX_SHOWN for line in reading.lines):
        return reading
    return replace(reading, lines=tuple(map(_shortened_line, reading.lines[:MOST_LINES])))


def _shortened_line(line: Line) -> Line:
    return replace(
        line,
        text=line.text[:MAX_SHOWN],
        characters=line.characters[:MAX_SHOWN],
        places=line.places[:MAX_SHOWN],
        strokes=line.strokes[:MAX_SHOWN],
    )
