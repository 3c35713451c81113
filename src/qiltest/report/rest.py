"""What an edit changed besides its texts, in words and as a map over its image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from qiltest.quality.change import Change
from qiltest.quality.change.records import CHANGED
from qiltest.text.format import percent


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Blocks that changed and lie side by side, in blocks from the top left corner."""

    x: int
    y: int
    width: int


def rest_line(change: Change) -> str:
    """Return in one line what an edit changed besides its texts."""
    line = f"{percent(change.share)} changed, largest patch {percent(change.patch)} of the image"
    if (change.right, change.down, change.scale) == (0, 0, 1):
        return line
    return f"{line}; moved by {change.right:+.1%} and {change.down:+.1%}, scaled by {change.scale:.3f}"


def bars(change: Change) -> Iterator[Bar]:
    """Yield the blocks that changed, a bar for each run of them in a row."""
    for y, row in enumerate(change.blocks):
        x = 0
        for block, run in groupby(row):
            width = len(list(run))
            if block == CHANGED:
                yield Bar(x=x, y=y, width=width)
            x += width
