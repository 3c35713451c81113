"""Characters with broken strokes, as `qiltest read` and `qiltest score` show them."""

from __future__ import annotations

from qiltest.reading import BrokenStrokes


def broken_line(item: BrokenStrokes) -> str:
    """Return one character in words, with its place in the image."""
    x, y = item.place
    return f"broken strokes: {item.text!r} at {x:.0f},{y:.0f} ({_why(item)})"


def broken_record(item: BrokenStrokes) -> dict[str, object]:
    """Return one character as JSON; `log_odds` is null where the reader's confidence alone says so."""
    return {
        "text": item.text,
        "log_odds": item.log_odds,
        "confidence": item.confidence,
        "place": [round(x, 1) for x in item.place],
    }


def _why(item: BrokenStrokes) -> str:
    if item.log_odds is not None:
        return f"log-odds {item.log_odds:.1f}"
    return f"not judged; the reader's confidence is {item.confidence or 0:.2f}"
