"""Is a release's text as good as that of the one it replaces? A paired comparison (docs/reference/gate.md).

Worse is shown by exact tests (exact text lost; one case's losses) or by an interval of the error rate above the
margin; "not worse" by an interval that stays within the margin. Otherwise nobody can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from math import isfinite

from qiltest.comparison.pairing import Pair, Pairing, pair_runs
from qiltest.comparison.records import MARGIN, CaseTally, Comparison, Comparisons, ExactText, Release
from qiltest.comparison.sample_size import Seen, plan
from qiltest.comparison.statistics import (
    ALPHA,
    RESAMPLES,
    Interval,
    holm,
    rate_interval,
    two_sided_p,
    unseen_share,
    worse_p,
)
from qiltest.gate.verdict import Verdict
from qiltest.runs.records import Run

#: from so many cases on the interval resamples cases; fewer say nothing of how cases differ, and images are
#: resampled: then the verdict is on these cases alone.
MANY_CASES = 6


def compare_runs(
    before: Run, after: Run, *, variant: str | None = None, with_variant: str | None = None, margin: float = MARGIN
) -> Comparisons:
    """Compare two runs, `before` being the release that is replaced; see `pairing.pair_runs` for the variants."""
    found = pair_runs(before, after, variant=variant, with_variant=with_variant)
    return replace(compare(found.pairings, margin=margin), unpaired=found.unpaired)


def compare(
    pairings: Sequence[Pairing], *, margin: float = MARGIN, alpha: float = ALPHA, resamples: int = RESAMPLES
) -> Comparisons:
    """Compare each pairing and correct for their number. `margin` is a change of the character error rate, 0 to 1.

    Two families of tests are each corrected by Holm at `alpha`, of which half falls on "worse": exact text of whole
    comparisons, and losses of single cases. Intervals have confidence 1 - alpha / number of pairings. Raises
    ValueError for a margin that is no share.
    """
    if not (isfinite(margin) and 0 <= margin < 1):
        raise ValueError(f"a margin of {margin} is no share")
    exact = _exact(pairings)
    tallies = _tallies(pairings)
    case_tests = sum(map(len, tallies))
    comparisons = tuple(
        _Judge(pairing, found, cases, margin, alpha, len(pairings), case_tests, resamples).comparison()
        for pairing, found, cases in zip(pairings, exact, tallies, strict=True)
    )
    return Comparisons(margin=margin, alpha=alpha, comparisons=comparisons)


class _Judge:
    """Judges one pairing."""

    def __init__(
        self,
        pairing: Pairing,
        exact: ExactText,
        cases: tuple[CaseTally, ...],
        margin: float,
        alpha: float,
        tests: int,
        case_tests: int,
        resamples: int,
    ) -> None:
        self.pairing, self.exact, self.cases = pairing, exact, cases
        self.margin, self.alpha, self.tests, self.case_tests = margin, alpha, tests, case_tests
        self.pairs = pairing.pairs
        self.length = sum(pair.length for pair in self.pairs)
        self.unit = "case" if len(cases) >= MANY_CASES else "image"
        self.interval = self._interval(resamples)

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
        )

    def _verdict(self) -> tuple[Release, tuple[str, ...]]:
        worse = tuple(self._worse())
        kinds = {obstacle.verdict for obstacle in self.pairing.obstacles}
        if worse:
            return Release.DO_NOT_SHIP, worse
        if Verdict.ERROR in kinds:
            return Release.ERROR, (self._hindered(Verdict.ERROR, "could not be scored on one side"),)
        if Verdict.MISSING in kinds:
            return Release.MISSING, (self._hindered(Verdict.MISSING, "never came on one side"),)
        if kinds:
            return Release.INCOMPARABLE, (self._hindered(Verdict.INCOMPARABLE, "measure different things"),)
        if not self.pairs:
            return Release.INCOMPARABLE, ("no case, resolution and seed is in both: nothing was compared",)
        doubts = tuple(self._doubts())
        if doubts:
            return Release.CANNOT_TELL, doubts
        return Release.SHIP, (f"not worse by more than the margin: {self._change()}", *self._same())

    def _hindered(self, kind: Verdict, what: str) -> str:
        count = sum(obstacle.verdict is kind for obstacle in self.pairing.obstacles)
        return f"{count} of {len(self.pairs) + len(self.pairing.obstacles)} images {what}; they are named below"

    def _same(self) -> Iterator[str]:
        if all(pair.same_image for pair in self.pairs):
            yield f"all {len(self.pairs)} images are the same bytes on both sides"

    def _worse(self) -> Iterator[str]:
        """Yield what shows that it is worse. Where a score gets worse yet, SHIP stays out of reach.

        A p for worse is small only where losses prevail, so their direction needs no question of its own.
        """
        exact = self.exact
        if not (exact.p_holm > self.alpha):
            yield (
                f"exact text: {exact.broken} images lost it and {exact.fixed} gained it, "
                f"p = {exact.p_holm:.2g} (McNemar, comparisons made: {self.tests})"
            )
        for case in self.cases:
            if not (case.p_holm > self.alpha):
                yield (
                    f"case {case.case}: {case.losses} images worse and {case.wins} better, "
                    f"p = {case.p_holm:.2g} (sign test, comparisons made: {self.case_tests})"
                )
        # the change itself must be above the margin too, because BCa may place an interval beside it; and an interval
        # of a few images that happen to agree is no wider than a point
        above = self.interval is not None and self._difference > self.margin and self.interval.low > self.margin
        if above and not self._few():
            yield f"the error rate rose by more than the margin: {self._change()}"

    def _doubts(self) -> Iterator[str]:
        """Yield what keeps "not worse" from being shown."""
        if self._few():
            yield f"{_images(self.pairs)} too few: had every one got worse, chance would still not be excluded"
        if self.interval is None or not (self.interval.high <= self.margin and self._difference <= self.margin):
            yield f"the change may be above the margin: {self._change()}"
        if not (self._difference + self._unseen <= self.margin):
            yield (
                f"{_images(self.pairs)} not enough to exclude what they do not show: one edit in "
                f"{unseen_share(len(self.pairs), self._tail):.0%} of images would add {_samples(self._unseen)}"
            )

    def _few(self) -> bool:
        """Say whether even a loss in every image would not be significant: five to none is p = 0.0625."""
        return worse_p(len(self.pairs), 0) * self.tests > self.alpha

    def _change(self) -> str:
        margin = f"margin {_samples(self.margin)}"
        if self.interval is None:
            return f"{_samples(self._difference, signed=True)} edits in 100 characters, no interval, {margin}"
        ends = f"{_samples(self.interval.low, signed=True)} to {_samples(self.interval.high, signed=True)}"
        return (
            f"{_samples(self._difference, signed=True)} edits in 100 characters, "
            f"{100 * self.interval.confidence:.4g} % interval {ends}, {margin}"
        )

    @property
    def _difference(self) -> float:
        return sum(pair.change for pair in self.pairs) / self.length if self.pairs else 0.0

    @property
    def _tail(self) -> float:
        return self.alpha / 2 / self.tests

    @property
    def _unseen(self) -> float:
        return unseen_share(len(self.pairs), self._tail) * len(self.pairs) / self.length

    def _interval(self, resamples: int) -> Interval | None:
        if self.unit == "case":
            edits, lengths = zip(*((case.after - case.before, case.length) for case in self.cases), strict=True)
        else:
            edits = tuple(pair.change for pair in self.pairs)
            lengths = tuple(pair.length for pair in self.pairs)
        return rate_interval(edits, lengths, confidence=1 - self.alpha / self.tests, resamples=resamples)

    def _seen(self) -> Seen:
        places: dict[tuple[str, str], int] = {}
        for pair in self.pairs:
            places[pair.case, pair.size] = places.get((pair.case, pair.size), 0) + 1
        return Seen(
            seeds=max(places.values()),
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
    tables = [[(pair.before == 0, pair.after == 0) for pair in pairing.pairs] for pairing in pairings]
    adjusted = holm([worse_p(table.count((True, False)), table.count((False, True))) for table in tables])
    return [
        ExactText(
            both=table.count((True, True)),
            broken=table.count((True, False)),
            fixed=table.count((False, True)),
            neither=table.count((False, False)),
            p=two_sided_p(table.count((True, False)), table.count((False, True))),
            p_holm=p,
        )
        for table, p in zip(tables, adjusted, strict=True)
    ]


def _tallies(pairings: Sequence[Pairing]) -> list[tuple[CaseTally, ...]]:
    grouped = [
        [(case, tuple(pairs)) for case, pairs in groupby(sorted(pairing.pairs, key=_case), key=_case)]
        for pairing in pairings
    ]
    adjusted = iter(holm([worse_p(*_losses_wins(pairs)) for cases in grouped for _, pairs in cases]))
    return [tuple(_tally(case, pairs, next(adjusted)) for case, pairs in cases) for cases in grouped]


def _case(pair: Pair) -> str:
    return pair.case


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


def _images(pairs: Sequence[Pair]) -> str:
    return "1 image is" if len(pairs) == 1 else f"{len(pairs)} images are"


def _samples(rate: float, *, signed: bool = False) -> str:
    """Return a rate as edits in 100 characters."""
    return f"{100 * rate:+.2f}" if signed else f"{100 * rate:.2f}"
