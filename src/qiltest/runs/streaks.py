"""Since when an image does not pass: runs in a row, the last good run, and what changed between that and the first bad.

Runs of the suite with the same model count, whatever their reader: that it is another one is what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from qiltest.recipe import recipe_changes
from qiltest.runs.history import HistoryEntry, HistorySample, before, past_of
from qiltest.runs.records import Purpose, Run

#: runs that flips are counted in, and how many flips make an image unsteady: a regression and its fix are two.
WINDOW, FLAKY = 10, 3
#: runs in a row after which an image fails steadily, whatever it did before.
STEADY = 5
#: said of two runs one of which has no image of the sample.
NO_RECIPE = "no image was made, so its recipe is not known"


class Standing(StrEnum):
    """How an image stands to the runs before; in the order of attention."""

    #: it does not pass, and did in the run before that judged it, or there is none.
    NEW = "new"
    #: it does not pass, and did not in the run before.
    RECURRING = "recurring"
    #: it passes, and did not in the run before.
    FIXED = "fixed"
    #: it passes, as in the run before, but changes to and fro.
    FLAKY = "flaky"


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A recorded run."""

    run: str
    #: ISO 8601.
    started: str


@dataclass(frozen=True, kw_only=True)
class Streak:
    """The runs in a row in which an image did not pass."""

    sample: str
    standing: Standing
    #: in a row: up to this run, or for FIXED up to the run before.
    runs: int
    #: None where the record has no run in which it did not pass (FLAKY), or none in which it passed.
    first_bad: Moment | None
    last_good: Moment | None
    #: what changed between the last good and the first bad run; for FIXED between the last bad run and this one.
    changed: tuple[str, ...]
    #: changes between passing and not passing in the last `seen` runs, with the same recipe, reader and golden.
    flips: int
    seen: int

    @property
    def flaky(self) -> bool:
        """True where the image changes to and fro though nothing else does; not once it fails steadily."""
        return self.flips >= FLAKY and self.runs < STEADY


def streaks(run: Run) -> tuple[Streak, ...]:
    """Return the streaks of a run's images, what needs attention first.

    There are none for a run that is not of the suite, and where no earlier run is recorded: then nobody knows.
    """
    if run.purpose is not Purpose.SUITE or run.rescored_from:
        return ()
    earlier = before(run)
    return streaks_of((*earlier, past_of(run))) if earlier else ()


def streaks_of(entries: Sequence[HistoryEntry]) -> tuple[Streak, ...]:
    """Return the streaks of the last of some runs, which are in order."""
    order = list(Standing)
    if not entries:
        return ()
    found = (_streak(sample, entries) for sample in entries[-1].samples)
    return tuple(
        sorted((one for one in found if one is not None), key=lambda one: (order.index(one.standing), one.sample))
    )


#: a run and its result of one sample.
_Seen = tuple[HistoryEntry, HistorySample]


def _streak(sample: str, entries: Sequence[HistoryEntry]) -> Streak | None:
    seen = [(e, e.samples[sample]) for e in entries if sample in e.samples and _judged(e.samples[sample])]
    if not seen or seen[-1][0] is not entries[-1]:
        return None
    fails = seen[-1][1].fails
    past = seen if fails else seen[:-1]
    bad = list(_last_while_failing(past))
    good = past[: len(past) - len(bad)][-1:]
    flips = _flips(seen[-WINDOW:])
    standing = _standing(fails=fails, bad=len(bad), flips=flips)
    if standing is None:
        return None
    ends = [*good, *bad[:1]] if fails else [*bad[-1:], seen[-1]]
    return Streak(
        sample=sample,
        standing=standing,
        runs=len(bad),
        first_bad=_moment(bad[0]) if bad else None,
        last_good=_moment(good[0]) if good else None,
        changed=tuple(_changed(sample, *ends)) if len(ends) > 1 else (),
        flips=flips,
        seen=len(seen[-WINDOW:]),
    )


def _judged(sample: HistorySample) -> bool:
    return sample.fails or sample.passes or sample.accepted


def _standing(*, fails: bool, bad: int, flips: int) -> Standing | None:
    if fails:
        return Standing.NEW if bad == 1 else Standing.RECURRING
    if bad:
        return Standing.FIXED
    return Standing.FLAKY if flips >= FLAKY else None


def _last_while_failing(seen: Iterable[_Seen]) -> Iterator[_Seen]:
    row: list[_Seen] = []
    for one in seen:
        row = [*row, one] if one[1].fails else []
    yield from row


def _flips(seen: Sequence[_Seen]) -> int:
    return sum(then[1].fails != now[1].fails and _made_alike(then) == _made_alike(now) for then, now in pairwise(seen))


def _made_alike(seen: _Seen) -> tuple[str, str, str]:
    entry, sample = seen
    return entry.reader, sample.recipe, sample.golden


def _moment(seen: _Seen) -> Moment:
    return Moment(run=seen[0].run, started=seen[0].started)


def _changed(sample: str, then: _Seen, now: _Seen) -> Iterator[str]:
    """Yield what changed between two runs of a sample, field by field."""
    old, new = then[1], now[1]
    if not (old.recipe and new.recipe):
        # one side has an error for an image: what its recipe would have been is not what changed
        yield NO_RECIPE
        yield from recipe_changes(then[0].facts, now[0].facts)
        return
    facts = [*recipe_changes(then[0].facts_of(sample), now[0].facts_of(sample))]
    yield from facts
    if old.golden and new.golden and old.golden != new.golden:
        yield f"golden {old.golden} -> {new.golden}"
    if facts:
        return
    if old.recipe != new.recipe:
        yield "the recipe, in what the history does not keep (prompt, size)"
    elif old.image and old.image == new.image:
        yield "nothing that is recorded; same image, byte for byte: look at the reader, the scoring and the case"
    elif new.image:
        yield "nothing that is recorded: same recipe, different image"
