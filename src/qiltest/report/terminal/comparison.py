"""A paired comparison on the terminal and as JSON, for `qiltest compare`, `qiltest check` and `pytest --qil-lora`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qiltest.comparison.records import CaseTally, Comparison, Comparisons, Release
from qiltest.report.comparison.wording import (
    About,
    correction,
    exact_words,
    interval_words,
    parts_words,
    plan_words,
    stroke_words,
    verdict_words,
)
from qiltest.report.terminal.ranking import ranking
from qiltest.runs.records import Run, RunState
from qiltest.text.escape import one_line
from qiltest.text.tables import plain_table

#: characters of the verdict line.
_LINE = 2_000
_STYLES = {Release.SHIP: "green", Release.CANNOT_TELL: "yellow"}


def print_comparisons(
    console: Console, found: Comparisons, problems: Sequence[str] = (), *, about: About | None = None
) -> None:
    """Print a table per comparison, the numbers behind each verdict, several candidates ranked, and the verdict."""
    for comparison in found.comparisons:
        title = f"{comparison.before} -> {comparison.after}: change in edits per 100 characters, corrected p"
        console.print(one_line(title), soft_wrap=True)
        console.print(_table(comparison))
        for line in _words(comparison):
            console.print(one_line(line), soft_wrap=True)
        console.print()
    for text in (*found.unpaired, *problems):
        # indented, so that no line of a problem can be taken for the verdict
        for line in text.replace("\n", "\n  ").split("\n"):
            console.print(one_line(line), soft_wrap=True)
    console.print(correction(found), soft_wrap=True)
    if about is not None and len(found.comparisons) > 1:
        console.print(ranking(found, about), soft_wrap=False)
    style = _STYLES.get(found.verdict, "bold red")
    console.print(Text(one_line(f"{found.verdict}: {verdict_words(found, about)}", _LINE), style=style), soft_wrap=True)


def comparison_record(found: Comparisons, before: Run, after: Run, problems: Sequence[str] = ()) -> dict[str, object]:
    """Return the JSON of `qiltest compare` and `qiltest check`; every number in it is finite."""
    return {
        "before": before.id,
        "after": after.id,
        "verdict": found.verdict,
        "passes": found.passes,
        "margin": found.margin,
        "alpha": found.alpha,
        "comparisons_made": {
            "variants": len(found.comparisons),
            "cases": found.case_tests,
            "strokes": found.stroke_tests,
        },
        "comparisons": [{**asdict(comparison), "pairs": comparison.pairs} for comparison in found.comparisons],
        "unpaired": found.unpaired,
        "problems": problems,
    }


def run_problems(run: Run) -> Iterator[str]:
    """Yield the problems of a run that a verdict on it must mention, and what was not checked of its images."""
    if run.state is not RunState.FINISHED:
        yield f"run {run.id} is {run.state}: {len(run.results)} of {len(run.planned)} images begun"
    yield from (f"run {run.id}: {problem}" for problem in run.problems)
    if run.not_checked:
        yield f"run {run.id}: not checked of its images: {', '.join(run.not_checked)}"


def _table(comparison: Comparison) -> Table:
    table = plain_table()
    table.add_column("case", overflow="fold")
    for name in ("better", "same", "worse", "edits", "per 100", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for case in comparison.cases:
        edits = f"{case.before} -> {case.after}"
        table.add_row(Text(one_line(case.case)), *_counts(case), edits, _change(case), f"{case.p_holm:.2g}")
    table.add_section()
    edits = f"{sum(case.before for case in comparison.cases)} -> {sum(case.after for case in comparison.cases)}"
    table.add_row("all", *_counts(comparison), edits, _change(comparison), "")
    return table


def _counts(found: Comparison | CaseTally) -> tuple[str, str, str]:
    return str(found.wins), str(found.ties), str(found.losses)


def _change(found: Comparison | CaseTally) -> str:
    return "-" if found.difference is None else f"{100 * found.difference:+.2f}"


def _words(comparison: Comparison) -> Iterator[str]:
    if comparison.exact is not None:
        yield exact_words(comparison.exact)
    yield from parts_words(comparison.parts)
    if comparison.interval is not None:
        yield interval_words(comparison.interval, comparison.unit)
    if comparison.pairs:
        yield stroke_words(comparison.strokes)
    yield from (f"{obstacle.verdict} {obstacle.id}: {obstacle.why}" for obstacle in comparison.obstacles)
    yield from (f"unpaired {name}" for name in comparison.unpaired)
    for first, reason in enumerate(comparison.reasons):
        yield f"{comparison.verdict if first == 0 else '':<14}{reason}"
    if comparison.plan is not None:
        yield plan_words(comparison.plan)
