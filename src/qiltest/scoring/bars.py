"""Bars between words, which readers return as an I: "Conquer the Wild I Book Your Adventure".

In most faces a bar and a capital I are the same stroke. Between the words of one line, where no text that is asked for
has the word I, it is a bar, which sets off what stands on either side of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from qiltest.reading.records import Line

_STROKE = re.compile(r"(?<=[^\s|] )[Il丨](?= [^\s|])")
#: the word I, which a case asks for.
_WORD = re.compile(r"(?<![^\W_])I(?![^\W_])")


def with_bars(lines: Sequence[Line], expected: Iterable[str]) -> tuple[Line, ...]:
    """Return the lines with bars where they have a lone stroke between words; `expected` are the texts as asked for."""
    if any(map(_WORD.search, expected)):
        return tuple(lines)
    return tuple(replace(line, text=_STROKE.sub("|", line.text)) for line in lines)
