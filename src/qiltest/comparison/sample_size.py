"""Estimate how many seeds would decide a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qiltest.comparison.records import Plan
from qiltest.comparison.statistics import Interval, unseen_share, worse_p

#: an extrapolation beyond this many seeds means nothing.
MOST_SEEDS = 1_000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The numbers of the images generated so far."""

    #: most seeds of one case and resolution.
    seeds: int
    pairs: int
    #: characters of all pairs.
    length: int
    difference: float
    interval: Interval | None
    broken: int
    fixed: int
    margin: float
    alpha: float
    #: number of comparisons that p-values are corrected for.
    tests: int


def plan(seen: Seen) -> Plan:
    """Estimate the seeds that would decide, if further ones differ as those generated did: the smaller of two numbers.

    By the interval: it narrows with the square root of the number of seeds, and there must be enough images for a
    verdict at all. By McNemar's test: lost and gained exact texts grow in proportion. None where neither is reached
    with `MOST_SEEDS` seeds.
    """
    found = [seeds for seeds in (_by_interval(seen), _by_mcnemar(seen)) if seeds is not None and seeds <= MOST_SEEDS]
    return Plan(generated=seen.seeds, seeds=min(found, default=None), limit=MOST_SEEDS)


def fewest_seeds(drawn: int, decides: Callable[[int], bool]) -> int | None:
    """Return a number of seeds above `drawn` that decides where one less does not; None where `MOST_SEEDS` do not.

    It is the least one but for the steps of exact tests, whose p may rise a little with one seed more.
    """
    if drawn >= MOST_SEEDS or not decides(MOST_SEEDS):
        return None
    undecided, enough = drawn, MOST_SEEDS
    while enough - undecided > 1:
        middle = (undecided + enough) // 2
        undecided, enough = (undecided, middle) if decides(middle) else (middle, enough)
    return enough


def grown(amount: int, seeds: int, drawn: int) -> int:
    """Return what `amount`, counted in `drawn` seeds, is in `seeds` of them, if further ones are like those drawn."""
    return amount * seeds // drawn


def _by_interval(seen: Seen) -> int | None:
    gap = abs(seen.margin - seen.difference)
    better = seen.difference < seen.margin
    if gap == 0 or (seen.interval is None and not better):
        return None
    reach = 0.0  # half the interval's width, on the margin's side
    if seen.interval is not None:
        reach = max(0.0, seen.interval.high - seen.difference if better else seen.difference - seen.interval.low)
    factor = (reach / gap) ** 2
    if seen.seeds * factor > MOST_SEEDS:
        return None
    enough = next(
        (seeds for seeds in range(seen.seeds + 1, MOST_SEEDS + 1) if _enough(seen, seeds, better=better)), None
    )
    return None if enough is None else max(enough, math.ceil(seen.seeds * factor))


def _enough(seen: Seen, seeds: int, *, better: bool) -> bool:
    """Return whether so many seeds are enough images for a verdict (see `compare._Judge._few` and `_doubts`)."""
    images = max(1, grown(seen.pairs, seeds, seen.seeds))
    if worse_p(images, 0) * seen.tests > seen.alpha:
        return False
    unseen = unseen_share(images, seen.alpha / 2 / seen.tests) * seen.pairs / seen.length
    return not better or seen.difference + unseen <= seen.margin


def _by_mcnemar(seen: Seen) -> int | None:
    if seen.broken <= seen.fixed:
        return None

    def decides(seeds: int) -> bool:
        broken, fixed = (grown(amount, seeds, seen.seeds) for amount in (seen.broken, seen.fixed))
        return worse_p(broken, fixed) * seen.tests <= seen.alpha

    return fewest_seeds(seen.seeds, decides)
