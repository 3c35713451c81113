"""Decide whether a release's text is as good as that of the one it replaces (docs/reference/gate.md).

"Worse" is shown by exact tests (exact text lost; losses of one case; more broken strokes) or by a confidence interval
of the error rate above the margin, "not worse" by an interval within the margin. Otherwise the verdict is CANNOT TELL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from math import isfinite
from operator import attrgetter

from qiltest.comparison import edits
from qiltest.comparison.edits import PartTally
from qiltest.comparison.pairing import Pair, Pairing, pair_runs
from qiltest.comparison.records import MARGIN, CaseTally, Comparison, Comparisons, ExactText, Release
from qiltest.comparison.sample_size import Seen, plan
from qiltest.comparison.statistics import (
    ALPHA,
    RESAMPLES,
    Interval,
    above_p,
    holm,
    rate_interval,
    two_sided_p,
    unseen_share,
    worse_p,
)
from qiltest.comparison.strokes import StrokeTally, able, tally_of
from qiltest.gate.verdict import Verdict
from qiltest.quality.scene import ChangeKind
from qiltest.reading.strokes import DOUBTED
from qiltest.runs.records import Run
from qiltest.text.format import count

#: from this many cases on, the interval resamples cases; with fewer it resamples images, and the verdict is valid for
#: these cases only.
MANY_CASES = 6
#: share of equal releases' images whose scene may be called another; docs/measurements/scene.md has what was measured.
OTHER_SCENES = 0.05


def compare_runs(
    before: Run, after: Run, *, variant: str | None = None, with_variant: str | None = None, margin: float = MARGIN
) -> Comparisons:
    """Compare two runs; `before` is the release to be replaced. See `pairing.pair_runs` for the variants."""
    found = pair_runs(before, after, variant=variant, with_variant=with_variant)
    return replace(compare(found.pairings, margin=margin), unpaired=found.unpaired)


def compare(
    pairings: Sequence[Pairing], *, margin: float = MARGIN, alpha: float = ALPHA, resamples: int = RESAMPLES
) -> Comparisons:
    """Compare each pairing, corrected for their number. `margin` is a change of the character error rate, 0 to 1.

    Two families of tests are corrected by Holm at `alpha`, half of which falls on "worse": exact text of whole
    comparisons; and losses of single cases, with broken strokes as one more of each comparison. Intervals have
    confidence 1 - alpha / number of pairings. Raises ValueError for a margin outside [0, 1).
    """
    if not (isfinite(margin) and 0 <= margin < 1):
        raise ValueError(f"margin must be in [0, 1), got {margin}")
    exact = _exact(pairings)
    tallies, strokes = _tallies(pairings, alpha)
    case_tests = sum(map(len, tallies)) + sum(one is not None and able(one, alpha) for one in strokes)
    parts = edits.tallies([[pair.edit for pair in one.pairs if pair.edit is not None] for one in pairings])
    comparisons = tuple(
        _Judge(
            pairing=pairing,
            exact=found,
            cases=cases,
            parts=own,
            margin=margin,
            alpha=alpha,
            tests=len(pairings),
            case_tests=case_tests,
            strokes=tally,
            resamples=resamples,
        ).comparison()
        for pairing, found, cases, own, tally in zip(pairings, exact, tallies, parts, strokes, strict=True)
    )
    return Comparisons(margin=margin, alpha=alpha, comparisons=comparisons)


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Judges one pairing; `tests` and `case_tests` are the numbers of tests that p-values are corrected for."""

    pairing: Pairing
    exact: ExactText
    cases: tuple[CaseTally, ...]
    parts: tuple[PartTally, ...]
    margin: float
    alpha: float
    tests: int
    case_tests: int
    strokes: StrokeTally | None
    resamples: int

    def comparison(self) -> Comparison:
        verdict, reasons = self._verdict()
        any_pair = bool(self.pairs)
        return Comparison(
            before=self.pairing.before,
            after=self.pairing.after,
            verdict=verdict,
            reasons=reasons,
            wins=sum(case.wins for case in self.cases),
            ties=sum(case.ties for case in self.cases),
            losses=sum(case.losses for case in self.cases),
            same_images=sum(pair.same_image for pair in self.pairs),
            rate_before=sum(pair.before for pair in self.pairs) / self.length if any_pair else None,
            rate_after=sum(pair.after for pair in self.pairs) / self.length if any_pair else None,
            difference=self._difference if any_pair else None,
            interval=self.interval,
            unit=self.unit,
            unseen=self._unseen if any_pair else None,
            exact=self.exact if any_pair else None,
            cases=self.cases,
            plan=plan(self._seen()) if verdict is Release.CANNOT_TELL else None,
            obstacles=self.pairing.obstacles,
            unpaired=self.pairing.unpaired,
            candidate=self.pairing.candidate,
            size=self.pairing.size,
            parts=self.parts,
            strokes=self.strokes,
        )

    def _verdict(self) -> tuple[Release, tuple[str, ...]]:
        worse = (
            *self._collapsed(),
            *self._worse(),
            *self._broken_strokes(),
            *self._worse_parts(),
            *self._lost_scenes(),
        )
        kinds = {obstacle.verdict for obstacle in self.pairing.obstacles}
        if worse:
            return Release.DO_NOT_SHIP, worse
        if Verdict.ERROR in kinds:
            return Release.ERROR, (self._obstructed(Verdict.ERROR, "could not be scored on one side"),)
        if Verdict.MISSING in kinds:
            return Release.MISSING, (self._obstructed(Verdict.MISSING, "are missing on one side"),)
        if kinds:
            return Release.INCOMPARABLE, (self._obstructed(Verdict.INCOMPARABLE, "are not comparable"),)
        if not self.pairs:
            return Release.INCOMPARABLE, ("nothing was compared: no case, resolution and seed is in both",)
        doubts = tuple(self._doubts())
        if doubts:
            return Release.CANNOT_TELL, doubts
        return Release.SHIP, (f"no worse within the margin: {self._change()}", *self._same(), *self._other_scenes())

    def _obstructed(self, kind: Verdict, what: str) -> str:
        obstacles = self.pairing.obstacles
        number = sum(obstacle.verdict is kind for obstacle in obstacles)
        return f"{number} of {len(self.pairs) + len(obstacles)} images {what}; each is listed"

    def _same(self) -> Iterator[str]:
        if all(pair.same_image for pair in self.pairs):
            yield f"all {len(self.pairs)} images are identical on both sides"

    def _worse(self) -> Iterator[str]:
        """Yield what shows that it is worse. A p for "worse" is small only with more losses than wins."""
        exact = self.exact
        if not (exact.p_holm > self.alpha):
            yield (
                f"exact text: {exact.broken} images lost it and {exact.fixed} gained it, "
                f"p = {exact.p_holm:.2g} (McNemar, Holm-corrected over {count(self.tests, 'test')})"
            )
        for case in self.cases:
            if not (case.p_holm > self.alpha):
                yield (
                    f"case {case.case}: {case.losses} images worse and {case.wins} better, "
                    f"p = {case.p_holm:.2g} (sign test, Holm-corrected over {count(self.case_tests, 'test')})"
                )
        # the change itself must be above the margin too, because a BCa interval may not contain it; and a few images
        # that happen to agree give an interval without width
        above = self.interval is not None and self._difference > self.margin and self.interval.low > self.margin
        if above and not self._few():
            yield f"the error rate rose by more than the margin: {self._change()}"

    def _collapsed(self) -> Iterator[str]:
        """Yield edits whose image is another one than the input, and was not before."""
        found = [p for p in self.pairs if p.edit is not None and p.edit[1].collapse and not p.edit[0].collapse]
        if found:
            first = found[0]
            assert first.edit is not None
            images = count(len(self.pairs), "image")
            yield f"{len(found)} of {images} lost identity or layout: {first.id}: {first.edit[1].collapse}"

    def _worse_parts(self) -> Iterator[str]:
        """Yield what shows that a part of the edits is worse."""
        for tally in self.parts:
            if not (tally.p_holm > self.alpha):
                yield (
                    f"{tally.part}: {tally.broken} images lost it and {tally.fixed} gained it, p = {tally.p_holm:.2g} "
                    f"(McNemar, Holm-corrected over the parts of edits)"
                )

    def _broken_strokes(self) -> Iterator[str]:
        """Yield what shows that more strokes are broken: images' counts, never a single character."""
        tally = self.strokes
        if tally is not None and not (tally.p_holm > self.alpha):
            images = f"{count(tally.more, 'image')} with more and {tally.fewer} with fewer"
            yield (
                f"broken strokes: {count(tally.before, 'character')} before and {tally.after} after, of "
                f"{tally.characters} judged in both (log-odds above {DOUBTED:g}); {images}, p = {tally.p_holm:.2g} "
                f"(permutation test by images, Holm-corrected over {count(self.case_tests, 'test')})"
            )

    def _lost_scenes(self) -> Iterator[str]:
        """Yield what shows that scenes were lost: one that is gone, or more replaced ones than equal releases have."""
        gone = self._changed(ChangeKind.GONE)
        if gone:
            yield self._scenes(gone, "lost their scene")
        # other noise gives another scene, whatever the model
        replaced = [pair for pair in self._changed(ChangeKind.REPLACED) if pair.same_noise]
        p = above_p(len(replaced), len(self.pairs), OTHER_SCENES)
        if not (p > self._tail):
            yield f"{self._scenes(replaced, 'show another scene')}; p = {p:.2g} (at most {OTHER_SCENES:.0%} may)"

    def _other_scenes(self) -> Iterator[str]:
        """Yield images whose scene is another, too few to show anything."""
        replaced = self._changed(ChangeKind.REPLACED)
        if replaced:
            noise = "" if all(pair.same_noise for pair in replaced) else " (of other noise, as far as anybody knows)"
            yield f"look at these: {self._scenes(replaced, f'may show another scene{noise}')}"

    def _changed(self, kind: ChangeKind) -> list[Pair]:
        return [pair for pair in self.pairs if pair.lost is not None and pair.lost.kind is kind]

    def _scenes(self, pairs: Sequence[Pair], what: str) -> str:
        first = pairs[0]
        assert first.lost is not None
        return f"{len(pairs)} of {count(len(self.pairs), 'image')} {what}: {first.id}: {first.lost.message}"

    def _doubts(self) -> Iterator[str]:
        """Yield why "not worse" is not shown."""
        images = count(len(self.pairs), "image")
        if self._few():
            yield f"too few images ({images}): even if every one were worse, it could be chance"
        if self.interval is None or not (self.interval.high <= self.margin and self._difference <= self.margin):
            yield f"the change may be above the margin: {self._change()}"
        for tally in self.parts:
            if tally.part is edits.Part.REST and tally.broken > tally.fixed:  # which no edit distance tells
                yield f"{tally.part}: {tally.broken} images lost it and {tally.fixed} gained it: it may be chance"
        if not (self._difference + self._unseen <= self.margin):
            yield (
                f"after {images}, up to {unseen_share(len(self.pairs), self._tail):.0%} of all images could still have "
                f"one more edit (+{_per_100(self._unseen)} edits per 100 characters)"
            )

    def _few(self) -> bool:
        """Return whether even a loss in every image would not be significant: five to none is p = 0.0625."""
        return worse_p(len(self.pairs), 0) * self.tests > self.alpha

    def _change(self) -> str:
        interval = "no interval"
        if self.interval is not None:
            ends = f"{_per_100(self.interval.low, '+')} to {_per_100(self.interval.high, '+')}"
            interval = f"{100 * self.interval.confidence:.4g} % interval {ends}"
        change, margin = _per_100(self._difference, "+"), _per_100(self.margin)
        return f"{change} edits per 100 characters, {interval}, margin {margin}"

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return self.pairing.pairs

    @cached_property
    def length(self) -> int:
        return sum(pair.length for pair in self.pairs)

    @property
    def unit(self) -> str:
        return "case" if len(self.cases) >= MANY_CASES else "image"

    @property
    def _difference(self) -> float:
        return sum(pair.change for pair in self.pairs) / self.length if self.pairs else 0.0

    @property
    def _tail(self) -> float:
        return self.alpha / 2 / self.tests

    @property
    def _unseen(self) -> float:
        return unseen_share(len(self.pairs), self._tail) * len(self.pairs) / self.length

    @cached_property
    def interval(self) -> Interval | None:
        if self.unit == "case":
            edits, lengths = zip(*((case.after - case.before, case.length) for case in self.cases), strict=True)
        else:
            edits = tuple(pair.change for pair in self.pairs)
            lengths = tuple(pair.length for pair in self.pairs)
        return rate_interval(edits, lengths, confidence=1 - self.alpha / self.tests, resamples=self.resamples)

    def _seen(self) -> Seen:
        return Seen(
            seeds=max(Counter((pair.case, pair.size) for pair in self.pairs).values()),
            pairs=len(self.pairs),
            length=self.length,
            difference=self._difference,
            interval=self.interval,
            broken=self.exact.broken,
            fixed=self.exact.fixed,
            margin=self.margin,
            alpha=self.alpha,
            tests=self.tests,
        )


