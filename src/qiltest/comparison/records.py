"""Records of a paired comparison. Every number is finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from qiltest.comparison.edits import PartTally
from qiltest.comparison.pairing import Obstacle
from qiltest.comparison.statistics import Interval
from qiltest.comparison.strokes import StrokeTally, able
from qiltest.runs.status import Status

#: largest rise of the character error rate that counts as "not worse": one edit per 100 characters.
MARGIN = 0.01


class Release(StrEnum):
    """The verdict on a release."""

    #: shown to be no worse within the margin.
    SHIP = "SHIP"
    #: shown to be worse.
    DO_NOT_SHIP = "DO NOT SHIP"
    #: neither is shown.
    CANNOT_TELL = "CANNOT TELL"
    #: images are not comparable, or there is no pair.
    INCOMPARABLE = "INCOMPARABLE"
    #: images have no score because something went wrong.
    ERROR = "ERROR"
    #: images are missing.
    MISSING = "MISSING"

    @property
    def status(self) -> Status:
        """The status of the same severity; CANNOT TELL is not judged yet."""
        return _STATUS.get(self) or Status(self.value)


_STATUS = {Release.SHIP: Status.PASS, Release.DO_NOT_SHIP: Status.FAIL, Release.CANNOT_TELL: Status.WAITING}


@dataclass(frozen=True, kw_only=True)
class CaseTally:
    """One case: images that have fewer edits than before (wins), as many (ties), or more (losses)."""

    case: str
    wins: int
    ties: int
    losses: int
    #: edits, summed over the case's images.
    before: int
    after: int
    #: characters asked for, summed over the case's images.
    length: int
    #: exact sign test for "worse" (`statistics.worse_p`), uncorrected and after Holm over all cases compared.
    p: float
    p_holm: float

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.wins + self.ties + self.losses

    @property
    def difference(self) -> float:
        """Change of the character error rate; above 0 is worse."""
        return (self.after - self.before) / self.length


@dataclass(frozen=True, kw_only=True)
class ExactText:
    """Images without any edit, before and after: McNemar's table and its exact test."""

    both: int
    #: exact before, not after.
    broken: int
    #: exact after, not before.
    fixed: int
    neither: int
    #: exact two-sided McNemar p.
    p: float
    #: the p for "worse" (equal to `p` where more are broken than fixed), after Holm over the variants compared.
    p_holm: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """An estimate of how many seeds would decide, if further ones differ as those generated did."""

    #: most seeds generated so far of one case and resolution.
    generated: int
    #: None where no number up to `limit` would decide.
    seeds: int | None
    limit: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One variant against another. Error rates are strict edits per character asked for."""

    before: str
    after: str
    verdict: Release
    #: sentences, most important first; never empty.
    reasons: tuple[str, ...]
    wins: int
    ties: int
    losses: int
    #: pairs whose two images are the same bytes.
    same_images: int
    #: edits over characters of all pairs; None where there is no pair, as in the fields below.
    rate_before: float | None
    rate_after: float | None
    #: change of the rate; above 0 is worse.
    difference: float | None
    #: of `difference`; None for fewer than two pairs.
    interval: Interval | None
    #: what the units of the interval are: "case" or "image".
    unit: str
    #: rise of the rate if one edit were in every image of the share that may be wrong unseen
    #: (`statistics.unseen_share`).
    unseen: float | None
    exact: ExactText | None
    cases: tuple[CaseTally, ...]
    #: only with CANNOT TELL.
    plan: Plan | None
    obstacles: tuple[Obstacle, ...]
    unpaired: tuple[str, ...]
    #: the candidate that it is about, and the only size of its images; "" where that is no matter (`Pairing`).
    candidate: str = ""
    size: str = ""
    #: of edits: wanted, kept and removed texts, and the rest of the image.
    parts: tuple[PartTally, ...] = ()
    #: None where no character was judged on both sides of a pair.
    strokes: StrokeTally | None = None

    def __post_init__(self) -> None:
        numbers = (self.rate_before, self.rate_after, self.difference, self.unseen)
        ends = () if self.interval is None else (self.interval.low, self.interval.high)
        if not all(math.isfinite(value) for value in (*numbers, *ends) if value is not None):
            raise ValueError(f"a number of the comparison {self.before} against {self.after} is not finite")

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return self.wins + self.ties + self.losses


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """All comparisons made at once and corrected for their number."""

    #: largest rise of the error rate that counts as "not worse".
    margin: float
    #: two-sided error before correction.
    alpha: float
    comparisons: tuple[Comparison, ...]
    #: variants that only one run has, each in words.
    unpaired: tuple[str, ...] = ()

    @property
    def verdict(self) -> Release:
        """The best candidate's verdict, which is its worst one; INCOMPARABLE where nothing was compared."""
        best = self.ranking[:1]
        return best[0][1] if best else Release.INCOMPARABLE

    @property
    def ranking(self) -> tuple[tuple[str, Release], ...]:
        """The candidates with their verdicts, best first: by verdict, then by the change of the error rate.

        Where there are no candidates all comparisons count as one.
        """
        own: dict[str, list[Comparison]] = {}
        for comparison in self.comparisons:
            own.setdefault(comparison.candidate, []).append(comparison)
        order = sorted(own, key=lambda name: (-_worst(own[name]).status.rank, _change(own[name]), name))
        return tuple((name, _worst(own[name])) for name in order)

    @property
    def passes(self) -> bool:
        """True where every comparison is SHIP."""
        return self.verdict is Release.SHIP

    @property
    def case_tests(self) -> int:
        """Number of single-case tests that the cases' p are corrected for, but for those of strokes."""
        return sum(len(comparison.cases) for comparison in self.comparisons)

    @property
    def stroke_tests(self) -> int:
        """Number of tests of strokes that the cases' p are corrected for besides."""
        return sum(able(one.strokes, self.alpha) for one in self.comparisons if one.strokes is not None)


def _worst(comparisons: Sequence[Comparison]) -> Release:
    return min((one.verdict for one in comparisons), key=lambda verdict: verdict.status.rank)


def _change(comparisons: Sequence[Comparison]) -> float:
    """Return the largest change of the error rate; a comparison without a pair is worse than any."""
    return max(math.inf if one.difference is None else one.difference for one in comparisons)
