"""A run beside published benchmarks: their scores per image, variant and language. Side numbers, never a gate."""

from __future__ import annotations

from dataclasses import dataclass

from qiltest.runs.aggregate import by_variant
from qiltest.runs.records import CaseResult, Run
from qiltest.scoring.benchmarks import BenchmarkCounts, BenchmarkScore, benchmark_scores, count_image

#: shown with every table of them.
CAVEAT = (
    "By the formulas of LongText-Bench and OneIG-Bench, but on this suite's cases and read by this suite's reader; "
    "the published numbers are of their own prompts, read by Qwen2.5-VL-7B. They do not gate."
)


@dataclass(frozen=True, kw_only=True)
class VariantBenchmarks:
    """One variant's scores in one language."""

    variant: str
    score: BenchmarkScore
    #: images of the variant, of any language, that have no reading and so are in no score.
    not_read: int


def image_counts(run: Run, result: CaseResult) -> BenchmarkCounts | None:
    """Return what the benchmarks count in an image; None where it was not read, or nothing expected is counted.

    Texts that may be missing are not expected here.
    """
    if result.reading is None:
        return None
    expected = [text.text for text in run.case(result.sample.case).texts if text.required]
    return count_image(expected, [line.text for line in result.reading.lines])


def variant_benchmarks(run: Run) -> tuple[VariantBenchmarks, ...]:
    """Return the scores of each variant that has any, by language, in the order of the report's tables."""
    found = []
    for variant, results in by_variant(run):
        counts = [counted for result in results if (counted := image_counts(run, result)) is not None]
        not_read = sum(result.reading is None for result in results)
        found += [
            VariantBenchmarks(variant=variant.name, score=score, not_read=not_read)
            for score in benchmark_scores(counts)
        ]
    return tuple(found)
