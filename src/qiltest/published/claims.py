"""The published report's claims: what each means as a hypothesis, and what a run has counted for it.

The claims are about the report's three variants and its own scenes, so other variants of a run do not count, and an
answer is one for these scenes. Each function returns what was measured, in words, and the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from qiltest.comparison.compare import MANY_CASES
from qiltest.published.evidence import EachShown, Medians, Nothing, paired
from qiltest.published.fine_detail import Finer, hair_pairs, hair_words
from qiltest.published.pairs import (
    BASE,
    EIGHT,
    FOUR,
    HAIR,
    VARIANTS,
    Judged,
    cases_of,
    most_seeds,
    nothing,
    of_table,
    part_words,
    rates,
)
from qiltest.published.text_claims import bad_cases, basic, dense, many_signs, resolution, variability
from qiltest.runs.aggregate import median_speed_up, shared_cpu, speed_ups
from qiltest.runs.records import CaseResult, Run
from qiltest.text.format import count, percent, times

#: The report's "12-25x faster inference", compared after rounding to whole numbers.
SPEED_RANGE = (12, 25)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the report."""

    title: str
    said: str
    #: hypothesis and test, in words.
    tested: str
    judge: Callable[[Run], Judged]


def _speed(run: Run) -> Judged:
    """Judge Key finding 1 by the median of the denoise times' ratio to the base's, of each LoRA.

    Time depends on size and prompt, hardly on the seed: so a case counts once where there are enough of them.
    """
    ratios, shared = speed_ups(run), shared_cpu(run)
    own = {name: [r for r in run.results if r.sample.variant == name and r.id in ratios] for name in (EIGHT, FOUR)}
    timed = {name: results for name, results in own.items() if results}
    if not timed and shared:
        words = f"not comparable: other work shared the CPU (up to {percent(max(shared.values()))})"
        return words, Nothing(why=words)
    if not timed:
        return nothing("no image was timed with both the base and another variant")
    parts, by_case = [], min(len({r.sample.case for r in results}) for results in timed.values()) >= MANY_CASES
    for name, results in timed.items():
        found = [ratios[result.id] for result in results]
        spread = f", {times(min(found))} to {times(max(found))}" if len(found) > 1 else ""
        parts.append(f"{name} {times(median(found))} base speed (median of {count(len(found), 'pair')}{spread})")
    return "; ".join(parts), Medians(
        low=SPEED_RANGE[0] - 0.5,
        high=SPEED_RANGE[1] + 0.5,
        values=tuple((name, tuple(_ratios(results, ratios, by_case=by_case))) for name, results in timed.items()),
        by_case=by_case,
        seeds=most_seeds(result.sample for results in timed.values() for result in results),
        missing=tuple(f"timed pair of base and {name}" for name in (EIGHT, FOUR) if name not in timed),
    )


def _ratios(results: Sequence[CaseResult], ratios: dict[str, float], *, by_case: bool) -> Iterator[float]:
    if not by_case:
        yield from (ratios[result.id] for result in results)
        return
    for case in dict.fromkeys(result.sample.case for result in results):
        value = median_speed_up((result for result in results if result.sample.case == case), ratios)
        if value is not None:
            yield value


def _hair(run: Run) -> Judged:
    """Judge Table 3 by one-sided sign tests over the seeds, of the base against each LoRA; both must succeed.

    A seed in which neither is finer is a tie, and one that cannot be told is left out.
    """
    images = [r for r in run.results if r.sample.case in cases_of(run, HAIR) and r.sample.variant in VARIANTS]
    pairs = [pair for pair in hair_pairs(images, BASE) if pair.found.finer is not Finer.CANNOT_TELL]
    text = ", ".join(f"{name} {percent(rate)} wrong" for name, (rate, _) in rates(of_table(run, HAIR)).items())
    change = {Finer.FIRST: 1, Finer.SECOND: -1, Finer.NEITHER: 0}
    parts = {
        name: paired(
            f"base is finer than {name}",
            ((p.sample.case, p.sample.seed, change[p.found.finer]) for p in pairs if p.sample.variant == name),
        )
        for name in (EIGHT, FOUR)
    }
    known = tuple(part for part in parts.values() if part.by_seed)
    words = [hair_words(images, BASE) or "fine detail was not measured", *map(part_words, known)]
    measured = "; ".join([*words, *([f"text: {text}"] if text else [])])
    if not known:
        return measured, Nothing(why="no two images could be compared in fine detail")
    missing = tuple(f"comparable images of base and {name}" for name, part in parts.items() if not part.by_seed)
    return measured, EachShown(parts=known, missing=missing)


CLAIMS = (
    Claim(
        title="Speed",
        said="distilled models are 12 to 25 times faster",
        tested="median speed-up of each LoRA, rounded, within 12 to 25: order-statistic bounds, one value per case "
        f"(per pair below {MANY_CASES} cases)",
        judge=_speed,
    ),
    Claim(
        title="Basic tasks",
        said="all three models perform equally well (Table 1)",
        tested="in each scene any two variants' shares of right images differ by at most 10 points: "
        "two one-sided exact tests",
        judge=basic,
    ),
    Claim(
        title="Dense text",
        said="accuracy falls from base over 8step to 4step: base > 8step ≥ 4step (Table 2)",
        tested="base has fewer edits than 8step, and 8step at most 1 per 100 characters more than 4step: "
        "two one-sided sign tests over the seeds, Holm",
        judge=dense,
    ),
    Claim(
        title="Fine detail",
        said="base renders fine hair better (Table 3)",
        tested="base is finer than 8step and than 4step: two one-sided sign tests over the seeds, Holm",
        judge=_hair,
    ),
    Claim(
        title="Many signs",
        said="all models face challenges in scenes with many signs (Table 4)",
        tested="of each variant more than 1 image in 10 has a fault beyond the reader's own: exact binomial bounds",
        judge=many_signs,
    ),
    Claim(
        title="Variability",
        said="distilled models can outperform the base in some scenes (Table 5)",
        tested="there is a scene in which a LoRA has fewer edits than the base: a sign test over the seeds for each "
        "scene and LoRA, Holm over all",
        judge=variability,
    ),
    Claim(
        title="Bad cases",
        said="NFE100 has the lowest overall bad-case ratio (section 5)",
        tested="base has fewer images with a fault than 8step and than 4step: McNemar's exact test, by seed and by "
        "case, Holm",
        judge=bad_cases,
    ),
    Claim(
        title="Resolution",
        said="the result depends on the resolution, for base and distilled models (Table 6)",
        tested="edits differ between two sizes for the base and for a LoRA: a sign test over the seeds for each, Holm",
        judge=resolution,
    ),
)
