"""Which worker generates which image next: bounded window, the loaded variant first, the longest first.

It knows jobs and seconds alone: no worker, no clock, no torch and no Ray. Its methods are called under one lock.

Loading a variant costs seconds, and one long image at the end costs the seconds of all workers that wait for it. So
each choice follows a plan of all that is left (`qiltest.engine.parallel.plan`), made anew from what was measured.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import islice
from statistics import median

from qiltest.engine.parallel.plan import Batch, Free, Job, Plan, best_plan

#: seconds of a forward per image token (one of 16x16 pixels), measured on an H200: 0.308 s at 1328x1328. Only ratios
#: matter: other devices are scaled by what they measure.
FORWARD_SECONDS = 0.308 / 6889
#: seconds of decoding one image, per image token.
DECODE_SECONDS = 0.15 / 6889
#: forwards that take as long as loading another variant, until that was measured: 6 s on an H200, where a LoRA is
#: merged into Qwen-Image or taken out of it.
SWITCH_FORWARDS = 20
#: a share by which expected seconds change before all is planned anew.
SURPRISE = 0.03
#: seconds after which an idle worker's plan is made anew although nothing happened: others are late by then.
LOOK_AGAIN = 1.0


def estimated_seconds(*, nfe: int, width: int, height: int) -> float:
    """Return about how long an image takes on an H200, in seconds."""
    tokens = (width // 16) * (height // 16)
    return tokens * (nfe * FORWARD_SECONDS + DECODE_SECONDS)


def estimated_load(*, width: int, height: int) -> float:
    """Return about how long a worker takes to load another variant, in seconds, by the sizes that it generates."""
    return SWITCH_FORWARDS * (width // 16) * (height // 16) * FORWARD_SECONDS


@dataclass(kw_only=True)
class _Slot:
    """What the scheduler knows of a worker."""

    variant: str | None = None
    job: Job | None = None
    #: when its job began; it loads the variant first where that is another one.
    since: float = 0.0
    loads: bool = False


class Scheduler:
    """Gives jobs to workers, which are named by numbers."""

    def __init__(self, *, window: int) -> None:
        """`window` is how far ahead of the tests images are begun: the first so many that no test has taken."""
        self._window = window
        self._untaken: dict[int, Job] = {}
        self._wanted: set[int] = set()
        self._waiting: dict[int, Job] = {}
        self._slots: dict[int, _Slot] = {}
        #: workers that are there or may still come.
        self._expected: set[int] = set()
        self._measured: dict[Hashable, list[float]] = {}
        self._estimates: dict[Hashable, float] = {}
        self._loads: list[float] = []
        #: workers over which a job died.
        self._deaths: dict[int, set[int]] = {}
        self._plan: Plan = {}
        #: whether a worker became free since, and when it was made: an idle worker may find something to do by now.
        self._changed, self._planned_at = True, 0.0
        #: the expected seconds by kind on which the plan rests; None asks for a new plan.
        self._rests_on: dict[Hashable, float] | None = None

    def add(self, jobs: Iterable[Job]) -> None:
        """Add jobs, in any order."""
        for job in jobs:
            self._untaken[job.number] = self._waiting[job.number] = job
            self._estimates.setdefault(job.kind, job.seconds)
        self._untaken = dict(sorted(self._untaken.items()))
        self._rests_on = None

    def taken(self, number: int) -> None:
        """Say that a test has its image: the window moves on."""
        self._untaken.pop(number, None)
        self._changed = True
        self._wanted.discard(number)

    def wanted(self, number: int) -> None:
        """Say that a test waits for a job: whose plan it is in does it next, and it counts wherever the window ends."""
        self._wanted.add(number)
        if number in self._waiting and not any(job.number == number for jobs in self._plan.values() for job in jobs):
            self._rests_on = None

    def expect(self, slots: Iterable[int]) -> None:
        """Say which workers are to come. What another one died over waits for them."""
        self._expected |= set(slots)

    def give_up(self, slot: int) -> None:
        """Say that a worker does not come any more."""
        self._expected.discard(slot)
        self._rests_on = None

    def join(self, slot: int) -> None:
        """Add a worker, with nothing loaded."""
        self._expected.add(slot)
        self._slots[slot] = _Slot()
        self._rests_on = None

    def leave(self, slot: int) -> None:
        """Take a worker away. Its job, if any, is not given back: see `lost`."""
        self._slots.pop(slot, None)
        self._rests_on = None

    def next(self, slot: int, *, now: float) -> Job | None:
        """Give a worker its next job; None where there is none that it should do now. Ask again after any change."""
        mine = self._slots[slot]
        stale = self._changed or not now - self._planned_at < LOOK_AGAIN
        if (stale and not self._plan.get(slot)) or self._surprised:
            self._make_plan(now)
        planned = self._plan.get(slot)
        if not planned:
            return None
        # a test has a time limit, and the order within a variant costs nothing
        urgent = (job for job in planned if job.number in self._wanted and job.variant == planned[0].variant)
        job = next(urgent, planned[0])
        planned.remove(job)
        del self._waiting[job.number]
        mine.loads = mine.variant not in (None, job.variant)
        mine.variant, mine.job, mine.since = job.variant, job, now
        return job

    def done(self, slot: int, *, seconds: float, load: float = 0.0) -> None:
        """Say that a worker is free again: after `seconds` for its job without `load`, which it took to switch."""
        mine = self._slots[slot]
        self._changed = True
        job, mine.job = mine.job, None
        if job is None:
            return
        self._measured.setdefault(job.kind, []).append(seconds)
        if mine.loads:
            self._loads.append(load)

    def failed(self, slot: int) -> None:
        """Say that a worker is free again, without an image."""
        self._slots[slot].job = None
        self._changed = True

    def lost(self, job: Job, slot: int) -> bool:
        """Put a job back whose worker died over it. Returns False at its second death: then it is not put back."""
        died = self._deaths.setdefault(job.number, set())
        again = not died
        died.add(slot)
        if again:
            self._waiting[job.number] = job
            self._rests_on = None
        return again

    def is_busy(self, slot: int) -> bool:
        """Return whether a worker has a job in hand."""
        return self.in_hand(slot) is not None

    def in_hand(self, slot: int) -> Job | None:
        """Return the job that a worker has in hand."""
        return self._slots[slot].job if slot in self._slots else None

    def is_loading(self, slot: int) -> bool:
        """Return whether a worker had to load another variant for its job."""
        return self._slots[slot].loads

    def measured(self, job: Job) -> float | None:
        """Return the median seconds of a job's kind; None as long as none was generated."""
        known = self._measured.get(job.kind)
        return median(known) if known else None

    def expected(self, job: Job) -> float:
        """Return the expected seconds of a job: the median of its kind, else its estimate at this device's speed."""
        known = self.measured(job)
        return job.seconds * self._scale if known is None else known

    @property
    def _scale(self) -> float:
        """How much slower than estimated this device is."""
        ratios = [median(known) / self._estimates[kind] for kind, known in self._measured.items()]
        return median(ratios) if ratios else 1.0

    @property
    def _switch(self) -> float:
        if self._loads:
            return median(self._loads)
        return self._scale * max((job.load for job in self._waiting.values()), default=0.0)

    @property
    def _surprised(self) -> bool:
        """Whether the plan rests on what is no longer so."""
        if self._rests_on is None:
            return True
        kinds = {job.kind: job for job in self._waiting.values()}
        now = ((self._rests_on.get(kind), self.expected(job)) for kind, job in kinds.items())
        return any(was is None or abs(seconds - was) > SURPRISE * was for was, seconds in now)

    def _make_plan(self, now: float) -> None:
        free = {number: Free(at=self._free_at(one, now), variant=one.variant) for number, one in self._slots.items()}
        self._plan = best_plan(self._batches(), free, switch=self._switch)
        self._rests_on = {job.kind: self.expected(job) for job in self._waiting.values()}
        self._changed, self._planned_at = False, now

    def _batches(self) -> list[Batch]:
        """Return what may be begun now: equal jobs together."""
        found: dict[tuple[Hashable, frozenset[int]], list[Job]] = {}
        for number in dict.fromkeys((*islice(self._untaken, self._window), *sorted(self._wanted))):
            job = self._waiting.get(number)
            if job is not None:
                found.setdefault((job.kind, frozenset(self._deaths.get(number, ()))), []).append(job)
        batches = []
        for (_, slots), jobs in found.items():
            others = self._slots.keys() - slots
            if not others and self._expected - slots:
                continue  # nobody is there to do them yet, but for those that died over them
            not_on = slots if others else frozenset[int]()
            batches.append(Batch(jobs=tuple(jobs), seconds=self.expected(jobs[0]), not_on=not_on))
        return batches

    def _free_at(self, slot: _Slot, now: float) -> float:
        """Return when a worker is expected to be free; one that is late will take as long again as it is late."""
        if slot.job is None:
            return now
        seconds = self.expected(slot.job)
        end = slot.since + seconds + (self._switch if slot.loads else 0.0)
        return max(end, now + max(seconds / 4, now - end))
