"""What the seeds drawn say of a claim: confirmed, contradicted or not decided, and how many seeds would decide.

The replicate is the seed: a scene is drawn again with another one. Images of one seed, and images of one scene, are not
independent evidence. So a test counts each seed of one scene once, or each seed as a whole where a claim speaks over
scenes; and from `MANY_CASES` scenes on, such a claim must hold over the scenes as well as over the seeds.

Where nothing is there, "confirmed" and "contradicted" together have at most the error `ALPHA`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TypeVar

from qiltest.comparison.compare import MANY_CASES
from qiltest.comparison.sample_size import MOST_SEEDS, fewest_seeds, grown
from qiltest.comparison.statistics import ALPHA, flipped_p, holm, median_bounds

_Value = TypeVar("_Value", int, float)


class Answer(StrEnum):
    """Whether a run bears a claim out."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    NOT_DECIDED = "not decided"


class Evidence(Protocol):
    """What was counted for one claim."""

    @property
    def seeds(self) -> int:
        """Most seeds drawn of one scene."""

    def answer(self) -> Answer:
        """Return the answer of these counts."""

    def after(self, seeds: int) -> Evidence:
        """Return the counts after so many seeds, if further ones are like those drawn."""

    def stuck(self) -> str:
        """Return why no number of seeds decides."""


def seeds_needed(evidence: Evidence) -> int | None:
    """Return the fewest seeds that would decide, if further ones are like those drawn; None where no number would."""
    if not evidence.seeds:
        return None
    return fewest_seeds(evidence.seeds, lambda seeds: evidence.after(seeds).answer() is not Answer.NOT_DECIDED)


def answer_of(*, confirmed: bool, contradicted: bool) -> Answer:
    """Return the answer; a test that succeeds both ways has confirmed."""
    if confirmed:
        return Answer.CONFIRMED
    return Answer.CONTRADICTED if contradicted else Answer.NOT_DECIDED


@dataclass(frozen=True, kw_only=True)
class Nothing:
    """No image that the claim speaks of."""

    why: str
    seeds: int = 0

    def answer(self) -> Answer:
        """Return NOT_DECIDED."""
        return Answer.NOT_DECIDED

    def after(self, seeds: int) -> Nothing:
        """Return this."""
        return self

    def stuck(self) -> str:
        """Return why there is none."""
        return self.why


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Two variants compared pair by pair; a change above 0 speaks for the claim, below 0 against it."""

    name: str
    #: changes summed over all pairs of a seed.
    by_seed: tuple[int, ...]
    #: the same summed over all pairs of a case.
    by_case: tuple[int, ...]

    @property
    def toward(self) -> float:
        """The exact p of the claim: the larger of those by seed and by case."""
        return max(self.p_by_seed(1), self.p_by_case(1) or 0.0)

    @property
    def against(self) -> float:
        """The exact p of its opposite."""
        return max(self.p_by_seed(-1), self.p_by_case(-1) or 0.0)

    def p_by_seed(self, sign: int) -> float:
        """Return the exact p (doubled, as `worse_p`) over the seeds, of the claim for 1 and of its opposite for -1."""
        return flipped_p([sign * value for value in self.by_seed])

    def p_by_case(self, sign: int) -> float | None:
        """Return the same over the cases; None for too few of them, which then are the only ones meant."""
        return flipped_p([sign * value for value in self.by_case]) if len(self.by_case) >= MANY_CASES else None

    def after(self, seeds: int, drawn: int) -> Paired:
        """Return the sums after so many seeds; a case's sum grows with them, which changes none of its p."""
        return replace(self, by_seed=repeated(self.by_seed, seeds, drawn))

    def stuck(self) -> str:
        """Return why more seeds do not help, "" if they may."""
        if not sum(self.by_seed):
            return f"no difference was measured ({self.name})"
        by_case = self.p_by_case(1 if sum(self.by_seed) > 0 else -1)
        if by_case is None or by_case <= ALPHA:
            return ""
        if len(self.by_seed) == 1:
            return f"one seed tells too little of how the scenes differ to name one ({self.name})"
        return f"the scenes disagree, or too few of them differ ({self.name}); more scenes might"


