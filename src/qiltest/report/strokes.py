"""Broken strokes of a run: per variant, how many characters are broken of those that were judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qiltest.runs.aggregate import by_variant
from qiltest.runs.records import CaseResult, Run
from qiltest.text.format import count, percent

#: shown with every table of them.
MEANING = (
    "A character counts where it was read as expected and the glyph network judged it; one that is too small, or that "
    "it does not know, is not judged. It takes a few whole characters for broken ones."
)


@dataclass(frozen=True, kw_only=True)
class VariantStrokes:
    """Broken strokes of one variant's images."""

    variant: str
    #: images with a character that was judged, and those of them with a broken one.
    images: int
    touched: int
    judged: int
    broken: int

    @property
    def share(self) -> float:
        """Share of the characters that are broken; `judged` is positive."""
        return self.broken / self.judged


def variant_strokes(run: Run) -> tuple[VariantStrokes, ...]:
    """Return the strokes of each variant of which a character was judged, in the order of the report's tables."""
    return tuple(strokes for variant, results in by_variant(run) if (strokes := _of(variant.name, results)).judged)


def stroke_lines(run: Run) -> Iterator[str]:
    """Yield the broken strokes of all variants in one line; nothing where no character was judged."""
    found = variant_strokes(run)
    if found:
        yield f"broken strokes: {'; '.join(map(_in_words, found))}"


def _in_words(strokes: VariantStrokes) -> str:
    characters = count(strokes.judged, "character")
    return f"{strokes.variant} {strokes.broken} of {characters} ({percent(strokes.share)})"


def _of(variant: str, results: Iterable[CaseResult]) -> VariantStrokes:
    scores = [result.score for result in results if result.score is not None and result.score.judged]
    return VariantStrokes(
        variant=variant,
        images=len(scores),
        touched=sum(score.broken > 0 for score in scores),
        judged=sum(score.judged for score in scores),
        broken=sum(score.broken for score in scores),
    )
