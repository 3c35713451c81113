"""Plan which worker generates what, so that the last one ends as early as possible: packing with set-up times.

The same images of several seeds are one batch. A plan for an end T fills the workers one after another, the longest
images first: those that have the variant loaded, then new ones, then others, which load it first. The best plan is that
of the earliest T at which everything fits, found by halving. Equal input gives an equal plan.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice


@dataclass(frozen=True, kw_only=True)
class Job:
    """An image to generate."""

    #: its place in the order of tests, from 0.
    number: int
    #: what has to be loaded for it: the variant.
    variant: str
    #: images of one kind take equally long: variant and size.
    kind: Hashable
    #: expected seconds as long as none of its kind was generated.
    seconds: float
    #: expected seconds of loading its variant where another one is loaded, as long as none was.
    load: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Jobs that take equally long."""

    jobs: tuple[Job, ...]
    seconds: float
    #: workers that must not do them: they died over them.
    not_on: frozenset[int]

    @property
    def variant(self) -> str:
        """What has to be loaded for them."""
        return self.jobs[0].variant


@dataclass(frozen=True, kw_only=True)
class Free:
    """When a worker is free, and what it has loaded then."""

    at: float
    #: None for a new worker, which loads any variant at the same cost.
    variant: str | None


#: the end is found to this share of what is left.
_PRECISION = 1e-4
#: shares of the shortest job by which a plan may end later for floating point.
_ROUNDING = 1e-9


#: what each worker does, in order.
Plan = dict[int, list[Job]]


def best_plan(batches: Sequence[Batch], free: Mapping[int, Free], *, switch: float) -> Plan:
    """Return the jobs of each worker, in order; none for a worker that has nothing to do.

    `switch` is how many seconds a worker takes to load another variant.
    """
    if not batches or not free:
        return {}
    ordered = sorted(batches, key=lambda batch: (-batch.seconds, batch.jobs[0].number))
    longest = {batch.variant: batch.seconds for batch in reversed(ordered)}
    ordered.sort(key=lambda batch: (-longest[batch.variant], batch.variant, -batch.seconds))
    begin = min(one.at for one in free.values())
    work = sum(batch.seconds * len(batch.jobs) for batch in ordered)
    high = max(one.at for one in free.values()) + work + switch * (len(longest) + 1)
    best = _Packing(ordered, free, switch=switch, end=high, tight=False)
    for tight in (False, True):
        low = begin
        while high - low > _PRECISION * (high - begin):
            middle = (low + high) / 2
            packing = _Packing(ordered, free, switch=switch, end=middle, tight=tight)
            if packing.fits:
                best, high = packing, middle
            else:
                low = middle
    return best.plan()


@dataclass(kw_only=True)
class _Bin:
    """A worker while it is filled."""

    number: int
    room: float
    variants: set[str | None]
    #: by variant: batches, and how many of their jobs.
    parts: dict[str, list[tuple[Batch, int]]] = field(default_factory=dict)


class _Packing:
    """What fits until an end."""

    def __init__(
        self, ordered: Sequence[Batch], free: Mapping[int, Free], *, switch: float, end: float, tight: bool
    ) -> None:
        self._tight = tight
        self._switch, self._loaded = switch, {number: one.variant for number, one in free.items()}
        self._bins = [
            _Bin(number=number, room=end - one.at, variants={one.variant})
            for number, one in sorted(free.items(), key=lambda pair: (pair[1].at, pair[0]))
        ]
        self.fits = all(self._place(batch) for batch in ordered)

    def plan(self) -> Plan:
        """Return what each worker does: first of the variant that it has loaded, then in the order of tests.

        Of each variant the longest come first.
        """
        left = {id(batch): iter(batch.jobs) for one in self._bins for parts in one.parts.values() for batch, _ in parts}
        found: Plan = {}
        for one in self._bins:
            own = self._loaded[one.number]
            jobs = {
                variant: [job for batch, number in parts for job in islice(left[id(batch)], number)]
                for variant, parts in one.parts.items()
            }
            ordered = sorted(jobs, key=lambda variant: (variant != own, min(job.number for job in jobs[variant])))
            found[one.number] = [job for variant in ordered for job in jobs[variant]]
        return found

    def _place(self, batch: Batch) -> bool:
        """Put a batch's jobs where they fit. Returns False where some do not."""
        left = len(batch.jobs)
        open_ = [one for one in self._bins if batch.variant in one.variants and one.number not in batch.not_on]
        for one in open_:
            left -= self._fill(one, batch, left, cost=0.0)
        while left:
            closed = [one for one in self._bins if batch.variant not in one.variants and one.number not in batch.not_on]
            if not closed:
                return False
            one = self._next(closed, left * batch.seconds)
            filled = self._fill(one, batch, left, cost=self._cost(one))
            if not filled:
                return False
            left -= filled
        return True

    def _next(self, closed: Sequence[_Bin], seconds: float) -> _Bin:
        """Return the worker that loads a variant next: with the most room, or `tight`: just enough for the rest."""
        enough = [one for one in closed if one.room - self._cost(one) >= seconds] if self._tight else []
        if enough:
            return min(enough, key=lambda one: one.room - self._cost(one))
        return max(closed, key=lambda one: one.room - self._cost(one))

    def _cost(self, one: _Bin) -> float:
        return 0.0 if one.variants == {None} else self._switch

    def _fill(self, one: _Bin, batch: Batch, most: int, *, cost: float) -> int:
        """Put as many of a batch's jobs on a worker as it has room for, and return their number."""
        number = min(most, int((one.room - cost) / batch.seconds + _ROUNDING))
        if number > 0:
            one.room -= cost + number * batch.seconds
            one.variants = {*one.variants, batch.variant} - {None}
            one.parts.setdefault(batch.variant, []).append((batch, number))
        return max(0, number)
