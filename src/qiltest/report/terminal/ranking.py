"""Several candidates, best first: their verdicts, and one table of their numbers."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from qiltest.comparison.records import Comparison, Comparisons
from qiltest.report.comparison.wording import About
from qiltest.text.escape import one_line
from qiltest.text.tables import plain_table


def ranking(found: Comparisons, about: About) -> Group:
    """Return a line per candidate with its verdict, and a row of numbers for each, and each size where these are apart.

    A file's name may be long, so that it has a line of its own.
    """
    lines = [Text(f"candidates to replace {one_line(about.like)}, best first")]
    table = plain_table()
    sizes = any(comparison.size for comparison in found.comparisons)
    table.add_column("#", justify="right", no_wrap=True)
    for name in (*(["size"] if sizes else []), "verdict"):
        table.add_column(name, no_wrap=True)
    # per 100 characters: the change of edits, and its interval; exact texts lost and gained
    for name in ("edits", "per 100", "interval", "-exact", "+exact"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, (name, verdict) in enumerate(found.ranking, start=1):
        lines.append(Text(f"{place:>2}  {verdict:<12} {one_line(about.tried[name].label)}"))
        for row, one in enumerate(one for one in found.comparisons if one.candidate == name):
            cells = ("" if row else str(place), *([one.size] if sizes else []), one.verdict.value, *_numbers(one))
            table.add_row(*(Text(one_line(cell)) for cell in cells))
    return Group(*lines, table)


def _numbers(one: Comparison) -> tuple[str, str, str, str, str]:
    before, after = (sum(getattr(case, side) for case in one.cases) for side in ("before", "after"))
    change = "-" if one.difference is None else f"{100 * one.difference:+.2f}"
    interval = "-" if one.interval is None else f"{100 * one.interval.low:+.1f} {100 * one.interval.high:+.1f}"
    lost, gained = ("-", "-") if one.exact is None else (str(one.exact.broken), str(one.exact.fixed))
    return f"{before} -> {after}", change, interval, lost, gained
