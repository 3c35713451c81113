"""The verdict on an image's strokes: whether more characters are broken than whole ones are taken for.

Never a single character: the glyph network takes some whole characters for broken, and the reader's boxes are not
always where a character is. An image fails only where so many are improbable for whole characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from qiltest.gate.verdict import Judgement, with_fault
from qiltest.scoring.records import BrokenCharacter, Score, TextScore
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: an image fails where so many broken characters or more are less probable than this for whole ones.
IMPROBABLE = 0.001
#: fewest broken characters that fail an image.
FEWEST = 2
#: characters of a text that a sentence shows, broken characters of one text, and texts.
_SHOWN, _NAMED, _TEXTS = 24, 6, 4


@dataclass(frozen=True, kw_only=True)
class FloorRate:
    """How often whole characters are taken for broken ones, as it was measured."""

    #: the network's fingerprint: of another one's log-odds it says nothing.
    glyphs: str
    #: whole characters, and those of them that were taken for broken ones.
    flagged: int
    of: int
    #: the upper end of the exact 95 % interval (Clopper-Pearson) of flagged / of: the rate may be so high.
    rate: float
    #: the command that measured it.
    source: str


#: on whole Chinese characters of real images that two labels agree on. None: not measured, and no image fails by its
#: strokes.
MEASURED: FloorRate | None = FloorRate(
    glyphs="ee50dc1bd851",
    flagged=4,
    of=383,
    rate=0.0265,
    source="benchmarks/glyphs/labelled.py",
)


def with_strokes(
    judgement: Judgement, score: Score, *, floor: FloorRate | None, own_rate: float | None = None, gates: bool
) -> Judgement:
    """Return the verdict on an image's text and strokes together.

    More broken characters than whole ones explain (`stroke_fault`) are FAIL whatever the text is. `gates` is False
    where the case has `quality = "report"`: then what is found is said and does not fail.
    """
    found = stroke_fault(score, floor=floor, own_rate=own_rate)
    if not found:
        return judgement
    return replace(with_fault(judgement, found, gates=gates), broken_strokes=score.broken if gates else 0)


def stroke_fault(score: Score, *, floor: FloorRate | None, own_rate: float | None = None) -> str:
    """Return why an image fails by its strokes, or "".

    `floor` is None where nothing was measured, `own_rate` is the rate on faultless images of the image's own case: the
    higher of the two counts.
    """
    if floor is None or floor.glyphs != score.glyphs or score.broken < FEWEST:
        return ""
    rate = max(floor.rate, own_rate or 0.0)
    p = improbable(score.broken, score.judged, rate)
    if not (p < IMPROBABLE):
        return ""
    return (
        f"broken strokes: {score.broken} of {count(score.judged, 'character')} judged, where at most {rate:.2%} of "
        f"whole ones are taken for broken (p = {p:.1g}): {'; '.join(named(score))}"
    )


def improbable(broken: int, judged: int, rate: float) -> float:
    """Return the probability of at least so many broken ones among whole characters; 1 of none."""
    from scipy.stats import binom

    return float(binom.sf(broken - 1, judged, rate)) if judged else 1.0


def named(score: Score) -> Iterator[str]:
    """Yield the broken characters text by text, each with its place in the text (from 1) and in the image (pixels)."""
    texts = [(number, text) for number, text in enumerate(score.texts, start=1) if text.broken]
    for number, text in texts[:_TEXTS]:
        yield f"text {number} {one_line(text.expected, _SHOWN)!r}: {_in_text(text)}"
    more = sum(len(text.broken) for _, text in texts[_TEXTS:])
    if more:
        yield f"and {more} more in {count(len(texts) - _TEXTS, 'text')}"


def _in_text(text: TextScore) -> str:
    shown = ", ".join(map(_character, text.broken[:_NAMED]))
    more = len(text.broken) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _character(broken: BrokenCharacter) -> str:
    x, y = broken.place
    return f"{broken.char!r} at character {broken.position + 1} ({x:.0f},{y:.0f})"
