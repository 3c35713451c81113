"""The images of a run that the published report's claims are about, and their pairs by case, size and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from qiltest.published.evidence import Evidence, Nothing, Paired
from qiltest.published.marks import right
from qiltest.published.scenes import Counts
from qiltest.recipe import Size
from qiltest.runs.aggregate import variant_rate
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.records import Score
from qiltest.suite.selection import Sample
from qiltest.text.format import count

BASE, EIGHT, FOUR = VARIANTS = ("base", "8step", "4step")
BASIC, DENSE, HAIR, SIGNS, RESOLUTION = 1, 2, 3, 4, 6
#: cases of Table 1, and of all tables.
BASIC_CASES, ALL_CASES = 5, 10

#: What was measured, in words, and the evidence.
Judged = tuple[str, Evidence]


@dataclass(frozen=True, kw_only=True)
class Twins:
    """Two images of one case, size and seed by two variants."""

    sample: Sample
    first: CaseResult
    second: CaseResult

    @property
    def edits(self) -> tuple[int, int]:
        """Strict edits of either."""
        return score_of(self.first).distance, score_of(self.second).distance

    @property
    def wrong(self) -> tuple[bool, bool]:
        """Whether either has a fault beyond the reader's noise floor."""
        return not right(self.first), not right(self.second)


def cases_of(run: Run, table: int) -> set[str]:
    """Return the ids of a table's cases."""
    return {case.id for case in run.cases if case.report_table == table}


def of_table(run: Run, table: int) -> list[CaseResult]:
    """Return the scored images of a table."""
    cases = cases_of(run, table)
    return [result for result in scored(run) if result.sample.case in cases]


def scored(run: Run) -> list[CaseResult]:
    """Return the scored images of the report's variants, base first."""
    cases = {case.id for case in run.cases if case.report_table is not None}
    return [
        r
        for name in VARIANTS
        for r in run.results
        if r.sample.variant == name and r.score is not None and r.sample.case in cases
    ]


def score_of(result: CaseResult) -> Score:
    """Return a result's score. Raises ValueError where it has none."""
    if result.score is None:
        raise ValueError(f"{result.id} has no score")
    return result.score


def rates(results: Sequence[CaseResult]) -> dict[str, tuple[float, int]]:
    """Return edits per character and number of images, by variant."""
    out = {}
    for name in VARIANTS:
        rate = variant_rate(result for result in results if result.sample.variant == name)
        if rate is not None:
            out[name] = (rate.value, rate.count)
    return out


def twins(results: Sequence[CaseResult], first: str, second: str) -> list[Twins]:
    """Return the images of one variant with those of another of the same case, size and seed."""
    known = {result.sample.but_for_variant: result for result in results if result.sample.variant == second}
    own = {result.sample: result for result in results if result.sample.variant == first}
    pairs = ((one, known.get(one.sample.but_for_variant)) for one in own.values())
    return [Twins(sample=one.sample, first=one, second=other) for one, other in pairs if other is not None]


def by_scene(pairs: Iterable[Twins]) -> dict[str, list[Twins]]:
    """Group by case and size: a case at another size is another scene."""
    scenes: dict[str, list[Twins]] = {}
    for pair in pairs:
        scenes.setdefault(scene_name(pair.sample.case, pair.sample.size), []).append(pair)
    return scenes


def scene_name(case: str, size: Size) -> str:
    """Return a scene's name."""
    return f"{case}@{size}"


def counts(name: str, changes: Iterable[int]) -> Counts:
    """Count the changes above and below 0."""
    found = list(changes)
    return Counts(name=name, more=sum(c > 0 for c in found), fewer=sum(c < 0 for c in found), of=len(found))


def sign(value: float) -> int:
    """Return 1, 0 or -1."""
    return (value > 0) - (value < 0)


def most_seeds(samples: Iterable[Sample]) -> int:
    """Return the most seeds of one case, size and variant."""
    seen = Counter((sample.case, sample.size, sample.variant, sample.round) for sample in samples)
    return max(seen.values(), default=0)


def without(results: Sequence[CaseResult]) -> tuple[str, ...]:
    """Return the report's variants that drew none of the images."""
    found = {result.sample.variant for result in results}
    return tuple(f"image by {name}" for name in VARIANTS if name not in found)


def lacking(results: Sequence[CaseResult], wanted: int) -> tuple[str, ...]:
    """Return what keeps a claim from being confirmed: a variant, or cases that not all variants drew with one seed."""
    pairs = [{t.sample.case for t in twins(results, a, b)} for a, b in combinations(VARIANTS, 2)]
    fewer = wanted - len(set.intersection(*pairs))
    few = f"images by all three variants of {fewer} of the report's {wanted} cases for it"
    return without(results) or ((few,) if fewer > 0 else ())


def part_words(part: Paired) -> str:
    """Return how a comparison came out, with its p: of the claim, or of the opposite where that leads."""
    ahead, behind = sum(value > 0 for value in part.by_seed), sum(value < 0 for value in part.by_seed)
    sign = 1 if sum(part.by_seed) >= 0 else -1
    by_seed, by_case = part.p_by_seed(sign), part.p_by_case(sign)
    p = f"{'p' if sign > 0 else 'p of the opposite'} = {by_seed:.2g}"
    p += "" if by_case is None else f" by seed, {by_case:.2g} by case"
    return f"{part.name}: so in {ahead} of {count(len(part.by_seed), 'seed')}, the opposite in {behind} ({p})"


def nothing(words: str) -> Judged:
    """Return what is said where there is no image."""
    return words, Nothing(why=words)
