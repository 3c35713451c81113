"""Statistics of paired images: exact tests, bootstrap interval, Holm's correction. All results are finite."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: two-sided error of tests and intervals; half of it falls on "worse".
ALPHA = 0.05
#: resamples of a bootstrap and its seed, so that the same runs give the same interval.
RESAMPLES, RNG_SEED = 9_999, 20_260


class Method(StrEnum):
    """How an interval was computed."""

    BCA = "BCa bootstrap"
    #: where BCa has no value: its bias is infinite, or all resamples are equal.
    PERCENTILE = "percentile bootstrap"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A two-sided interval of `confidence` from resampling `units` units."""

    low: float
    high: float
    confidence: float
    method: Method
    units: int


def worse_p(losses: int, wins: int) -> float:
    """Return the exact p of at least so many losses among the images that differ, doubled, at most 1.

    With more losses than wins it is the exact two-sided McNemar (sign) test. Unlike that test it never rises with one
    more loss or one win less. 1 where nothing differs.
    """
    from scipy.stats import binomtest

    if losses + wins == 0:
        return 1.0
    return min(1.0, 2 * float(binomtest(losses, losses + wins, 0.5, alternative="greater").pvalue))


def above_p(found: int, count: int, share: float) -> float:
    """Return the exact p of at least so many of `count` if each is found with probability `share`; 1 of none."""
    from scipy.stats import binomtest

    return float(binomtest(found, count, share, alternative="greater").pvalue) if count else 1.0


def two_sided_p(losses: int, wins: int) -> float:
    """Return the exact two-sided McNemar p, 1 where nothing differs."""
    return worse_p(max(losses, wins), min(losses, wins))


def flipped_p(sums: Sequence[int]) -> float:
    """Return the exact p of a total at least so high if a coin gave each sum its sign, doubled, at most 1.

    Each sum is the change, such as losses minus wins, of one cluster of pairs that are not independent of each other:
    all pairs of a cluster change their sign together (a paired permutation test, Fisher 1935, by clusters). With
    clusters of one pair it is `worse_p`; clusters that sum to 0 do not count. 1 where all do.
    """
    import numpy as np
    from scipy.signal import convolve
    from scipy.stats import binom

    sizes = Counter(abs(value) for value in sums if value)
    if set(sizes) <= {1}:
        return worse_p(sum(value > 0 for value in sums), sum(value < 0 for value in sums))
    # chances[k]: of a total of 2k - reach, where `reach` is the total if every sign is +
    chances = np.ones(1)
    for size, number in sizes.items():
        steps = np.zeros(size * number + 1)
        steps[::size] = binom.pmf(np.arange(number + 1), number, 0.5)
        chances = convolve(chances, steps)
    reach = len(chances) - 1
    return min(1.0, max(0.0, 2 * float(chances[(sum(sums) + reach) // 2 :].sum())))


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted by Holm's step-down method (1979), in the order given, each at most 1.

    The smallest is multiplied by the number of tests, the next by one less, and none becomes less than one before it.
    """
    adjusted, least = [1.0] * len(values), 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return tuple(adjusted)


def rate_interval(
    edits: Sequence[int], lengths: Sequence[int], *, confidence: float, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the bootstrap interval of sum(edits) / sum(lengths) over units, each with its edits and length.

    `edits` are differences and may be negative; lengths are above 0. None for fewer than two units.
    """
    if len(edits) < 2:
        return None
    # with equal rates resamples differ by rounding only, and BCa would take that for a spread
    equal = all(edit * lengths[0] == edits[0] * length for edit, length in zip(edits, lengths, strict=True))
    for method, name in ((Method.BCA, "BCa"), (Method.PERCENTILE, "percentile"))[int(equal) :]:
        low, high = _bootstrap(edits, lengths, name, confidence, resamples)
        if math.isfinite(low) and math.isfinite(high):
            # interpolation between equal resamples may round the lower end above the upper one
            low, high = sorted((low, high))
            return Interval(low=low, high=high, confidence=confidence, method=method, units=len(edits))
    raise ValueError(f"no interval for {list(edits)} edits of {list(lengths)} characters")


def _bootstrap(
    edits: Sequence[int], lengths: Sequence[int], method: str, confidence: float, resamples: int
) -> tuple[float, float]:
    import numpy as np
    from scipy.stats import bootstrap

    def rate(edits: np.ndarray, lengths: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(edits.sum(axis=axis) / lengths.sum(axis=axis))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # BCa on degenerate data warns and gives NaN, which the caller checks for
        warnings.simplefilter("ignore")
        found = bootstrap(
            (np.asarray(edits, float), np.asarray(lengths, float)),
            rate,
            paired=True,
            vectorized=True,
            method=method,
            confidence_level=confidence,
            n_resamples=resamples,
            batch=1_000,
            rng=np.random.default_rng(RNG_SEED),
        ).confidence_interval
    return float(found.low), float(found.high)


def unseen_share(images: int, tail: float) -> float:
    """Return the share of all images that may be wrong although none of `images` was, at one-sided error `tail`.

    The exact (Clopper-Pearson) bound for 0 of n, 1 - tail^(1/n): about 31 % for 10 images, 4 % for 100 (tail 0.025).
    """
    return 1.0 - math.pow(tail, 1.0 / images)


def share_bounds(hits: int, images: int, *, tail: float) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) lower and upper bound of a share, each wrong with at most `tail`.

    Among images whose shares differ (several scenes) they hold for the mean share: its count varies less then
    (Hoeffding 1956). (0, 1) for no image.
    """
    from scipy.stats import beta

    low = float(beta.ppf(tail, hits, images - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, images - hits)) if hits < images else 1.0
    return low, high


def difference_bounds(more: int, fewer: int, pairs: int, *, tail: float) -> tuple[float, float]:
    """Return bounds of P(more) - P(fewer) over pairs, each wrong with at most `tail`; the rest of the pairs are ties.

    Each is made of the exact bounds of the two shares, half of `tail` for each (Bonferroni), so that no assumption on
    their dependence is needed.
    """
    low_more, high_more = share_bounds(more, pairs, tail=tail / 2)
    low_fewer, high_fewer = share_bounds(fewer, pairs, tail=tail / 2)
    return low_more - high_fewer, high_more - low_fewer


def median_bounds(values: Sequence[float], *, tail: float) -> tuple[float, float] | None:
    """Return bounds of the median whatever the distribution (order statistics), each wrong with at most `tail`.

    None for fewer values than such bounds need: six for a tail of 0.025.
    """
    from scipy.stats import binom

    # as many values are left out at either end as a fair coin hardly ever undercuts
    out = int(binom.ppf(tail, len(values), 0.5)) if values else 0
    if out and binom.cdf(out, len(values), 0.5) > tail:
        out -= 1
    if not values or binom.cdf(out, len(values), 0.5) > tail:
        return None
    ordered = sorted(values)
    return ordered[out], ordered[-1 - out]
