"""What the page of a comparison shows: the verdict, the table per case, and the pairs of images that decided it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from qiltest.comparison.pairing import Pair, pair_up, variants_of
from qiltest.comparison.records import Comparison, Comparisons
from qiltest.comparison.trials import pairing_of
from qiltest.recipe import Size
from qiltest.report.anchors import Anchors
from qiltest.report.comparison.wording import (
    About,
    exact_words,
    interval_words,
    parts_words,
    plan_words,
    stroke_words,
    verdict_words,
)
from qiltest.report.image_builder import cell_of
from qiltest.report.image_view import ImageView, TextView
from qiltest.report.view import html_language
from qiltest.runs.aggregate import denoise_median
from qiltest.runs.records import CaseResult, Run
from qiltest.suite.cases import Case
from qiltest.suite.selection import Sample
from qiltest.suite.variants import Variant
from qiltest.text.format import count, seconds
from qiltest.text.normalise import normalise

#: most pairs shown, most changed first; each is two images.
MAX_PAIRS = 60
#: pairs shown where none differs, so that a person sees what was compared.
MAX_TIES = 6


@dataclass(frozen=True, kw_only=True)
class PairView:
    """Two images of one case, resolution and seed."""

    pair: Pair
    before: ImageView
    after: ImageView

    @property
    def kind(self) -> str:
        """WORSE, BETTER or SAME, by edits."""
        return "WORSE" if self.pair.change > 0 else "BETTER" if self.pair.change < 0 else "SAME"

    @property
    def summary(self) -> str:
        """What changed, in words."""
        pair = self.pair
        words = [f"{pair.before} → {count(pair.after, 'edit')}"]
        if pair.before == 0 < pair.after:
            words.append("lost its exact text")
        if pair.after == 0 < pair.before:
            words.append("gained its exact text")
        if pair.strokes is not None and pair.strokes.change:
            words.append(f"broken strokes or in doubt {pair.strokes.before} → {pair.strokes.after}")
        if pair.same_image:
            words.append("identical image")
        return ", ".join(words)


@dataclass(frozen=True, kw_only=True)
class PairedCase:
    """The shown pairs of one case in one comparison, most changed first."""

    anchor: str
    case: Case
    html_language: str
    pairs: tuple[PairView, ...]

    @property
    def style(self) -> str:
        """CSS class, by the worst pair."""
        kinds = {pair.kind for pair in self.pairs}
        return "fail" if "WORSE" in kinds else "pass" if "BETTER" in kinds else "waiting"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison."""

    run: Run
    variant: Variant
    images: int
    #: median time of the denoise loop, with its unit; "" where nothing was timed.
    denoise: str
    #: distinct LoRAs of its images, as (source, SHA-256).
    loras: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class ComparisonView:
    """One comparison, ready to be laid out."""

    anchor: str
    comparison: Comparison
    #: sentences on the numbers behind the verdict, and on how many seeds should be enough.
    notes: tuple[str, ...]
    sides: tuple[Side, Side]
    cases: tuple[PairedCase, ...]
    #: pairs that differ and are not shown, by name.
    left_out: tuple[str, ...]
    #: pairs with more or fewer edits or broken strokes than before.
    differing: int


@dataclass(frozen=True, kw_only=True)
class PageView:
    """The whole page: one comparison per pair of variants."""

    found: Comparisons
    before: Run
    after: Run
    headline: str
    #: sentences below the headline.
    problems: tuple[str, ...]
    comparisons: tuple[ComparisonView, ...]

    @property
    def cells(self) -> tuple[ImageView, ...]:
        """All images shown."""
        pairs = (pair for view in self.comparisons for case in view.cases for pair in case.pairs)
        return tuple(cell for pair in pairs for cell in (pair.before, pair.after))


