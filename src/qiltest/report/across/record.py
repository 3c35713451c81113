"""Several sources side by side as JSON and on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qiltest.comparison.across import WORDS, Across, Cell, Line, Source, ratio
from qiltest.comparison.records import Release
from qiltest.report.comparison.wording import correction
from qiltest.text.escape import one_line
from qiltest.text.format import count, percent, seconds, times

_STYLES = {Release.SHIP: "green", Release.CANNOT_TELL: "yellow"}


def across_record(across: Across, problems: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON of `qiltest compare --across`; every number in it is finite."""
    labels = [source.label for source in across.sources]
    return {
        "passes": across.passes,
        "verdict": across.found.verdict,
        "margin": across.found.margin,
        "alpha": across.found.alpha,
        "sources": [_source(source, across, place) for place, source in enumerate(across.sources)],
        "variants": [{**asdict(line), "source": labels[line.source]} for line in across.lines],
        "samples": [
            {
                "sample": row.sample.id,
                "images": [None if cell is None else asdict(cell) for cell in row.cells],
            }
            for row in across.rows
        ],
        "comparisons": [{**asdict(one), "pairs": one.pairs} for one in across.found.comparisons],
        "unpaired": across.found.unpaired,
        "problems": problems,
    }


def print_across(console: Console, across: Across, problems: Sequence[str] = ()) -> None:
    """Print the sources, a table per variant, the samples that differ, and the verdicts last."""
    for source in across.sources:
        console.print(one_line(source_words(source)), soft_wrap=True)
    console.print(_lines_table(across))
    differing = [row for row in across.rows if row.differs]
    if differing:
        console.print(_rows_table(across, differing))
    for comparison in across.found.comparisons:
        for obstacle in comparison.obstacles:
            console.print(one_line(f"{obstacle.verdict} {obstacle.id}: {obstacle.why}"), soft_wrap=True)
    for sentence in (*across.found.unpaired, *problems):
        for line in sentence.splitlines():  # a problem has its remedy in a line of its own
            console.print(one_line(line), soft_wrap=True)
    console.print(correction(across.found), soft_wrap=True)
    for place in range(1, len(across.sources)):
        verdict = across.verdict(place)
        style = _STYLES.get(verdict, "bold red")
        console.print(Text(one_line(verdict_words(across, place)), style=style), soft_wrap=True)
        for comparison in across.against[place - 1]:
            name = comparison.after.partition(" of ")[0]
            console.print(one_line(f"  {name}: {comparison.verdict}: {comparison.reasons[0]}"), soft_wrap=True)


def verdict_words(across: Across, place: int) -> str:
    """Return the verdict on one source in a sentence."""
    verdict = across.verdict(place)
    return f"{verdict}: {across.sources[place].label} {WORDS[verdict]} {across.sources[0].label}"


def source_words(source: Source) -> str:
    """Return what a source is."""
    run = source.run
    what = f"not checked: {', '.join(source.not_checked)}" if source.not_checked else "recipes checked"
    if not (source.checked or source.not_checked):
        what = "no image has a recipe"
    return f"{source.label}: run {run.id}, {count(len(run.results), 'image')}, {what}"


def cell_words(cell: Cell | None) -> str:
    """Return one image in a few words."""
    if cell is None:
        return "-"
    edits = cell.status.value if cell.distance is None else f"{cell.distance}/{cell.length}"
    return f"{edits} faulty" if cell.faults else edits


def latency_words(line: Line) -> str:
    """Return a line's latencies, each with what it is; "-" for none."""
    return "; ".join(f"{seconds(one.seconds)} {one.words}" for one in line.latencies) or "-"


def rate_words(line: Line) -> str:
    """Return a line's error rate."""
    return percent(line.distance / line.length) if line.length else "-"


def speed_words(line: Line, lines: Sequence[Line]) -> str:
    """Return the speed beside the reference's, where both are of one kind."""
    found = ratio(line, lines)
    return "" if found is None else times(found)


def _source(source: Source, across: Across, place: int) -> dict[str, Any]:
    return {
        "source": source.label,
        "run": source.run.id,
        "model": source.run.model,
        "reader": source.run.reader.fingerprint,
        "images": len(source.run.results),
        "not_checked": source.not_checked,
        "verdict": across.verdict(place) if place else None,
        "words": verdict_words(across, place) if place else "the reference",
    }


def _lines_table(across: Across) -> Table:
    table = Table(title="the samples that all have", title_justify="left")
    for name in ("variant", "source"):
        table.add_column(name, overflow="fold")
    for name in ("images", "exact", "edits", "error rate", "faulty"):
        table.add_column(name, justify="right")
    table.add_column("latency, median", overflow="fold")
    table.add_column("speed", justify="right")
    for line in across.lines:
        table.add_row(*(Text(one_line(word)) for word in _row(line, across)))
    return table


def _row(line: Line, across: Across) -> Iterator[str]:
    yield from (line.variant, across.sources[line.source].label, str(line.images), str(line.exact))
    yield from (f"{line.distance}/{line.length}", rate_words(line), str(line.faulty))
    yield from (latency_words(line), speed_words(line, across.lines))


def _rows_table(across: Across, rows: Sequence[Any]) -> Table:
    table = Table(title="images that differ: edits / characters", title_justify="left")
    for name in ("sample", *(source.label for source in across.sources)):
        table.add_column(Text(one_line(name)), overflow="fold")
    for row in rows:
        table.add_row(Text(one_line(row.sample.id)), *(cell_words(cell) for cell in row.cells))
    return table
