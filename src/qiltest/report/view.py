"""What the report of a run shows: cases worst first, in each a row per size and seed, in each row a cell per variant.

Everything here is plain data; templates only lay it out. Texts are as written and as read: the environment of the
templates escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from qiltest.report.anchors import Anchors
from qiltest.report.benchmarks import VariantBenchmarks, variant_benchmarks
from qiltest.report.changes import Changes, changes
from qiltest.report.choice import MOST_IMAGES, Choice, choose
from qiltest.report.earlier import goldens_of
from qiltest.report.headline import counts_of, verdict_of
from qiltest.report.image_builder import cell_of
from qiltest.report.image_view import ImageView
from qiltest.report.published import Published, published_in
from qiltest.report.strokes import VariantStrokes, variant_strokes
from qiltest.report.timeline import TimelineView, timeline_of
from qiltest.runs.aggregate import by_variant, has_base, speed_ups
from qiltest.runs.images import Hashes
from qiltest.runs.records import Run
from qiltest.runs.status import Status, worst
from qiltest.runs.store import RunStore
from qiltest.runs.streaks import Streak, streaks
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant
from qiltest.text.format import count

#: problems, and notes.
MOST_NOTES = 100
#: the language that a browser picks glyphs by, from a case's language.
_HTML_LANGUAGES = {"zh": "zh-Hans", "zh-hant": "zh-Hant", "zh-hans": "zh-Hans"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One size and seed of a case, by all variants."""

    #: size, and seed where the case has several.
    title: str
    cells: tuple[ImageView, ...]

    def by_variant(self, variants: Iterable[Variant]) -> tuple[ImageView | None, ...]:
        """Return the image of each variant, in the order given; None where there is none."""
        cells = {cell.variant.name: cell for cell in self.cells}
        return tuple(cells.get(variant.name) for variant in variants)


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """One case with all its images."""

    anchor: str
    case: Case
    html_language: str
    status: Status
    rows: tuple[Row, ...]

    @property
    def cells(self) -> tuple[ImageView, ...]:
        """All images of the case."""
        return tuple(cell for row in self.rows for cell in row.cells)


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run, ready to be laid out."""

    run: Run
    status: Status
    headline: str
    #: sentences below the headline.
    notes: tuple[str, ...]
    #: what could not be checked or is unusual of the whole session; nothing is wrong.
    remarks: tuple[str, ...]
    counts: tuple[tuple[Status, int], ...]
    changes: Changes
    variants: tuple[Variant, ...]
    cases: tuple[CaseView, ...]
    #: None for a run without a case of the published report.
    published: Published | None
    #: planned and not begun: the first of them, and how many there are.
    not_generated: tuple[str, ...]
    waiting: int
    #: True where the base variant was timed, so that speeds are given relative to it.
    has_base: bool
    #: of the images that do not pass, or did not in the run before.
    since_when: tuple[Streak, ...] = ()

    @property
    def cells(self) -> tuple[ImageView, ...]:
        """The images that are shown, in the order of the cases."""
        return tuple(cell for case in self.cases for cell in case.cells)

    @property
    def worst_first(self) -> tuple[ImageView, ...]:
        """The images that are shown, worst first."""
        return tuple(sorted(self.cells, key=lambda cell: cell.badness))

    @cached_property
    def by_image(self) -> dict[str, ImageView]:
        """The images that are shown, by their id."""
        return {cell.result.id: cell for cell in self.cells}

    @cached_property
    def benchmarks(self) -> tuple[VariantBenchmarks, ...]:
        """Scores by the formulas of published benchmarks; computed on demand."""
        return variant_benchmarks(self.run)

    @cached_property
    def timeline(self) -> TimelineView | None:
        """Where the session's time went; None where the run does not tell."""
        return timeline_of(self.run)

    @cached_property
    def strokes(self) -> tuple[VariantStrokes, ...]:
        """Broken strokes by variant; computed on demand."""
        return variant_strokes(self.run)

    @property
    def own_cases(self) -> tuple[CaseView, ...]:
        """The cases that are not of the published report."""
        known = {} if self.published is None else self.published.tables
        return tuple(case for case in self.cases if case.case.id not in known)

    @property
    def tiny(self) -> bool:
        """True where the images are the embedded model's."""
        return self.run.is_tiny


