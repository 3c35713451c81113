"""What the report of a run shows: cases worst first, in each a row per size and seed, in each row a cell per variant.

Everything here is plain data; templates only place it. Texts are as written and as read: making them harmless is the
templates' finalizer and the writers' escaping, so that nothing has to remember it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from qiltest.generation.sources import TINY
from qiltest.report.changes import Changes, changes
from qiltest.report.headline import counts_of, verdict_of
from qiltest.report.image_builder import cell_of
from qiltest.report.image_view import ImageView
from qiltest.report.published import Published, published_in
from qiltest.runs.aggregate import by_variant, speed_ups
from qiltest.runs.records import Run
from qiltest.runs.status import Status, worst
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant

#: the language that a browser picks glyphs by; signs in traditional characters are told by their case's language.
_HTML_LANGUAGES = {"zh": "zh-Hans", "zh-hant": "zh-Hant", "zh-hans": "zh-Hans"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """The variants beside each other: one size and seed of a case."""

    size: str
    seed: int
    #: size, and seed where the case has several.
    title: str
    cells: tuple[ImageView, ...]

    def beside(self, variants: Iterable[Variant]) -> tuple[ImageView | None, ...]:
        """Return the images of these variants, in their order; None for one that has none here."""
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
    #: sentences under the headline.
    said: tuple[str, ...]
    counts: tuple[tuple[Status, int], ...]
    changes: Changes
    variants: tuple[Variant, ...]
    cases: tuple[CaseView, ...]
    #: None for a run without a case of the published report.
    published: Published | None
    not_generated: tuple[str, ...]

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
    """Return the run as a person looks at it; `previous` is the run that it is compared with, else the goldens."""
    compared_with = changes(run, previous)
    begun = {result.sample for result in run.results}
    status, headline, said = verdict_of(run)
    return RunView(
        run=run,
        status=status,
        headline=headline,
        said=said,
        counts=counts_of(run),
        changes=compared_with,
        variants=tuple(variant for variant, _ in by_variant(run)),
        cases=_cases(run, previous, compared_with),
        published=published_in(run),
        not_generated=tuple(sample.id for sample in run.planned if sample not in begun),
    )


def html_language(case: Case) -> str:
    """Return the language that a browser is to pick the case's glyphs by."""
    return _HTML_LANGUAGES.get(case.language.lower(), "en")


def _cases(run: Run, previous: Run | None, compared_with: Changes) -> tuple[CaseView, ...]:
    speed = speed_ups(run)
    change = {item.sample: item for item in compared_with.items}
    cells: dict[str, list[ImageView]] = {}
    for number, result in enumerate(run.results):
        faster, changed = speed.get(result.id), change.get(result.id)
        cell = cell_of(run, result, f"p{number}", previous=previous, speed_up=faster, change=changed)
        cells.setdefault(result.sample.case, []).append(cell)
    views = [_case(f"c{number}", run.case(case), cells[case]) for number, case in enumerate(cells)]
    return tuple(sorted(views, key=lambda case: min(cell.badness for cell in case.cells)))


def _case(anchor: str, case: Case, cells: list[ImageView]) -> CaseView:
    rows: dict[tuple[str, int], list[ImageView]] = {}
    for cell in cells:
        rows.setdefault((str(cell.result.sample.size), cell.result.sample.seed), []).append(cell)
    several = len({seed for _, seed in rows}) > 1
    return CaseView(
        anchor=anchor,
        case=case,
        html_language=html_language(case),
        status=worst(cell.status for cell in cells),
        rows=tuple(
            Row(
                size=size,
                seed=seed,
                title=f"{size}, seed {seed}" if several else size,
                cells=tuple(sorted(row, key=lambda cell: -cell.variant.nfe)),
            )
            for (size, seed), row in rows.items()
        ),
    )
