"""The text as read with its differences marked, for people."""

from __future__ import annotations

from qiltest.scoring.records import EditKind, TextScore
from qiltest.text.normalise import normalise

#: Stands where a character of the expected text was not read.
MISSING = "▁"


def marked(text: TextScore) -> tuple[tuple[str, EditKind | None], ...]:
    """Return the normalised text in pieces, each with the edit that it shows, or None where it is as expected.

    A character that was not read is shown as `MISSING`; what was read for it or besides it, as read.
    """
    pieces: list[tuple[str, EditKind | None]] = []
    wanted = normalise(text.expected)
    at = 0
    for edit in text.edits:
        pieces.append((wanted[at : edit.position], None))
        pieces.append((edit.read or MISSING, edit.kind))
        at = edit.position + len(edit.expected)
    pieces.append((wanted[at:], None))
    return tuple(piece for piece in pieces if piece[0])
