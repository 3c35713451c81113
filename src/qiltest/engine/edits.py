"""What an edit changed besides its texts, and whether its input shows what the case says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from qiltest.errors import InputError, ReaderError
from qiltest.quality.change import Box, Change, measure_change
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.records import Line, Reading
from qiltest.scoring import EmptyReadingError, Score, TextScore, score
from qiltest.scoring.gone import score_gone
from qiltest.suite.cases import Case
from qiltest.text.escape import one_line
from qiltest.text.normalise import letters_and_digits


@dataclass(frozen=True, kw_only=True)
class Before:
    """An edit's input image and what was read in it."""

    pixels: Pixels
    reading: Reading

    @classmethod
    def of(cls, path: Path, read: Callable[[Path], Reading]) -> Before:
        """Return the input image in a file. Raises ReaderError."""
        return cls(pixels=load_image(path), reading=read(path))


def change_of_edit(case: Case, before: Before, after: Path, reading: Reading, found: Score) -> Change:
    """Measure what an edit changed where the image may not change; `found` is the score of `reading`, of `after`.

    Raises InputError where the input does not show what the case says, or all of the image may change; ReaderError.
    """
    check_input(case, before.reading)
    free = tuple(may_change(case, before.reading, reading, found))
    change = measure_change(before.pixels, load_image(after), free)
    if not change.compared > 0:
        raise InputError(
            "nothing of the image is left to compare with the input: all of it may change",
            where=case.id,
            remedy="give images that are larger than their texts, or smaller regions in the case's may_change",
        )
    return change


def may_change(case: Case, before: Reading, after: Reading, found: Score) -> Iterator[Box]:
    """Yield where an edit may change the image: as the case says, or where its texts stand.

    That is where a wanted text, or what is left of one that must be gone, was read in the output, and where a text that
    must be gone was read in the input. A wanted text of which more than half is wrong stands nowhere: the lines that
    have most in common with it may be what the edit made of another text.
    """
    assert case.edit is not None
    if case.edit.may_change:
        yield from (Box(left=r.left, top=r.top, right=r.right, bottom=r.bottom) for r in case.edit.may_change)
        return
    wanted = {index for text in found.texts if not text.kept and _is_found(text) for index in text.lines}
    left = {index for gone in found.gone for index in gone.lines}
    yield from _boxes(after, wanted | left)
    removed = score_gone(case.gone, before, _kept(case, before))
    yield from _boxes(before, {index for gone in removed for index in gone.lines})


def check_input(case: Case, before: Reading) -> None:
    """Raise InputError where the input does not show a text that must stay, or one that must be gone."""
    faults = list(_premises(case, before))
    if faults:
        raise InputError(
            f"the input image does not show what is asked: {'; '.join(faults)}",
            where=case.id,
            remedy="look at the input image; correct what is to stay and to be removed, or give the image that is "
            "meant",
        )


def _premises(case: Case, before: Reading) -> Iterator[str]:
    texts = _kept(case, before)
    for text in texts:
        if text.required and not _is_found(text):
            yield f"{one_line(text.expected, 40)!r} is to stay, and was read as {one_line(text.read, 40)!r}"
    for gone in score_gone(case.gone, before, texts):
        if not gone.distance:
            part = next((text.expected for text in texts if letters_and_digits(gone.expected) in _bare(text)), None)
            only = "was not read" if part is None else f"was read in {one_line(part, 40)!r} alone, which is to stay"
            yield f"{one_line(gone.expected, 40)!r} is to be removed, and {only}"


def _kept(case: Case, before: Reading) -> tuple[TextScore, ...]:
    """Return the scores in the input of the texts that must stay. Raises ReaderError where nothing was read in it."""
    kept = [text for text in case.texts if text.kept]
    try:
        return score(kept, before, line_breaks=case.line_breaks, forgiven=case.forgiven).texts if kept else ()
    except EmptyReadingError as error:
        raise ReaderError("nothing was read in the input image", where=case.id, remedy=error.remedy) from error


def _is_found(text: TextScore) -> bool:
    """Return whether what was read for a text is the text: at most half of it is wrong."""
    return bool(text.read) and 2 * text.distance <= text.length


def _bare(text: TextScore) -> str:
    return letters_and_digits(text.read)


def _boxes(reading: Reading, lines: Iterable[int]) -> Iterator[Box]:
    for index in sorted(lines):
        if 0 <= index < len(reading.lines):
            yield _box(reading.lines[index], reading)


def _box(line: Line, reading: Reading) -> Box:
    xs = [min(1.0, max(0.0, x / reading.width)) for x, _ in line.box]
    ys = [min(1.0, max(0.0, y / reading.height)) for _, y in line.box]
    return Box(left=min(xs), top=min(ys), right=max(xs), bottom=max(ys))
