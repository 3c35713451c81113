"""The character diff between expected and read text, as marked spans for pages and terminals.

Edits count in the normalised text (NFKC, no white space); a person is shown the text as written and as read. The
normalised reading is rebuilt from the expected text and the edits, then found again in the raw text: what it skips
there is layout (white space, a hyphen at a line break), which is shown but not marked.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import groupby

from rapidfuzz.distance import Indel

from qiltest.scoring.records import Edit, TextScore
from qiltest.text.escape import MAX_SHOWN, bounded
from qiltest.text.normalise import normalise

#: characters or edits of a text whose marks are laid out: what is shown of a text, and that it was cut.
_LONGEST = MAX_SHOWN + 100
#: cached, because the same characters recur in thousands of images.
_normalised = lru_cache(maxsize=16_384)(normalise)


class Mark(StrEnum):
    """How a run of characters compares with the other side."""

    SAME = "same"
    #: differs and counts.
    DIFFERS = "differs"
    #: differs, but the case forgives this look-alike.
    FORGIVEN = "forgiven"
    #: layout or an optional mark: not part of the comparison.
    LAYOUT = "layout"
    #: a gap: the other side has characters here (the text is empty).
    GAP = "gap"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Consecutive characters with one mark."""

    text: str
    mark: Mark
    #: the other side's text here, for a tooltip; "" for SAME and LAYOUT.
    other: str = ""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """Both sides of one text, ready to show."""

    expected: tuple[Span, ...]
    read: tuple[Span, ...]
    #: where in the raw reading the differing characters are, as indices of characters; for pointing into the image.
    read_positions: tuple[int, ...] = ()
    #: before which indices of the raw reading characters are missing.
    read_gaps: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Unit:
    """A character of a normalised text with its mark."""

    text: str
    mark: Mark
    other: str = ""


def marked(score: TextScore) -> Marked:
    """Return both sides of `score` with the differing characters marked; of a text that is too long, its beginning."""
    if max(len(score.expected), len(score.read)) > _LONGEST or len(score.edits) > _LONGEST:
        expected, read = (
            (Span(text=bounded(text), mark=Mark.SAME),) if text else () for text in (score.expected, score.read)
        )
        return Marked(expected=expected, read=read)
    expected_units, read_units = _units(score)
    asked = _joined(_laid_over(score.expected, expected_units))
    if not score.read:
        return Marked(expected=asked, read=())
    seen = _laid_over(score.read, read_units)
    return Marked(
        expected=asked,
        read=_joined(seen),
        read_positions=tuple(_starts(seen, Mark.DIFFERS)),
        read_gaps=tuple(_starts(seen, Mark.GAP)),
    )


def _units(score: TextScore) -> tuple[list[_Unit], list[_Unit]]:
    wanted = normalise(score.expected)
    expected: list[_Unit] = []
    read: list[_Unit] = []

    def same(start: int, end: int) -> None:
        for side in (expected, read):
            side.extend(_Unit(char, Mark.SAME) for char in wanted[start:end])

    at = 0
    for edit in score.edits:
        same(at, edit.position)
        at = edit.position + len(edit.expected)
        expected.append(_Unit(edit.expected, _mark(edit) if edit.expected else Mark.GAP, edit.read))
        read.append(_Unit(edit.read, _mark(edit) if edit.read else Mark.GAP, edit.expected))
    same(at, len(wanted))
    return expected, read


def _mark(edit: Edit) -> Mark:
    return Mark.DIFFERS if edit.counted else Mark.FORGIVEN


def _laid_over(raw: str, units: list[_Unit]) -> list[_Unit]:
    """Cut the raw text into marked units; return `units` where marks on the raw text would be wrong."""
    clusters = list(_clusters(raw))
    owner = [index for index, cluster in enumerate(clusters) for _ in _normalised(cluster)]
    single = [
        _Unit(char, unit.mark, "" if place else unit.other)
        for unit in units
        for place, char in enumerate(unit.text or ("",))
    ]
    on_cluster, gaps, lost = _aligned(owner, "".join(map(_normalised, clusters)), single)
    if lost:
        return units
    out: list[_Unit] = []
    for number, cluster in enumerate(clusters):
        out.extend(gaps.get(number, ()))
        out.append(_Unit(cluster, *_worst(on_cluster.get(number, ()))))
    return [*out, *gaps.get(len(clusters), ())]


def _starts(units: Iterable[_Unit], mark: Mark) -> Iterator[int]:
    index = 0
    for unit in units:
        if unit.mark is mark:
            yield index
        index += len(unit.text)


def _aligned(
    owner: list[int], compared: str, units: list[_Unit]
) -> tuple[dict[int, list[_Unit]], dict[int, list[_Unit]], bool]:
    """Find the units in the normalised raw text: marks by cluster, gaps by the cluster they stand before.

    The third value is True if a differing unit is not in the text, so that marks on it would be wrong.
    """
    texts = "".join(unit.text for unit in units)
    place = {
        block.src_start + offset: owner[block.dest_start + offset]
        for block in Indel.opcodes(texts, compared)
        if block.tag == "equal"
        for offset in range(block.src_end - block.src_start)
    }
    seen: dict[int, list[_Unit]] = {}
    gaps: dict[int, list[_Unit]] = {}
    index, lost = 0, False
    following = [
        max(owner, default=-1) + 1
    ]  # of each unit from the last: the cluster that a gap before it stands before
    for i in reversed(range(len(texts))):
        following.append(place.get(i, following[-1]))
    for unit in units:
        if not unit.text:
            gaps.setdefault(following[len(texts) - index], []).append(unit)
            continue
        if index in place:
            seen.setdefault(place[index], []).append(unit)
        else:
            lost = lost or unit.mark is Mark.DIFFERS
        index += 1
    return seen, gaps, lost


def _worst(units: Iterable[_Unit]) -> tuple[Mark, str]:
    members = list(units)
    for mark in (Mark.DIFFERS, Mark.FORGIVEN):
        chosen = [unit for unit in members if unit.mark is mark]
        if chosen:
            return mark, chosen[0].other
    return (Mark.SAME, "") if members else (Mark.LAYOUT, "")


def _clusters(text: str) -> Iterator[str]:
    """Yield characters with the combining marks that follow them, which a person sees as one."""
    cluster = ""
    for char in text:
        if cluster and not unicodedata.combining(char):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def _joined(units: Iterable[_Unit]) -> tuple[Span, ...]:
    spans = []
    for mark, group in groupby(units, key=lambda unit: unit.mark):
        members = list(group)
        other = "" if mark in {Mark.SAME, Mark.LAYOUT} else "".join(unit.other for unit in members)
        spans.append(Span(text="".join(unit.text for unit in members), mark=mark, other=other))
    return tuple(spans)
