"""Writes the page that sets several sources side by side, in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from qiltest.comparison.across import LOOP, Across, Row
from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.report.across.record import cell_words, latency_words, rate_words, source_words, speed_words, verdict_words
from qiltest.report.comparison.wording import correction
from qiltest.report.html.page import embed, policy
from qiltest.report.image_builder import cell_of
from qiltest.report.image_view import ImageView
from qiltest.report.templating import asset, html_environment
from qiltest.report.view import html_language
from qiltest.runs.references import refer
from qiltest.suite.cases import Case
from qiltest.text.format import seconds

#: samples whose images are shown, those that differ most first; and where none differs.
MAX_SHOWN, MAX_ALIKE = 24, 3


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One sample with the images of all sources that have it."""

    anchor: str
    row: Row
    case: Case
    html_language: str
    #: (place of the source, image), in the order of the sources.
    images: tuple[tuple[int, ImageView], ...]


def write_across(across: Across, path: Path, *, problems: Sequence[str] = ()) -> None:
    """Write the page. Raises StoreError where it cannot be written; then `path` is what it was."""
    try:
        write_atomically(path, render_across(across, path.parent, problems=problems).encode("utf-8"))
    except OSError as error:
        raise StoreError(
            f"the page could not be written: {error.strerror or error}",
            where=str(path),
            remedy="free some space, or choose another file with --report",
        ) from error
    refer(path, tuple(source.run for source in across.sources))


def render_across(across: Across, folder: Path, *, problems: Sequence[str] = ()) -> str:
    """Return the page for a file in `folder`, from where the full images are linked."""
    style = asset("report.css") + asset("comparison.css")
    shown = tuple(_shown(across))
    return (
        html_environment()
        .get_template("across.html.j2")
        .render(
            across=across,
            problems=problems,
            verdicts=[(across.verdict(k), verdict_words(across, k)) for k in range(1, len(across.sources))],
            sources=[source_words(source) for source in across.sources],
            lines=[
                (line, across.sources[line.source].label, rate_words(line), latency_words(line), words)
                for line in across.lines
                for words in (speed_words(line, across.lines),)
            ],
            rows=[(row, [_words(row, k) for k in range(len(across.sources))]) for row in across.rows],
            correction=correction(across.found),
            shown=shown,
            left_out=max(0, sum(row.differs for row in across.rows) - len(shown)),
            embedded=embed((view for one in shown for _, view in one.images), folder),
            style=Markup(style),  # noqa: S704 - the package's own
            policy=policy(style, ""),
        )
    )


def _words(row: Row, place: int) -> str:
    cell = row.cells[place]
    words = cell_words(cell)
    if cell is None or cell.seconds is None:
        return words
    return f"{words} · {seconds(cell.seconds)}{'' if cell.kind == LOOP else f' ({cell.kind})'}"


def _shown(across: Across) -> Iterator[Shown]:
    """Yield the samples that differ most between the sources, or a few where none does."""
    differing = sorted((row for row in across.rows if row.differs), key=_spread)
    for number, row in enumerate(differing[:MAX_SHOWN] or across.rows[:MAX_ALIKE]):
        anchor = f"s{number}"
        images = tuple(_images(across, row, anchor))
        if images:
            case = across.sources[images[0][0]].run.case(row.sample.case)
            yield Shown(anchor=anchor, row=row, case=case, html_language=html_language(case), images=images)


def _images(across: Across, row: Row, anchor: str) -> Iterator[tuple[int, ImageView]]:
    for place, source in enumerate(across.sources):
        result = source.run.result(row.sample.id)
        if result is not None and result.image is not None:
            # without the golden, which would be mistaken for the reference's image
            yield place, cell_of(source.run, replace(result, golden=None), f"{anchor}i{place}")


def _spread(row: Row) -> tuple[int, str]:
    edits = [cell.distance for cell in row.cells if cell is not None and cell.distance is not None]
    missing = len(row.cells) - len(edits)
    return -(max(edits, default=0) - min(edits, default=0)) - 1000 * missing, row.sample.id
