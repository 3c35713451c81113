"""Tables for a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from qiltest.text.escape import one_line


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