def paired(name: str, changes: Iterable[tuple[str, int, int]]) -> Paired:
    """Make a comparison of (case, seed, change)."""
    seeds: Counter[int] = Counter()
    cases: Counter[str] = Counter()
    for case, seed, change in changes:
        seeds[seed] += change
        cases[case] += change
    return Paired(name=name, by_seed=tuple(seeds.values()), by_case=tuple(cases.values()))


@dataclass(frozen=True, kw_only=True)
class EachShown:
    """A claim of several parts: confirmed where each is shown, contradicted where the opposite of one is.

    Each part is a one-sided paired test (sign test; over several scenes, signs flipped by cluster), corrected by Holm.
    """

    parts: tuple[Paired, ...]
    #: what the claim speaks of and the run does not have, such as "image by 8step": then it cannot be confirmed.
    missing: tuple[str, ...] = ()
    #: True for a claim on a whole that what is missing belongs to: then it cannot be contradicted either.
    needs_all: bool = False

    @property
    def seeds(self) -> int:
        """Most seeds of a part."""
        return max((len(part.by_seed) for part in self.parts), default=0)

    def answer(self) -> Answer:
        """Return the answer."""
        shown = bool(self.parts) and all(p <= ALPHA for p in holm([part.toward for part in self.parts]))
        opposite = any(p <= ALPHA for p in holm([part.against for part in self.parts]))
        blind = self.needs_all and bool(self.missing)
        return answer_of(confirmed=shown and not self.missing, contradicted=opposite and not blind)

    def after(self, seeds: int) -> EachShown:
        """Return the evidence after so many seeds."""
        return replace(self, parts=tuple(part.after(seeds, self.seeds) for part in self.parts))

    def stuck(self) -> str:
        """Return why no number of seeds decides."""
        return lacks(self.missing) or _first(part.stuck() for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class Medians:
    """The median of each variant is within a range.

    Confirmed where the distribution-free bounds of each median are within it (all must be), contradicted where those of
    one are outside, corrected by Bonferroni. The values are one per case from `MANY_CASES` cases on, else one per pair.
    """

    low: float
    #: the first value above the range.
    high: float
    #: values by variant.
    values: tuple[tuple[str, tuple[float, ...]], ...]
    #: True where a value is a case's median, so that more seeds add none.
    by_case: bool
    seeds: int
    missing: tuple[str, ...] = ()

    def answer(self) -> Answer:
        """Return the answer."""
        found = [median_bounds(own, tail=ALPHA / 2) for _, own in self.values]
        inside = all(bounds is not None and self.low <= bounds[0] and bounds[1] < self.high for bounds in found)
        wider = [median_bounds(own, tail=ALPHA / 2 / len(self.values)) for _, own in self.values]
        outside = any(bounds is not None and (bounds[1] < self.low or bounds[0] >= self.high) for bounds in wider)
        return answer_of(confirmed=inside and not self.missing, contradicted=outside)

    def after(self, seeds: int) -> Medians:
        """Return the evidence after so many seeds."""
        if self.by_case:
            return self
        return replace(self, values=tuple((name, repeated(own, seeds, self.seeds)) for name, own in self.values))

    def stuck(self) -> str:
        """Return why no number of seeds decides."""
        apart = "too few cases, or cases on both sides of a limit" if self.by_case else beyond_limit()
        return lacks(self.missing) or apart


def repeated(values: Sequence[_Value], seeds: int, drawn: int) -> tuple[_Value, ...]:
    """Return the values that so many seeds give, each as often as among those drawn."""
    return tuple(value for value, number in Counter(values).items() for _ in range(grown(number, seeds, drawn)))


def lacks(what: Sequence[str]) -> str:
    """Return in words what the run lacks, "" for nothing."""
    return f"the run has no {' and no '.join(what)}" if what else ""


def _first(reasons: Iterable[str]) -> str:
    return next(filter(None, reasons), beyond_limit())


def beyond_limit() -> str:
    """Return that the limit of all estimates would not be enough."""
    return f"{MOST_SEEDS} would not be enough"
