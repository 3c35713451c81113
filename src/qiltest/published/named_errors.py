"""Whether an error that the published report names is the one in an image: told by the edits of its score."""

from __future__ import annotations

from collections.abc import Iterator

from qiltest.scoring.records import EditKind, Score, TextScore
from qiltest.suite.cases import NamedError
from qiltest.text.escape import one_line
from qiltest.text.normalise import normalise


def is_there(error: NamedError, score: Score) -> bool:
    """Return whether an image has the named error; without `read`, whether it has any at the place.

    The text is rebuilt from its counted edits around the place named. The error is there where that reads as named, or
    contains it where the expected text does not; a phrase named twice, also where it stands twice in the image.
    """
    expected = normalise(error.expected)
    read = None if error.read is None else normalise(error.read)
    if any(_matches(expected, read, place, whole) for place, whole, _ in _places(expected, score)):
        return True
    return read is not None and _repeats(expected, read) and _said_again(expected, read, score)


def read_there(error: NamedError, score: Score) -> str:
    """Return what was read at the place of a named error, "" where it is as expected or nothing was read."""
    expected = normalise(error.expected)
    return next((place for place, _, _ in _places(expected, score) if place != expected), "")


def words(error: NamedError) -> str:
    """Return the error for people."""
    if error.read is None:
        return f"an error in “{one_line(error.expected, 60)}”"
    return f"“{one_line(error.read, 60)}” for “{one_line(error.expected, 60)}”"


def _matches(expected: str, read: str | None, place: str, whole: str) -> bool:
    if read is None:
        return place != expected
    return place == read or (read in place and read not in whole)


def _places(expected: str, score: Score) -> Iterator[tuple[str, str, TextScore]]:
    """Yield, for each place where a text asks for `expected`, what was read there, the text, and its score.

    What was inserted right before or after belongs to the place: where an alignment puts it among equal characters is
    a matter of convention.
    """
    for text in score.texts:
        whole = normalise(text.expected)
        before, chars = _slots(text, whole)
        start = whole.find(expected)
        while start >= 0:
            end = start + len(expected)
            inner = "".join(before[i] + chars[i] for i in range(start, end))
            yield inner + before[end], whole, text
            start = whole.find(expected, start + 1)


def _slots(text: TextScore, whole: str) -> tuple[list[str], list[str]]:
    """Return what was inserted before each place of a text, and what stands for each of its characters."""
    before, chars = [""] * (len(whole) + 1), list(whole)
    for edit in text.edits:
        if not edit.counted:
            continue
        if edit.kind is EditKind.INSERT:
            before[edit.position] += edit.read
        else:
            chars[edit.position : edit.position + len(edit.expected)] = [edit.read, *[""] * (len(edit.expected) - 1)]
    return before, chars


def _repeats(expected: str, read: str) -> bool:
    return len(read) > len(expected) and read == expected * (len(read) // len(expected))


def _said_again(expected: str, read: str, score: Score) -> bool:
    """Return whether the phrase stands as often as named, apart or in a line of its own."""
    more = len(read) // len(expected) - 1
    for text in score.texts:
        whole = normalise(text.expected)
        if expected not in whole:
            continue
        before, chars = _slots(text, whole)
        own = "".join(left + char for left, char in zip(before, [*chars, ""], strict=True)).count(expected)
        extra = sum(normalise(line.text).count(expected) for line in score.extra if line.distance)
        if own + extra >= whole.count(expected) + more:
            return True
    return False
