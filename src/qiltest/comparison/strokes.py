"""Broken strokes of two images of one case, size and seed: counted on the characters that were judged in both.

A character that one side misread is an edit there and is left out on both sides, so that a release that writes more of
a text right is not blamed for the strokes of what it wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qiltest.comparison.statistics import flipped_p, worse_p
from qiltest.scoring.records import BROKEN_MARK, DOUBTED_MARK, SILENT_MARK, Score

#: those in doubt count too: both sides are measured alike.
_COUNTED = frozenset({BROKEN_MARK, DOUBTED_MARK})
#: characters that may change between two releases; those of a thousand images are a tenth of it.
_MOST = 200_000


@dataclass(frozen=True, kw_only=True)
class PairedStrokes:
    """The characters of a pair of images that were judged on both sides by the same glyph network."""

    characters: int
    #: of them broken or in doubt (`reading.strokes.DOUBTED`), before and after.
    before: int
    after: int

    def __post_init__(self) -> None:
        if not (0 <= self.before <= self.characters and 0 <= self.after <= self.characters):
            raise ValueError(f"{self.before} and {self.after} broken of {self.characters} characters")

    @property
    def change(self) -> int:
        """Additional characters with broken strokes; negative for fewer."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class StrokeTally:
    """Broken strokes of one variant against another, over the pairs that can be compared."""

    #: pairs with a character that was judged on both sides by the same network, and those without.
    images: int
    not_compared: int
    characters: int
    #: of them broken or in doubt.
    before: int
    after: int
    #: images with more of them after, and with fewer.
    more: int
    fewer: int
    #: exact p of a rise so high if each image were as likely the other side's (`statistics.flipped_p`).
    p: float
    #: after Holm over all cases compared, strokes counting as one more; `p` where too few images differ to show
    #: anything.
    p_holm: float


def paired_strokes(before: Score, after: Score) -> PairedStrokes | None:
    """Return the broken strokes of two scores of the same texts; None where no character was judged on both sides.

    Log-odds of two networks are never compared.
    """
    if before.glyphs != after.glyphs or len(before.strokes) != len(after.strokes):
        return None
    both = [sides for sides in zip(before.strokes, after.strokes, strict=True) if SILENT_MARK not in sides]
    if not both:
        return None
    return PairedStrokes(
        characters=len(both),
        before=sum(old in _COUNTED for old, _ in both),
        after=sum(new in _COUNTED for _, new in both),
    )


def able(tally: StrokeTally, alpha: float) -> bool:
    """Return whether so many images differ that their strokes could show anything, had all of them more.

    A test that cannot succeed need not be corrected for (Tarone 1990).
    """
    return worse_p(tally.more + tally.fewer, 0) <= alpha


def tally_of(pairs: Sequence[PairedStrokes | None]) -> StrokeTally | None:
    """Return the tally of all pairs, uncorrected; None where none can be compared."""
    known = [pair for pair in pairs if pair is not None]
    if not known:
        return None
    changes = [pair.change for pair in known]
    more, fewer = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    # as exact, and coarser: the other one's memory grows with the characters that a run claims
    p = flipped_p(changes) if sum(map(abs, changes)) <= _MOST else worse_p(more, fewer)
    return StrokeTally(
        images=len(known),
        not_compared=len(pairs) - len(known),
        characters=sum(pair.characters for pair in known),
        before=sum(pair.before for pair in known),
        after=sum(pair.after for pair in known),
        more=more,
        fewer=fewer,
        p=p,
        p_holm=p,
    )
