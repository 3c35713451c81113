"""Bars between words, which readers return as an I: "Qwen I Image" where "Qwen | Image" is asked for.

In most faces a bar and a capital I are the same stroke, so that nobody can tell which was drawn.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

from qiltest.reading.records import Line
from qiltest.scoring.split import LONE_STROKE, STROKES
from qiltest.text.normalise import normalise

_ASKED = re.compile(r"\S [|\uff5c] \S")


def with_bars(lines: Sequence[Line], expected: Collection[str]) -> tuple[Line, ...]:
    """Return the lines with bars for lone strokes between words, where a text asks for a bar and none for a stroke.

    `expected` are the texts as asked for.
    """
    words = {normalise(word).upper() for text in expected for word in text.split()}
    if not any(map(_ASKED.search, expected)) or not words.isdisjoint({stroke.upper() for stroke in STROKES}):
        return tuple(lines)
    return tuple(replace(line, text=LONE_STROKE.sub("|", line.text)) for line in lines)
