"""Several candidates in one table, best first."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from qiltest.comparison.records import Comparison, Comparisons
from qiltest.report.comparison.wording import About
from qiltest.text.escape import one_line


def ranking_table(found: Comparisons, about: About) -> Table:
    """Return one row per candidate, and per size where sizes are compared by themselves."""
    table = Table(title=Text(f"candidates to replace {one_line(about.like)}, best first"), title_justify="left")
    sizes = any(comparison.size for comparison in found.comparisons)
    table.add_column("#", justify="right")
    for name in ("candidate", *(["size"] if sizes else []), "verdict"):
        table.add_column(name, overflow="fold")
    for name in ("edits", "per 100 characters", "interval", "exact text lost, gained"):
        table.add_column(name, justify="right")
    for place, (name, _) in enumerate(found.ranking, start=1):
        for row, one in enumerate(one for one in found.comparisons if one.candidate == name):
            first = (str(place), about.tried[name].label) if not row else ("", "")
            cells = (*first, *([one.size] if sizes else []), one.verdict.value, *_numbers(one))
            table.add_row(*(Text(one_line(cell)) for cell in cells))
    return table


def _numbers(one: Comparison) -> tuple[str, str, str, str]:
    before, after = (sum(getattr(case, side) for case in one.cases) for side in ("before", "after"))
    change = "-" if one.difference is None else f"{100 * one.difference:+.2f}"
    interval = "-" if one.interval is None else f"{100 * one.interval.low:+.2f} to {100 * one.interval.high:+.2f}"
    exact = "-" if one.exact is None else f"{one.exact.broken}, {one.exact.fixed}"
    return f"{before} -> {after}", change, interval, exact
