"""What a comparison of edits asks besides the edit distance: whether each part of an edit is right.

Wanted, kept and removed texts and the rest of the image are each right or not; McNemar's table over the pairs says
whether one got worse. A text can be right
while the rest of the image changes, and the other way round, so that one number would hide either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from qiltest.comparison.statistics import holm, worse_p
from qiltest.gate.change import change_fault, is_collapse, is_too_much
from qiltest.quality.change import Change
from qiltest.scoring.records import Score


class Part(StrEnum):
    """What an edit is judged by."""

    WANTED = "wanted texts"
    KEPT = "texts that must stay"
    GONE = "texts that must be gone"
    REST = "rest of the image"


@dataclass(frozen=True, kw_only=True)
class EditSide:
    """One image of a pair of edits: which parts are right; a part that its case does not have is not there."""

    right: tuple[tuple[Part, bool], ...]
    #: why the image is another one than its input; "" where it is not.
    collapse: str = ""


@dataclass(frozen=True, kw_only=True)
class PartTally:
    """Images in which a part is right before and after, was broken, was fixed, or is wrong on both sides."""

    part: Part
    both: int
    broken: int
    fixed: int
    neither: int
    #: exact test for "worse" (`statistics.worse_p`), after Holm over all parts of all comparisons.
    p_holm: float


def edit_side(score: Score, change: Change | None) -> EditSide | None:
    """Return which parts of an edit are right; None of an image that is no edit."""
    if change is None:
        return None
    texts = {
        Part.WANTED: [text.distance for text in score.texts if not text.kept],
        Part.KEPT: [text.distance for text in score.texts if text.kept],
        Part.GONE: [gone.distance for gone in score.gone],
    }
    right = [(part, not any(distances)) for part, distances in texts.items() if distances]
    collapse = change_fault(change) if is_collapse(change) else ""
    return EditSide(right=(*right, (Part.REST, not collapse and not is_too_much(change))), collapse=collapse)


def tallies(pairs: Sequence[Sequence[tuple[EditSide, EditSide]]]) -> list[tuple[PartTally, ...]]:
    """Return for each comparison its parts' tallies, given the sides before and after of its pairs of edits."""
    tables = [_tables(own) for own in pairs]
    changes = [(table[True, False], table[False, True]) for own in tables for table in own.values()]
    adjusted = iter(holm([worse_p(broken, fixed) for broken, fixed in changes]))
    return [tuple(_tally(part, table, next(adjusted)) for part, table in own.items()) for own in tables]


def _tables(pairs: Sequence[tuple[EditSide, EditSide]]) -> dict[Part, Counter[tuple[bool, bool]]]:
    found: dict[Part, Counter[tuple[bool, bool]]] = {}
    for before, after in pairs:
        was = dict(before.right)
        for part, right in after.right:
            if part in was:
                found.setdefault(part, Counter())[was[part], right] += 1
    return {part: found[part] for part in Part if part in found}


def _tally(part: Part, table: Counter[tuple[bool, bool]], p: float) -> PartTally:
    return PartTally(
        part=part,
        both=table[True, True],
        broken=table[True, False],
        fixed=table[False, True],
        neither=table[False, False],
        p_holm=p,
    )
