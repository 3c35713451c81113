"""Evidence counted scene by scene, with exact bounds of shares: equality, a share of faults, existence, two sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from qiltest.comparison.sample_size import grown
from qiltest.comparison.statistics import ALPHA, difference_bounds, holm, share_bounds, two_sided_p, worse_p
from qiltest.published.evidence import Answer, answer_of, beyond_limit, lacks

#: The largest difference that counts as none, and the least share of images with a fault that counts as "challenges":
#: one image in ten.
SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Pairs of one scene: those with more of something on one side, with less, and all."""

    name: str
    more: int
    fewer: int
    of: int

    def after(self, seeds: int, drawn: int) -> Counts:
        """Return the counts after so many seeds."""
        more, fewer, of = (grown(amount, seeds, drawn) for amount in (self.more, self.fewer, self.of))
        return replace(self, more=more, fewer=fewer, of=of)

    def bounds(self, tail: float) -> tuple[float, float]:
        """Return exact bounds of the difference of the shares."""
        return difference_bounds(self.more, self.fewer, self.of, tail=tail)

    def equal(self, tail: float) -> bool:
        """Return whether the difference is shown to be within `SHARE` on both sides (two one-sided tests)."""
        low, high = self.bounds(tail)
        return low >= -SHARE and high <= SHARE


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """Counts by scene and variant."""

    items: tuple[Counts, ...]
    missing: tuple[str, ...] = ()

    @property
    def seeds(self) -> int:
        """Most seeds of a scene."""
        return max((item.of for item in self.items), default=0)

    def _grown(self, seeds: int) -> tuple[Counts, ...]:
        return tuple(item.after(seeds, self.seeds) for item in self.items)

    def stuck(self) -> str:
        """Return why no number of seeds decides."""
        return lacks(self.missing) or beyond_limit()


class AllEqual(Scenes):
    """Equivalence: in each scene the shares of two variants differ by at most `SHARE`.

    Confirmed by two one-sided exact tests per scene and pair; all must succeed, so none needs a correction
    (intersection-union, Berger 1982). Contradicted where one difference is shown to be larger, corrected by Bonferroni.
    """

    def answer(self) -> Answer:
        """Return the answer."""
        equal = bool(self.items) and all(item.equal(ALPHA) for item in self.items)
        bounds = [item.bounds(ALPHA / 2 / len(self.items)) for item in self.items]
        apart = any(low > SHARE or high < -SHARE for low, high in bounds)
        return answer_of(confirmed=equal and not self.missing, contradicted=apart)

    def after(self, seeds: int) -> AllEqual:
        """Return the evidence after so many seeds."""
        return replace(self, items=self._grown(seeds))


class AllAbove(Scenes):
    """More than `SHARE` of the images have a fault (`Counts.more` of `Counts.of`), of each variant.

    Confirmed where the exact lower bound of each variant is above `SHARE` (all must be, so none needs a correction),
    contradicted where the upper bound of one is below, corrected by Bonferroni.
    """

    def answer(self) -> Answer:
        """Return the answer."""
        above = bool(self.items) and all(self._bounds(item, ALPHA / 2)[0] > SHARE for item in self.items)
        below = any(self._bounds(item, ALPHA / 2 / len(self.items))[1] < SHARE for item in self.items)
        return answer_of(confirmed=above and not self.missing, contradicted=below)

    @staticmethod
    def _bounds(item: Counts, tail: float) -> tuple[float, float]:
        return share_bounds(item.more, item.of, tail=tail)

    def after(self, seeds: int) -> AllAbove:
        """Return the evidence after so many seeds."""
        return replace(self, items=self._grown(seeds))


class AnyBetter(Scenes):
    """Existence: in at least one scene the first variant is better in more seeds (`more`) than it is worse.

    One confirmed scene is enough: an exact sign test per scene and variant, corrected by Holm for all that were looked
    at. Contradicted where in each of them it is shown to be better in at most `SHARE` more of the seeds than worse.
    """

    def best(self) -> tuple[Counts, float]:
        """Return the scene that speaks most for the claim, and its p after Holm's correction."""
        values = holm([worse_p(item.more, item.fewer) for item in self.items])
        return min(zip(self.items, values, strict=True), key=lambda pair: (pair[1], pair[0].fewer - pair[0].more))

    def answer(self) -> Answer:
        """Return the answer."""
        shown = bool(self.items) and self.best()[1] <= ALPHA
        never = bool(self.items) and all(item.bounds(ALPHA / 2)[1] <= SHARE for item in self.items)
        return answer_of(confirmed=shown, contradicted=never and not self.missing)

    def after(self, seeds: int) -> AnyBetter:
        """Return the evidence after so many seeds."""
        return replace(self, items=self._grown(seeds))


@dataclass(frozen=True, kw_only=True)
class BothDiffer:
    """Two sizes of a scene differ, for the base and for one of the others; `Counts` compare one size with the other.

    Confirmed where an exact two-sided sign test, corrected by Holm over all, succeeds for the base and for one other.
    Contradicted where all of the base's, or all of the others', are shown to be equal within `SHARE`.
    """

    base: Scenes
    others: Scenes

    @property
    def seeds(self) -> int:
        """Most seeds of a scene."""
        return max(self.base.seeds, self.others.seeds)

    @property
    def p_values(self) -> tuple[float, ...]:
        """The p after Holm's correction, of the base's scenes and then of the others'."""
        return holm([two_sided_p(item.more, item.fewer) for item in (*self.base.items, *self.others.items)])

    def answer(self) -> Answer:
        """Return the answer."""
        values, split = self.p_values, len(self.base.items)
        differ = [min(group, default=1.0) <= ALPHA for group in (values[:split], values[split:])]
        # either would contradict: half of the error for each
        equal = [
            bool(side.items) and not side.missing and all(item.equal(ALPHA / 2) for item in side.items)
            for side in (self.base, self.others)
        ]
        return answer_of(confirmed=all(differ), contradicted=any(equal))

    def after(self, seeds: int) -> BothDiffer:
        """Return the evidence after so many seeds."""
        base, others = (
            replace(side, items=tuple(item.after(seeds, self.seeds) for item in side.items))
            for side in (self.base, self.others)
        )
        return BothDiffer(base=base, others=others)

    def stuck(self) -> str:
        """Return why no number of seeds decides."""
        return lacks((*self.base.missing, *self.others.missing)) or beyond_limit()
