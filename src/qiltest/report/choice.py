"""Which images a report shows, so that a run of hundreds of megabytes is still a page, made in seconds.

What is left out is said in one line; the counts of verdicts are of all images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter

from qiltest.report.extent import MOST_EXTRAS, MOST_LINES, MOST_SAID, MOST_TEXTS, shortened, work
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import severity
from qiltest.text.escape import MAX_SHOWN
from qiltest.text.format import count

#: images and variants of one report; the suite has a hundred images per seed.
MOST_IMAGES, MOST_VARIANTS = 1_000, 40
#: `work` of one report: that of 1,000 images of the suite is about 2 million.
MOST_WORK = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The results that are shown, each with its place in the run, in the run's order."""

    shown: tuple[tuple[int, CaseResult], ...]
    #: what is left out, a sentence each.
    left_out: tuple[str, ...]


def choose(run: Run, *, most: int = MOST_IMAGES) -> Choice:
    """Choose the worst results of a run, at most `most`, as many as there is room for."""
    kept: list[tuple[int, CaseResult]] = []
    variants: set[str] = set()
    room = MOST_WORK * most // MOST_IMAGES
    for place, result in sorted(enumerate(run.results), key=lambda item: severity(item[1])):
        if result.brief or len(kept) == most:
            continue
        variant, needed = result.sample.variant, work(result)
        if needed > room or len(variants | {variant}) > MOST_VARIANTS:
            continue
        variants.add(variant)
        kept.append((place, result))
        room -= needed
    shown = tuple(sorted(kept, key=itemgetter(0)))
    return Choice(shown=shown, left_out=(*_left_out(run, len(shown)), *_shortened([result for _, result in shown])))


def _left_out(run: Run, shown: int) -> Iterator[str]:
    left = len(run.results) - shown
    if left:
        yield (
            f"{count(left, 'image')} of {len(run.results)} left out below, the least bad: the run holds more than a "
            "report shows. `qiltest report RUN --case ID` shows one case"
        )


def _shortened(shown: Sequence[CaseResult]) -> Iterator[str]:
    """Yield a sentence where images have more than is shown of one."""
    longer = [result.id for result in shown if shortened(result) is not result]
    if longer:
        yield (
            f"Of {count(len(longer), 'image')} (the first is {longer[0]}) not everything is shown: at most "
            f"{MOST_TEXTS} texts, {MOST_EXTRAS} extra texts, {MOST_LINES} lines, {MOST_SAID} reasons and notes, and "
            f"{MAX_SHOWN:,} characters of a text"
        )
