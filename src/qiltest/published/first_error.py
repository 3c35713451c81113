"""Tables 1 and 6 of the published report, long numbers: where the first error is, and how high the writing is.

The distance counts wrong characters, not where they are: a model that loses count after 20 digits and one that drops
a digit at the end can have the same distance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from rapidfuzz.distance import Levenshtein

from qiltest.reading.records import Reading
from qiltest.scoring.geometry import place_of
from qiltest.scoring.records import EditKind, TextScore
from qiltest.text.escape import one_line
from qiltest.text.format import count, number
from qiltest.text.normalise import normalise

#: Fewest digits of a text for a sentence on them.
MANY_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class FirstError:
    """How far one text is right, in characters of the normalised expected text (without white space)."""

    #: characters in the text.
    length: int
    #: characters that are right before the first counted edit; `length` where there is none.
    right_before: int
    #: the expected character there; "" at the end of the text or where nothing is wrong.
    at: str
    #: characters in the longest stretch without a counted edit.
    longest_run: int
    #: digits in the text, those right before the first counted edit, and in the longest stretch without one.
    digits: int
    digits_before: int
    longest_digits: int
    #: digits with no edit on them.
    digits_exact: int

    @property
    def exact(self) -> bool:
        """True where no edit counts."""
        return self.right_before == self.length and self.longest_run == self.length


@dataclass(frozen=True, kw_only=True)
class LineError:
    """One line as read: the height of its writing and the edits on it."""

    text: str
    #: height of the writing in pixels (of a column: its width); the reader's box is slightly higher than the ink.
    height: float
    #: characters of the normalised line.
    length: int
    distance: int


def first_error(score: TextScore) -> FirstError:
    """Return where the first error of a text is; at its first character where the text was not read.

    What the case forgives (look-alikes, layout, optional marks) is not an error.
    """
    text = normalise(score.expected)
    edits = [edit for edit in score.edits if edit.counted]
    if not score.read and score.distance:
        right = [False] * len(text)
        breaks = {0}
    else:
        wrong = {
            edit.position + k
            for edit in edits
            if edit.kind is not EditKind.INSERT
            for k in range(max(1, len(edit.expected)))
        }
        right = [place not in wrong for place in range(len(text))]
        breaks = {edit.position for edit in edits if edit.kind is EditKind.INSERT}
    runs = _runs(text, right, breaks)
    first = runs[0] if right[:1] == [True] and 0 not in breaks else ""
    return FirstError(
        length=len(text),
        right_before=len(first),
        at=text[len(first) : len(first) + 1],
        longest_run=max(map(len, runs)),
        digits=_digits(text),
        digits_before=_digits(first),
        longest_digits=max(map(_digits, runs)),
        digits_exact=sum(good for char, good in zip(text, right, strict=True) if char.isdigit()),
    )


def line_errors(score: TextScore, reading: Reading) -> tuple[LineError, ...]:
    """Return the lines that a text was matched to, with the height of their writing and the edits on each.

    A counted edit belongs to the line with its place in the cheapest alignment with all lines joined; a character
    missing at a line break belongs to the line before. The sum is the text's distance.
    """
    lines = [reading.lines[index] for index in score.lines if 0 <= index < len(reading.lines)]
    texts = [normalise(line.text) for line in lines]
    if not lines:
        return ()
    ends = list(accumulate(map(len, texts)))
    counts = [0] * len(lines)
    for edit in score.edits:
        if edit.counted:
            place = _in_reading(normalise(score.expected), "".join(texts), edit.position)
            counts[next((k for k, end in enumerate(ends) if place < end), len(ends) - 1)] += 1
    return tuple(
        LineError(text=line.text, height=place_of(line, len(text)).size, length=len(text), distance=edits)
        for line, text, edits in zip(lines, texts, counts, strict=True)
    )


def digit_words(text: TextScore) -> Iterator[str]:
    """Yield a sentence on how far a long number is right; none for one that is right, or not long."""
    found = first_error(text)
    if found.digits < MANY_DIGITS or found.exact:
        return
    yield (
        f"“{one_line(text.expected, 40)}”: {found.digits_exact} of {count(found.digits, 'digit')} exact, "
        f"{found.digits_before} before the first error (character {found.right_before + 1}), "
        f"longest stretch {count(found.longest_digits, 'digit')}."
    )


def line_words(text: TextScore, reading: Reading) -> Iterator[str]:
    """Yield the height of the writing for each line with an edit: small writing fails first."""
    for line in line_errors(text, reading):
        if line.distance:
            shown = one_line(line.text, 40)
            yield f"“{shown}”: {count(line.distance, 'edit')} in writing {number(round(line.height))} px high."


def _in_reading(expected: str, read: str, position: int) -> int:
    """Return the place in the reading that corresponds to a place in the expected text."""
    for block in Levenshtein.opcodes(expected, read):
        if block.src_start <= position < block.src_end:
            inside = min(position - block.src_start, max(0, block.dest_end - block.dest_start - 1))
            # what was not read belongs to the character before it
            return max(0, block.dest_start + inside - (block.tag == "delete"))
    return max(0, len(read) - 1)


def _runs(text: str, right: Sequence[bool], breaks: set[int]) -> list[str]:
    """Return the stretches without an edit, in order; at least one, empty where nothing is right."""
    runs = [""]
    for place, (char, good) in enumerate(zip(text, right, strict=True)):
        if place in breaks or not good:
            runs.append("")
        if good:
            runs[-1] += char
    kept = [run for run in runs if run]
    return kept or [""]


def _digits(text: str) -> int:
    return sum(char.isdigit() for char in text)
