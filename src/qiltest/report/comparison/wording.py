"""Sentences on a paired comparison, the same on the terminal and on the page."""

from __future__ import annotations

from qiltest.comparison.records import Comparisons, ExactText, Plan, Release
from qiltest.comparison.statistics import Interval
from qiltest.text.format import count


def meaning(verdict: Release) -> str:
    """Say what a verdict says of what replaces."""
    return {
        Release.SHIP: "not worse by more than the margin",
        Release.DO_NOT_SHIP: "worse",
        Release.CANNOT_TELL: "neither worse nor not worse is shown",
        Release.INCOMPARABLE: "what was to be compared measures different things",
        Release.ERROR: "an image that was to be compared has no score",
        Release.MISSING: "an image that was to be compared never came",
    }[verdict]


def exact_words(exact: ExactText) -> str:
    """Say McNemar's table and its test."""
    return (
        f"exact text: {exact.both} in both, {exact.broken} lost, {exact.fixed} gained, {exact.neither} in "
        f"neither; McNemar p = {exact.p:.2g}, for worse and corrected {exact.p_holm:.2g}"
    )


def interval_words(interval: Interval, unit: str) -> str:
    """Say the interval of the change, in edits in 100 characters; `unit` is what was resampled."""
    return (
        f"change of the error rate: {100 * interval.confidence:.4g} % interval {100 * interval.low:+.2f} to "
        f"{100 * interval.high:+.2f} edits in 100 characters ({interval.method} over {interval.units} "
        f"{'cases' if unit == 'case' else 'images: it speaks of these cases alone'})"
    )


def plan_words(plan: Plan) -> str:
    """Say how many seeds would decide."""
    generated = f"generated with {count(plan.generated, 'seed')}"
    if plan.seeds is None:
        return f"{generated}; no number of seeds up to {plan.limit} would decide, if further ones differ alike"
    return f"{generated}; about {plan.seeds} would decide, if further ones differ as these do"


def correction(found: Comparisons) -> str:
    """Say how many comparisons were made, how they were corrected for each other, and the margin."""
    return (
        f"comparisons made: {len(found.comparisons)} of variants, {found.case_tests} of cases; p corrected by Holm in "
        f"each of the two, margin {100 * found.margin:.2f} edits in 100 characters, error {found.alpha:.0%}"
    )