def _exact(pairings: Sequence[Pairing]) -> list[ExactText]:
    """Return McNemar's table of each pairing, by (exact before, exact after)."""
    tables = [Counter((pair.before == 0, pair.after == 0) for pair in pairing.pairs) for pairing in pairings]
    changes = [(table[True, False], table[False, True]) for table in tables]
    adjusted = holm([worse_p(broken, fixed) for broken, fixed in changes])
    return [
        ExactText(
            both=table[True, True],
            broken=broken,
            fixed=fixed,
            neither=table[False, False],
            p=two_sided_p(broken, fixed),
            p_holm=p,
        )
        for table, (broken, fixed), p in zip(tables, changes, adjusted, strict=True)
    ]


def _tallies(pairings: Sequence[Pairing], alpha: float) -> tuple[list[tuple[CaseTally, ...]], list[StrokeTally | None]]:
    """Return each pairing's cases and its strokes, corrected together: a release is worse in one of them or in none."""
    by_case = attrgetter("case")
    grouped = [
        [(case, tuple(pairs)) for case, pairs in groupby(sorted(pairing.pairs, key=by_case), key=by_case)]
        for pairing in pairings
    ]
    strokes = [tally_of([pair.strokes for pair in pairing.pairs]) for pairing in pairings]
    tested = [tally for tally in strokes if tally is not None and able(tally, alpha)]
    values = [worse_p(*_losses_wins(pairs)) for cases in grouped for _, pairs in cases]
    adjusted = iter(holm([*values, *(tally.p for tally in tested)]))
    tallies = [tuple(_tally(case, pairs, next(adjusted)) for case, pairs in cases) for cases in grouped]
    corrected = {id(tally): replace(tally, p_holm=next(adjusted)) for tally in tested}
    return tallies, [tally and corrected.get(id(tally), tally) for tally in strokes]


def _losses_wins(pairs: Sequence[Pair]) -> tuple[int, int]:
    return sum(pair.change > 0 for pair in pairs), sum(pair.change < 0 for pair in pairs)


def _tally(case: str, pairs: Sequence[Pair], p_holm: float) -> CaseTally:
    losses, wins = _losses_wins(pairs)
    return CaseTally(
        case=case,
        wins=wins,
        ties=len(pairs) - wins - losses,
        losses=losses,
        before=sum(pair.before for pair in pairs),
        after=sum(pair.after for pair in pairs),
        length=sum(pair.length for pair in pairs),
        p=worse_p(losses, wins),
        p_holm=p_holm,
    )


def _per_100(rate: float, sign: str = "") -> str:
    """Return a rate as edits per 100 characters, with a plus sign if `sign` is "+"."""
    return f"{100 * rate:{sign}.2f}"
