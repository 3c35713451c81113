"""Sentences on a paired comparison, the same on the terminal and on the page."""

from __future__ import annotations

from qiltest.comparison.records import Comparisons, ExactText, Plan, Release
from qiltest.comparison.statistics import Interval
from qiltest.text.format import count

_MEANINGS = {
    Release.SHIP: "no worse (within the margin of {margin} per 100 characters)",
    Release.DO_NOT_SHIP: "worse",
    Release.CANNOT_TELL: "not enough evidence yet: more seeds are needed",
    Release.INCOMPARABLE: "the two sides are not comparable",
    Release.ERROR: "an image to be compared has no score",
    Release.MISSING: "an image to be compared is missing",
}


def meaning(found: Comparisons) -> str:
    """Return what the verdict on all comparisons says of the replacement."""
    margin = 100 * found.margin
    return _MEANINGS[found.verdict].format(margin=f"{margin:g} {'edit' if margin == 1 else 'edits'}")


def exact_words(exact: ExactText) -> str:
    """Return McNemar's table and its test in words."""
    return (
        f"exact text: {exact.both} in both, {exact.broken} lost, {exact.fixed} gained, {exact.neither} in "
        f"neither; McNemar p = {exact.p:.2g}, for worse and corrected {exact.p_holm:.2g}"
    )


def interval_words(interval: Interval, unit: str) -> str:
    """Return the interval of the change, in edits per 100 characters; `unit` is what was resampled."""
    return (
        f"change of the error rate: {100 * interval.confidence:.4g} % interval {100 * interval.low:+.2f} to "
        f"{100 * interval.high:+.2f} edits per 100 characters ({interval.method} over {interval.units} "
        f"{'cases' if unit == 'case' else 'images: valid for these cases only'})"
    )


def plan_words(plan: Plan) -> str:
    """Return how many seeds should be enough to decide."""
    generated = f"with {count(plan.generated, 'seed')}"
    if plan.seeds is None:
        return f"{generated}; up to {plan.limit} seeds would not be enough if the rest look like these"
    return f"{generated}; about {count(plan.seeds, 'seed')} should be enough if the rest look like these"


def correction(found: Comparisons) -> str:
    """Return how many comparisons were made, how p was corrected for that, and the margin."""
    return (
        f"Holm-corrected over {count(len(found.comparisons), 'variant')} and {count(found.case_tests, 'case')}; "
        f"margin {100 * found.margin:.2f} edits per 100 characters, significance level {100 * found.alpha:g} %"
    )
