"""What the report of a run shows: cases worst first, in each a row per size and seed, in each row a cell per variant.

Everything here is plain data; templates only lay it out. Texts are as written and as read: the environment of the
templates escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from qiltest.generation.sources import TINY
from qiltest.report.benchmarks import VariantBenchmarks, variant_benchmarks
from qiltest.report.changes import Changes, changes
from qiltest.report.headline import counts_of, verdict_of
from qiltest.report.image_builder import cell_of
from qiltest.report.image_view import ImageView
from qiltest.report.published import Published, published_in
from qiltest.runs.aggregate import by_variant, has_base, speed_ups
from qiltest.runs.records import Run
from qiltest.runs.status import Status, worst
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant

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
    counts: tuple[tuple[Status, int], ...]
    changes: Changes
    variants: tuple[Variant, ...]
    cases: tuple[CaseView, ...]
    #: None for a run without a case of the published report.
    published: Published | None
    not_generated: tuple[str, ...]
    #: True where the base variant was timed, so that speeds are given relative to it.
    has_base: bool

    @property
    def cells(self) -> tuple[ImageView, ...]:
        """All images, in the order of the cases."""
        return tuple(cell for case in self.cases for cell in case.cells)

    @property
    def worst_first(self) -> tuple[ImageView, ...]:
        """All images, worst first."""
        return tuple(sorted(self.cells, key=lambda cell: cell.badness))

    @cached_property
    def by_image(self) -> dict[str, ImageView]:
        """All images, by their id."""
        return {cell.result.id: cell for cell in self.cells}

    @cached_property
    def benchmarks(self) -> tuple[VariantBenchmarks, ...]:
        """Scores by the formulas of published benchmarks; computed on demand."""
        return variant_benchmarks(self.run)

    @property
    def own_cases(self) -> tuple[CaseView, ...]:
        """The cases that are not of the published report."""
        known = {} if self.published is None else self.published.tables
        return tuple(case for case in self.cases if case.case.id not in known)

    @property
    def tiny(self) -> bool:
        """True where the embedded model generated the images."""
        return self.run.model == TINY


def view(run: Run, previous: Run | None = None) -> RunView:
    """Lay out a run; `previous` is the run that it is compared with, else the goldens."""
    compared_with = changes(run, previous)
    begun = {result.sample for result in run.results}
    status, headline, notes = verdict_of(run)
    return RunView(
        run=run,
        status=status,
        headline=headline,
        notes=notes,
        counts=counts_of(run),
        changes=compared_with,
        variants=tuple(variant for variant, _ in by_variant(run)),
        cases=_cases(run, previous, compared_with),
        published=published_in(run),
        not_generated=tuple(sample.id for sample in run.planned if sample not in begun),
        has_base=has_base(run),
    )


def html_language(case: Case) -> str:
    """Return the language that a browser is to pick the case's glyphs by."""
    return _HTML_LANGUAGES.get(case.language.lower(), "en")


def _cases(run: Run, previous: Run | None, compared_with: Changes) -> tuple[CaseView, ...]:
    ratios = speed_ups(run)
    change = {item.sample: item for item in compared_with.items}
    cells: dict[str, list[ImageView]] = {}
    for number, result in enumerate(run.results):
        ratio, changed = ratios.get(result.id), change.get(result.id)
        cell = cell_of(run, result, f"p{number}", previous=previous, speed_up=ratio, change=changed)
        cells.setdefault(result.sample.case, []).append(cell)
    views = [_case(f"c{number}", run.case(case), cells[case]) for number, case in enumerate(cells)]
    return tuple(sorted(views, key=lambda case: min(cell.badness for cell in case.cells)))


def _case(anchor: str, case: Case, cells: list[ImageView]) -> CaseView:
    several = len({cell.result.sample.seed for cell in cells}) > 1
    rows: dict[str, list[ImageView]] = {}
    for cell in cells:
        sample = cell.result.sample
        rows.setdefault(f"{sample.size}, seed {sample.seed}" if several else str(sample.size), []).append(cell)
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
