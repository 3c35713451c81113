"""Writes the page of trends: since when images do not pass, texts, latencies, and what changed from run to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.recipe import recipe_changes
from qiltest.report.html.charts import Chart
from qiltest.report.html.page import href, policy
from qiltest.report.templating import asset, html_environment
from qiltest.report.trends.charts import trend_charts
from qiltest.report.trends.series import failing, latencies
from qiltest.runs.history import HistoryEntry, HistorySample
from qiltest.runs.status import Status
from qiltest.runs.streaks import Streak, streaks_of
from qiltest.text.format import count

#: images of the table, those that do not pass first, and its runs.
MOST_IMAGES, MOST_RUNS = 60, 20
_REPORT = "report.html"


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run of the page."""

    entry: HistoryEntry
    #: images that do not pass.
    failing: int
    #: what is other than in the run before, field by field; None for the first.
    changed: tuple[str, ...] | None
    #: address of its report; "" where that is gone.
    href: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One image in one run."""

    status: Status | None
    text: str
    title: str


@dataclass(frozen=True, kw_only=True)
class TrendsView:
    """The page, ready to be laid out."""

    headline: str
    status: Status
    model: str
    #: sentences below the headline.
    notes: tuple[str, ...]
    streaks: tuple[Streak, ...]
    charts: tuple[Chart, ...]
    #: newest first.
    runs: tuple[RunRow, ...]
    #: heads of the table's columns, and for each image its name and cells.
    columns: tuple[HistoryEntry, ...]
    images: tuple[tuple[str, tuple[Cell, ...]], ...]
    left_out: int


def write_trends(entries: Sequence[HistoryEntry], path: Path, *, runs: Path, notes: Sequence[str] = ()) -> None:
    """Write the page of some runs of one model, oldest first; `runs` is their folder.

    Raises StoreError where the page cannot be written.
    """
    page = trends_view(entries, path.parent, runs=runs, notes=notes)
    style = asset("report.css") + asset("trends.css")
    text = (
        html_environment()
        .get_template("trends.html.j2")
        .render(page=page, style=Markup(style), policy=policy(style, ""))  # noqa: S704 - the package's own
    )
    try:
        write_atomically(path, text.encode("utf-8"))
    except OSError as error:
        remedy = "free some space, or choose another file with --html"
        raise StoreError(f"the page cannot be written: {error.strerror}", where=str(path), remedy=remedy) from error


def trends_view(entries: Sequence[HistoryEntry], folder: Path, *, runs: Path, notes: Sequence[str] = ()) -> TrendsView:
    """Lay out runs of one model, oldest first and at least one, for a page in `folder`."""
    amounts = failing(entries)
    found = streaks_of(entries)
    newest = entries[-1]
    total = len(newest.samples)
    passing = sum(sample.passes for sample in newest.samples.values())
    status = Status.FAIL if amounts[-1] else Status.PASS if passing == total else Status.WAITING
    what = f"{amounts[-1]} of {count(total, 'image')} do not pass"
    if not amounts[-1]:
        what = f"{passing} of {count(total, 'image')} pass, none fails"
    headline = f"{what} in the newest of {count(len(entries), 'run')}"
    columns = tuple(entries[-MOST_RUNS:])
    failed = [streak.sample for streak in found]
    order = list(dict.fromkeys((*failed, *sorted(newest.samples))))
    return TrendsView(
        headline=headline,
        status=status,
        model=newest.model,
        notes=tuple(notes),
        streaks=found,
        charts=tuple(trend_charts(entries, latencies(entries))),
        runs=tuple(reversed(list(_rows(entries, amounts, folder, runs)))),
        columns=columns,
        images=tuple((name, tuple(_cell(entry, name) for entry in columns)) for name in order[:MOST_IMAGES]),
        left_out=max(0, len(order) - MOST_IMAGES),
    )


def _rows(entries: Sequence[HistoryEntry], amounts: Sequence[int], folder: Path, runs: Path) -> Sequence[RunRow]:
    rows = []
    for place, entry in enumerate(entries):
        report = runs / entry.run / _REPORT
        rows.append(
            RunRow(
                entry=entry,
                failing=amounts[place],
                changed=None if not place else tuple(recipe_changes(_facts(entries[place - 1]), _facts(entry))),
                href=href(report, folder) if report.is_file() else "",
            )
        )
    return rows


def _facts(entry: HistoryEntry) -> dict[str, str | float | int | bool | None]:
    """Return all facts of a run, those of a variant with its name before them; packages are the session's."""
    own = {
        f"{variant}: {name}": value
        for variant, facts in entry.variants.items()
        for name, value in facts.items()
        if name not in entry.facts
    }
    return {**entry.facts, **own}


def _cell(entry: HistoryEntry, name: str) -> Cell:
    sample = entry.samples.get(name)
    if sample is None:
        return Cell(status=None, text="", title=f"not in run {entry.run}")
    status = _status(sample)
    edits = "" if sample.distance is None else f", {count(sample.distance, 'edit')}"
    shown = status.icon if sample.distance is None else str(sample.distance)
    return Cell(status=status, text=shown, title=f"{status.value}{edits} in run {entry.run}")


def _status(sample: HistorySample) -> Status:
    try:
        return Status(sample.status)
    except ValueError:  # of a later version
        return Status.WAITING
