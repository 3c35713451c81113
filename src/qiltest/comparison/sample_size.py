"""How many seeds would decide, where the data do not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from qiltest.comparison.records import Plan
from qiltest.comparison.statistics import Interval, unseen_share, worse_p

#: beyond so many seeds nobody generates, and an extrapolation means nothing.
MOST_SEEDS = 1_000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the images generated so far say."""

    #: seeds a case and resolution was generated with, at the most.
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
    #: comparisons that are corrected for.
    tests: int


def plan(seen: Seen) -> Plan:
    """Estimate the seeds that would decide, as if further ones differed as those generated did.

    The smallest of two numbers. By the interval: its end on the margin's side is taken to come nearer to the
    difference with the square root of the number of seeds, and the images must be enough for a verdict at all. By
    McNemar's test: the counts of lost and gained exact texts are taken to grow in proportion. None where neither is
    reached with `MOST_SEEDS` seeds.
    """
    found = [seeds for seeds in (_by_interval(seen), _by_mcnemar(seen)) if seeds is not None and seeds <= MOST_SEEDS]
    return Plan(generated=seen.seeds, seeds=min(found, default=None), limit=MOST_SEEDS)


def _by_interval(seen: Seen) -> int | None:
    gap = abs(seen.margin - seen.difference)
    better = seen.difference < seen.margin
    if gap == 0 or (seen.interval is None and not better):
        return None
    factor = (_reach(seen.interval, seen.difference, up=better) / gap) ** 2
    if seen.seeds * factor > MOST_SEEDS:
        return None
    enough = next((seeds for seeds in _more(seen) if _enough(seen, seeds, better=better)), None)
    return None if enough is None else max(enough, math.ceil(seen.seeds * factor))


def _reach(interval: Interval | None, difference: float, *, up: bool) -> float:
    """Return how far the interval reaches towards the margin; 0 for one image, of which nothing is known."""
    if interval is None:
        return 0.0
    return max(0.0, interval.high - difference if up else difference - interval.low)


def _enough(seen: Seen, seeds: int, *, better: bool) -> bool:
    """Say whether so many seeds are enough images for a verdict (see `paired._Judge._few` and `_doubts`)."""
    images = max(1, seen.pairs * seeds // seen.seeds)
    if worse_p(images, 0) * seen.tests > seen.alpha:
        return False
    unseen = unseen_share(images, seen.alpha / 2 / seen.tests) * seen.pairs / seen.length
    return not better or seen.difference + unseen <= seen.margin


def _by_mcnemar(seen: Seen) -> int | None:
    if seen.broken <= seen.fixed:
        return None
    for seeds in _more(seen):
        broken, fixed = (count * seeds // seen.seeds for count in (seen.broken, seen.fixed))
        if worse_p(broken, fixed) * seen.tests <= seen.alpha:
            return seeds
    return None


def _more(seen: Seen) -> Iterator[int]:
    yield from range(seen.seeds + 1, MOST_SEEDS + 1)
