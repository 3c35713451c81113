"""The section of a run's report on the published report, for runs that have cases of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from jinja2 import BaseLoader, PackageLoader

from qiltest.published.findings import Finding, claim_lines, findings
from qiltest.published.first_error import digit_words, line_words
from qiltest.published.marks import ReportMark, report_marks, unmarked
from qiltest.published.signs import sign_recall, sign_words
from qiltest.runs.records import CaseResult, Run

#: the base model that the published report is on.
BASE_MODEL = "Qwen/Qwen-Image"
#: Fewest texts of a case for a sentence on its signs.
MANY_SIGNS = 8
#: titles of the published report's tables, by number.
_TABLES = {
    1: "Basic image generation",
    2: "Complex text rendering",
    3: "Fine detail: hair",
    4: "Scenes with many signs",
    5: "Variability",
    6: "Resolution impact",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """The published report compared with a run that has cases of it."""

    findings: tuple[Finding, ...]
    marks: tuple[ReportMark, ...]
    #: number of the table, by the id of each case that is in one.
    tables: dict[str, int]
    #: what the report says of images that it does not mark, by the image's id.
    unmarked: dict[str, str] = field(default_factory=dict)

    @property
    def titles(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """Title of each table that the run has cases of, in order, with the ids of those cases."""
        numbers = sorted(set(self.tables.values()))
        return tuple(
            (f"Table {n}: {_TABLES[n]}", frozenset(case for case, table in self.tables.items() if table == n))
            for n in numbers
        )

    @cached_property
    def by_image(self) -> dict[str, ReportMark]:
        """The published report's marks, by the image's id."""
        return {mark.sample: mark for mark in self.marks}

    def sentences(self, result: CaseResult) -> tuple[str, ...]:
        """Return sentences on the long numbers, signs and lines of an image; none for other cases."""
        return tuple(_sentences(result)) if result.sample.case in self.tables else ()


def published_in(run: Run) -> Published | None:
    """Compare the published report with a run; None for a run without an image of a case with a `report_table`.

    Images of variants of another base model than the report's are no evidence on its claims, whatever their names.
    """
    tables = {case.id: case.report_table for case in run.cases if case.report_table is not None}
    if not tables or not run.results:
        return None
    others = {
        variant.name for variant in run.variants if (variant.base_model or BASE_MODEL).lower() != BASE_MODEL.lower()
    }
    results = (result for result in run.results if result.sample.case in tables and result.sample.variant not in others)
    own = replace(run, results=tuple(results))
    return Published(findings=findings(own), marks=report_marks(own), tables=tables, unmarked=unmarked(own))


def published_lines(run: Run) -> Iterator[str]:
    """Yield the answers to the published report's claims, for a terminal; nothing for a run without a case of it."""
    found = published_in(run)
    if found is not None and run.results:
        of = " (the embedded model's images, not Qwen-Image's)" if run.is_tiny else ""
        if any(result.recipe is not None and result.recipe.elsewhere is not None for result in run.results):
            of = f" (images made elsewhere: {run.model}{', of the embedded model' if run.is_tiny else ''})"
        if any(result.recipe is not None and result.recipe.served is not None for result in run.results):
            of = f" (images of a server: {run.model}{', the embedded model' if run.is_tiny else ''})"
        yield f"the performance report's claims{of}:"
        yield from (f"  {line}" for line in claim_lines(found.findings))


def templates() -> BaseLoader:
    """Return the templates of this section: `published.html.j2` and `published.md.j2`."""
    return PackageLoader("qiltest.published", "templates")


def _sentences(result: CaseResult) -> Iterator[str]:
    score = result.score
    if score is None:
        return
    for text in score.texts:
        yield from digit_words(text)
    if len(score.texts) >= MANY_SIGNS:
        yield f"{sign_words(sign_recall(score))}."
    if result.reading is not None:
        for text in score.texts:
            yield from line_words(text, result.reading)