def comparison_view(
    found: Comparisons,
    before: Run,
    after: Run,
    *,
    variant: str | None = None,
    with_variant: str | None = None,
    problems: Sequence[str] = (),
    about: About | None = None,
) -> PageView:
    """Lay out the result of `compare_runs` with the same arguments, or of `compare_trials` of `variant`.

    `about` is what the verdict on candidates speaks of. Raises ValueError for other runs or variants.
    """
    # as `pairing.pair_runs` pairs them
    names = [(name, name) for name in variants_of(before) if name in variants_of(after)]
    if variant is not None:
        names = [(variant, one.candidate or with_variant or variant) for one in found.comparisons]
    share = max(1, MAX_PAIRS // max(1, len(names)))
    anchors = Anchors()
    views = (
        _comparison(anchors, f"m{number}", comparison, before, after, pair, share)
        for number, (comparison, pair) in enumerate(zip(found.comparisons, names, strict=True))
    )
    return PageView(
        found=found,
        before=before,
        after=after,
        headline=_capital(verdict_words(found, about)),
        problems=(*problems, *found.unpaired),
        comparisons=tuple(views),
    )


def _comparison(
    anchors: Anchors, anchor: str, comparison: Comparison, before: Run, after: Run, names: tuple[str, str], most: int
) -> ComparisonView:
    if comparison.candidate:
        pairs = pairing_of(after, names[0], names[1], size=comparison.size).pairs
    else:
        pairs = pair_up(before, after, variant=names[0], with_variant=names[1]).pairs
    if len(pairs) != comparison.pairs:
        raise ValueError(f"{comparison.before} against {comparison.after} is not a comparison of these runs")
    differing = sorted((pair for pair in pairs if pair.change or _strokes(pair)), key=_decisive)
    chosen = differing[:most] or list(pairs[:MAX_TIES])
    return ComparisonView(
        anchor=anchor,
        comparison=comparison,
        notes=tuple(map(_capital, _notes(comparison))),
        sides=(_side(before, names[0]), _side(after, names[1])),
        cases=tuple(_cases(anchors, anchor, chosen, before, after, names)),
        left_out=tuple(pair.id for pair in differing[most:]),
        differing=len(differing),
    )


def _decisive(pair: Pair) -> tuple[int, bool, int, str]:
    """Sort key, worst for the release first: more edits, then exact text lost, then more broken strokes."""
    return -pair.change, pair.before > 0, -_strokes(pair), pair.id


def _strokes(pair: Pair) -> int:
    """Return how many more characters have broken strokes."""
    return 0 if pair.strokes is None else pair.strokes.change


def _notes(comparison: Comparison) -> Iterator[str]:
    if comparison.exact is not None:
        yield f"{exact_words(comparison.exact)}."
    yield from (f"{sentence}." for sentence in parts_words(comparison.parts))
    if comparison.interval is not None:
        yield f"{interval_words(comparison.interval, comparison.unit)}."
    if comparison.pairs:
        yield f"{stroke_words(comparison.strokes)}."
    if comparison.same_images:
        yield f"{comparison.same_images} of {count(comparison.pairs, 'pair')}: identical images."
    if comparison.plan is not None:
        yield f"{plan_words(comparison.plan)}."


def _cases(
    anchors: Anchors, anchor: str, pairs: Iterable[Pair], before: Run, after: Run, names: tuple[str, str]
) -> Iterator[PairedCase]:
    """Yield the cases, most changed pair first."""
    order: dict[str, list[Pair]] = {}
    for pair in pairs:
        order.setdefault(pair.case, []).append(pair)
    for case_id, own in order.items():
        case, name = after.case(case_id), anchors.of(f"{anchor}-{case_id}")
        views = (_pair(anchors, pair, before, after, names) for pair in own)
        yield PairedCase(anchor=name, case=case, html_language=html_language(case), pairs=tuple(views))


def _pair(anchors: Anchors, pair: Pair, before: Run, after: Run, names: tuple[str, str]) -> PairView:
    old, new = _result(before, pair, names[0]), _result(after, pair, names[1])
    left = cell_of(before, old, anchors.of(f"before-{old.id}"))
    right = cell_of(after, new, anchors.of(f"after-{new.id}"))
    return PairView(pair=pair, before=left, after=replace(right, texts=tuple(_against(left.texts, right.texts))))


def _result(run: Run, pair: Pair, variant: str) -> CaseResult:
    size = Size.parse(pair.size)
    found = run.result(Sample(case=pair.case, size=size, variant=variant, seed=pair.seed, round=pair.round).id)
    if found is None:
        raise ValueError(f"run {run.id} has no {pair.id} by {variant}")
    # without the golden, which would be mistaken for the image before
    return replace(found, golden=None)


def _against(before: Iterable[TextView], after: Iterable[TextView]) -> Iterator[TextView]:
    """Yield the texts after, each with the reading before where that differs, and what is new beside it."""
    for old, new in zip(before, after, strict=True):
        same = normalise(old.score.read) == normalise(new.score.read)
        beside = tuple(text for text in new.score.beside if text not in old.score.beside)
        yield replace(new, golden_read=None if same else old.score.read, new_beside=beside)


def _side(run: Run, name: str) -> Side:
    results = tuple(result for result in run.results if result.sample.variant == name)
    recipes = (result.recipe for result in results)
    loras = {(r.lora.source, r.lora.sha256) for r in recipes if r is not None and r.lora is not None}
    median = denoise_median(results)
    return Side(
        run=run,
        variant=run.variant(name),
        images=len(results),
        denoise="" if median is None else seconds(median),
        loras=tuple(sorted(loras)),
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
