"""Tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from qiltest.text.escape import one_line

_T = TypeVar("_T")


#: columns that no table has.
_WIDE = 10_000


def fits(console: Console, table: Table) -> bool:
    """Return whether a console shows a table without folding anything in it."""
    return Measurement.get(console, console.options.update(max_width=_WIDE), table).maximum <= console.width


def fitting(console: Console, columns: Sequence[_T], table_of: Callable[[Sequence[_T]], Table]) -> Iterator[Table]:
    """Yield tables that fit the console, each with as many of the columns, in order, as there is room for."""
    left = list(columns)
    while left:
        shown = left
        while len(shown) > 1 and not fits(console, table_of(shown)):
            shown = shown[:-1]
        yield table_of(shown)
        left = left[len(shown) :]


def plain_table(title: str = "") -> Table:
    """Return a table without a frame, which leaves the columns of a narrow terminal to what is in it."""
    return Table(
        title=Text(one_line(title)) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="bold",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
