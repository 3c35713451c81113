"""The verdict on what an edit changed outside the texts that it was to change."""

from __future__ import annotations

from qiltest.quality.change import Change

#: Largest share of the compared blocks that may change, and largest patch of them as a share of the image.
SHARE, PATCH = 0.12, 0.02
#: Share of changed blocks from which on identity or layout is lost, and correlation of the layout below which it is.
COLLAPSED, LAYOUT = 0.5, 0.6


def is_too_much(change: Change) -> bool:
    """Return whether the rest of the image changed."""
    return not (change.share <= SHARE and change.patch <= PATCH)


def is_collapse(change: Change) -> bool:
    """Return whether the image is another one: its identity or layout is lost."""
    return not (change.share <= COLLAPSED and change.layout >= LAYOUT)
