"""Sentences on a paired comparison, the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from qiltest.comparison.edits import PartTally
from qiltest.comparison.records import Comparisons, ExactText, Plan, Release
from qiltest.comparison.statistics import Interval
from qiltest.comparison.strokes import StrokeTally
from qiltest.reading.strokes import DOUBTED
from qiltest.text.escape import one_line
from qiltest.text.format import count

#: digits of a hash, cases and notes that a sentence names, and characters of a note.
_DIGITS, _NAMED, _NOTES, _SHOWN = 12, 3, 2, 160
_ALONE = "that speaks of these cases, sizes and seeds alone"
_MEANINGS = {
    Release.SHIP: "no worse (within the margin of {margin} per 100 characters)",
    Release.DO_NOT_SHIP: "worse",
    Release.CANNOT_TELL: "not enough evidence yet: more seeds are needed",
    Release.INCOMPARABLE: "the two sides are not comparable",
    Release.ERROR: "an image to be compared has no score, or all are copies",
    Release.MISSING: "an image to be compared is missing",
}


def meaning(found: Comparisons) -> str:
    """Return what the verdict on all comparisons says of the replacement."""
    margin = 100 * found.margin
    return _MEANINGS[found.verdict].format(margin=f"{margin:g} {'edit' if margin == 1 else 'edits'}")


def exact_words(exact: ExactText) -> str:
    """Return McNemar's table and its test in words."""
    return (
        f"exact text: {exact.both} in both, {exact.broken} lost, {exact.fixed} gained, {exact.neither} in "
        f"neither; McNemar p = {exact.p:.2g}, for worse and corrected {exact.p_holm:.2g}"
    )


def parts_words(parts: Iterable[PartTally]) -> Iterator[str]:
    """Yield a sentence for each part of edits that was compared."""
    for tally in parts:
        yield (
            f"{tally.part}: right in both {tally.both}, lost {tally.broken}, gained {tally.fixed}, in neither "
            f"{tally.neither}; for worse and corrected p = {tally.p_holm:.2g}"
        )


def stroke_words(tally: StrokeTally | None) -> str:
    """Return how many characters have broken strokes on either side, and the test, in words."""
    if tally is None:
        return "broken strokes: not compared, because no character was judged on both sides by one glyph network"
    same = tally.images - tally.more - tally.fewer
    rest = f"; {count(tally.not_compared, 'pair')} without any" if tally.not_compared else ""
    judged = f"{count(tally.characters, 'character')} judged on both sides (log-odds above {DOUBTED:g})"
    return (
        f"broken strokes: {tally.before} before and {tally.after} after, of {judged}; more in "
        f"{count(tally.more, 'image')}, fewer in {tally.fewer}, as many in {same}{rest}; "
        f"for worse p = {tally.p:.2g}, corrected {tally.p_holm:.2g}"
    )


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate as a verdict names it."""

    #: file name, with the strength where that is not 1.
    label: str
    #: None where inspection refused the file by its header alone.
    sha256: str | None
    #: what inspection noted.
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class About:
    """What a verdict on candidates speaks of."""

    like: str
    model: str
    #: by variant.
    tried: Mapping[str, Tried]
    #: ids of the cases that were generated, and how many the suite has.
    cases: tuple[str, ...]
    of: int
    #: `WIDTHxHEIGHT`.
    sizes: tuple[str, ...]
    seeds: tuple[int, ...]
    #: of each side.
    images: int


def verdict_words(found: Comparisons, about: About | None) -> str:
    """Return the meaning of a verdict and what it speaks of: file, hash, cases, seeds, margin, and inspection's notes.

    Of several candidates the best one is named. `about` is None for a comparison of stored runs.
    """
    if about is None or not found.ranking:
        return meaning(found)
    tried = about.tried[found.ranking[0][0]]
    digest = "" if tried.sha256 is None else f" (SHA-256 {tried.sha256[:_DIGITS]})"
    best = f", the best of {len(found.ranking)} candidates" if len(found.ranking) > 1 else ""
    margin = f"margin {100 * found.margin:g} per 100 characters"
    return "; ".join(
        (
            f"{meaning(found)}: {tried.label}{digest} in place of {about.like}{best}",
            f"{scope_words(about)}, {margin}",
            *([_ALONE] if found.verdict is Release.SHIP else []),
            _noted(tried.notes),
        )
    )


def scope_words(about: About) -> str:
    """Return how much was generated: cases n of N, seeds, images, model."""
    seeds = about.seeds
    listed = f" ({seeds[0]} to {seeds[-1]})" if len(seeds) > 1 else f" ({seeds[0]})" if seeds else ""
    cases = f"{len(about.cases)} of {count(about.of, 'case')}"
    named = f" ({', '.join(about.cases)})" if len(about.cases) <= _NAMED and len(about.cases) < about.of else ""
    sizes = count(len(about.sizes), "size")
    images = count(about.images, "image")
    return f"{cases}{named}, {sizes}, {count(len(seeds), 'seed')}{listed}, {images} a side, model {about.model}"


def _noted(notes: Sequence[str]) -> str:
    if not notes:
        return "inspection noted nothing"
    more = f" and {len(notes) - _NOTES} more" if len(notes) > _NOTES else ""
    return "inspection noted: " + "; ".join(one_line(note, _SHOWN) for note in notes[:_NOTES]) + more


def interval_words(interval: Interval, unit: str) -> str:
    """Return the interval of the change, in edits per 100 characters; `unit` is what was resampled."""
    return (
        f"change of the error rate: {100 * interval.confidence:.4g} % interval {100 * interval.low:+.2f} to "
        f"{100 * interval.high:+.2f} edits per 100 characters ({interval.method} over {interval.units} "
        f"{'cases' if unit == 'case' else 'images: valid for these cases only'})"
    )


def plan_words(plan: Plan) -> str:
    """Return how many seeds should be enough to decide."""
    generated = f"with {count(plan.generated, 'seed')}"
    if plan.seeds is None:
        return f"{generated}; up to {plan.limit} seeds would not be enough if the rest look like these"
    return f"{generated}; about {count(plan.seeds, 'seed')} should be enough if the rest look like these"


def correction(found: Comparisons) -> str:
    """Return how many comparisons were made, how p was corrected for that, and the margin."""
    tried = any(comparison.candidate for comparison in found.comparisons)
    noun = "comparison" if tried and len(found.comparisons) > 1 else "variant"
    strokes = f" (broken strokes as {found.stroke_tests} more)" if found.stroke_tests else ""
    return (
        f"Holm-corrected over {count(len(found.comparisons), noun)} and {count(found.case_tests, 'case')}{strokes}; "
        f"margin {100 * found.margin:.2f} edits per 100 characters, significance level {100 * found.alpha:g} %"
    )
