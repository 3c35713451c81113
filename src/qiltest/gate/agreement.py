"""Count a golden's numbers again from what was read, so that none is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qiltest.scoring.distance import Alignment, align
from qiltest.scoring.extras import gating_kinds
from qiltest.scoring.records import Edit, ExtraKind
from qiltest.suite.cases import Case, ExpectedText, Limits
from qiltest.text.normalise import normalise, required_text, units


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the scorer counts for the texts of a case, as they were read."""

    #: edits of each text, in the case's order.
    distances: tuple[int, ...]
    #: edits of letters and digits, over all texts.
    distance_alnum: int
    #: characters of the required texts.
    length: int


def count_again(case: Case, reads: Sequence[str]) -> Counted:
    """Return the numbers of a case's texts; `reads` are `TextScore.read`, one for each text."""
    found = [_count(case, text, read) for text, read in zip(case.texts, reads, strict=True)]
    return Counted(
        distances=tuple(distance for distance, _ in found),
        distance_alnum=sum(alnum for _, alnum in found),
        length=length_of(case),
    )


def edits_again(case: Case, text: ExpectedText, read: str) -> tuple[Edit, ...]:
    """Return the edits that the scorer finds in what was read for one of a case's texts (`TextScore.read`)."""
    found = _aligned(case, text, read)
    return () if found is None else found.edits


def length_of(case: Case) -> int:
    """Return `Score.length` of a case: the characters of its required texts."""
    return sum(len(required_text(units(text.text, text.optional_marks))) for text in case.texts if text.required)


def extra_distance(text: str, kind: str) -> int | None:
    """Return the edits that unexpected text of a kind counts, None for a kind that there is not."""
    if kind not in set(ExtraKind):
        return None
    return 0 if kind == ExtraKind.OTHER else len(normalise(text))


def extra_alnum(text: str, kind: str) -> int:
    """Return the letters and digits that unexpected text counts."""
    return 0 if kind == ExtraKind.OTHER else sum(char.isalnum() for char in normalise(text))


def gone_alnum(read: str) -> int:
    """Return the letters and digits that what is left of a text that must be gone counts."""
    return sum(char.isalnum() for char in normalise(read))


def may_be_extra(case: Case, reads: Sequence[str], text: str, kind: str) -> bool:
    """Return whether a line of this text could repeat or extend one of the case's texts, as its kind says."""
    if kind == ExtraKind.OTHER:
        return True
    found = zip(case.texts, reads, strict=True)
    return any(
        kind in gating_kinds(normalise(text), required_text(units(t.text, t.optional_marks)), "".join(_lines(read)))
        for t, read in found
    )


def accepts_no_text(distance: int, length: int, limits: Limits) -> bool:
    """Return whether a golden of this distance would let an image without any of its texts pass.

    Such an image has as many edits as the required texts have characters.
    """
    limit = distance + limits.tolerance
    return length <= (limit if limits.absolute is None else min(limit, limits.absolute))


def _count(case: Case, text: ExpectedText, read: str) -> tuple[int, int]:
    found = _aligned(case, text, read)
    return (0, 0) if found is None else (found.distance, found.distance_alnum)


def _aligned(case: Case, text: ExpectedText, read: str) -> Alignment | None:
    """Align a text with what was read for it; None where it may be missing and is."""
    if not read and not text.required:
        return None
    parts = units(text.text, text.optional_marks)
    return align(parts, _lines(read), line_breaks=case.line_breaks, forgiven=case.forgiven)


def _lines(read: str) -> list[str]:
    return [normalise(line) for line in read.split("\n")] if read else []