def view(
    run: Run, previous: Run | None = None, *, most: int = MOST_IMAGES, golden_folder: Path | None = None
) -> RunView:
    """Lay out a run; `previous` is the run that it is compared with, else the goldens.

    At most `most` images are shown, the worst. Small copies of goldens' images are looked for in `golden_folder`, and
    in the folder `golden` beside that of the runs.
    """
    compared_with = changes(run, previous)
    choice = choose(run, most=most)
    begun = {result.sample for result in run.results}
    waiting = [sample for sample in run.planned if sample not in begun]
    whole = not any(result.brief for result in run.results)
    status, headline, notes = verdict_of(run)
    return RunView(
        run=run,
        status=status,
        headline=headline,
        notes=(*_first(notes, "more problem"), *choice.left_out),
        remarks=_first(run.notes, "more note"),
        counts=counts_of(run),
        changes=compared_with,
        variants=_variants(run, choice),
        cases=_cases(run, previous, compared_with, choice, goldens_of(run.path, golden_folder)),
        published=published_in(run) if whole else None,
        not_generated=tuple(sample.id for sample in waiting[:MOST_IMAGES]),
        waiting=len(waiting),
        has_base=has_base(run),
        since_when=streaks(run),
    )


def _first(notes: tuple[str, ...], more: str) -> tuple[str, ...]:
    """Return the first notes, and how many there are more."""
    left = len(notes) - MOST_NOTES
    return notes if left <= 0 else (*notes[:MOST_NOTES], f"and {count(left, more)}")


def html_language(case: Case) -> str:
    """Return the language that a browser is to pick the case's glyphs by."""
    return _HTML_LANGUAGES.get(case.language.lower(), "en")


def _variants(run: Run, choice: Choice) -> tuple[Variant, ...]:
    shown = {result.sample.variant for _, result in choice.shown}
    return tuple(variant for variant, _ in by_variant(run) if variant.name in shown)


def _cases(
    run: Run, previous: Run | None, compared_with: Changes, choice: Choice, golden_folders: Sequence[Path]
) -> tuple[CaseView, ...]:
    ratios = speed_ups(run)
    change = {item.sample: item for item in compared_with.items}
    cells: dict[str, list[ImageView]] = {}
    hashes = Hashes()
    find_image = cache(lambda sha256: RunStore(root=run.path.parent).find_image(sha256, hashes))
    anchors = Anchors()
    for _, result in choice.shown:
        cell = cell_of(
            run,
            result,
            anchors.of(result.id),
            previous=previous,
            speed_up=ratios.get(result.id),
            change=change.get(result.id),
            find_image=find_image,
            golden_folders=golden_folders,
        )
        cells.setdefault(result.sample.case, []).append(cell)
    views = [_case(anchors.of(f"case-{case}"), run.case(case), own) for case, own in cells.items()]
    return tuple(sorted(views, key=lambda case: min(cell.badness for cell in case.cells)))


def _case(anchor: str, case: Case, cells: list[ImageView]) -> CaseView:
    several = len({cell.result.sample.seed for cell in cells}) > 1
    rows: dict[str, list[ImageView]] = {}
    for cell in cells:
        sample = cell.result.sample
        title = f"{sample.size}, seed {sample.seed}" if several else str(sample.size)
        rows.setdefault(f"{title}, round {sample.round}" if case.rounds > 1 else title, []).append(cell)
    return CaseView(
        anchor=anchor,
        case=case,
        html_language=html_language(case),
        status=worst(cell.status for cell in cells),
        rows=tuple(
            Row(title=title, cells=tuple(sorted(row, key=lambda cell: -cell.variant.nfe)))
            for title, row in rows.items()
        ),
    )
