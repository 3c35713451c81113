"""Where the embedded model writes what: the rule that its training images follow.

An image is a grid of 16 px tokens. A narrow glyph covers 1 x 2 tokens, a wide one 2 x 2. Texts stand below each other in
the prompt's order, each from the left on lines of its own, wrapped after `columns` tokens; a numbered paragraph (二、 to 九、) begins
a new line. In couplets the banner stands on
the first line, the text after 左书 in a column at the left edge below it and the text after 右书 in one at the right. After a
wide text of at most `SHORT` characters a row of tokens stays free. Every line is shifted to the right by 0, 1 or 2 tokens, whatever the others are (the
columns of couplets together), so that a token stays free at the right edge: that, the font of narrow glyphs and the colours are the seed's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

#: tokens at the right that a line never fills, room for its shift
MARGIN = 2
#: places that a line may have, the longest ones one less
PLACES = MARGIN + 1
LINE = 2
#: rows of tokens that stay free after a wide text of at most `SHORT` characters: without them a few such signs below each
#: other are a square that may as well be read in columns
GAP, SHORT = 1, 3
QUOTES = {"“": "”", "‘": "’", '"': '"'}
PARAGRAPH = re.compile("(?<=.)[二三四五六七八九]、")
UNQUOTED = re.compile(r"that reads ([^“‘\".]+)\.")


class Mode(StrEnum):
    HORIZONTAL = "horizontal"
    BANNER = "banner"
    LEFT = "left"
    RIGHT = "right"


KEYWORDS = {"横批": Mode.BANNER, "左书": Mode.LEFT, "右书": Mode.RIGHT}


@dataclass(frozen=True)
class Span:
    """A text to draw: `prompt[start:stop]`."""

    start: int
    stop: int
    mode: Mode = Mode.HORIZONTAL


def spans(prompt: str) -> list[Span]:
    """Texts that a prompt asks to draw, in order.

    What stands between “ and ”, ‘ and ’, or two straight quotation marks; a straight one that begins the prompt opens
    nothing. `that reads X.` is X where no quotation mark follows.
    """
    found, i = [], 1 if prompt.startswith('"') else 0
    while i < len(prompt):
        close = QUOTES.get(prompt[i])
        stop = prompt.find(close, i + 1) if close else -1
        if stop > i + 1:
            mode = KEYWORDS.get(prompt[max(0, i - 2) : i], Mode.HORIZONTAL)
            found.append(Span(i + 1, stop, mode))
            i = stop
        i += 1
    found += [Span(m.start(1), m.end(1)) for m in UNQUOTED.finditer(prompt)]
    return sorted(found, key=lambda s: s.start)


def columns(width: int) -> int:
    """Tokens in a line of an image of `width` pixels."""
    return width // 16 - MARGIN


def _flow(text: str, *, wide: bool, width: int) -> list[tuple[int, int]]:
    """Line and place in the line of every character of a horizontal text, from 0."""
    per = columns(width) // (2 if wide else 1)
    starts = {m.start() for m in PARAGRAPH.finditer(text)}
    cells, line, place = [], 0, 0
    for i in range(len(text)):
        if place == per or i in starts:
            line, place = line + 1, 0
        cells.append((line, place))
        place += 1
    return cells


def lines(text: str, *, wide: bool, width: int) -> int:
    """Lines that a horizontal text takes."""
    return _flow(text, wide=wide, width=width)[-1][0] + 1


def gap(text: str, *, wide: bool) -> int:
    """Rows of tokens that stay free after a text."""
    return GAP if wide and len(text) <= SHORT else 0


def place(texts: list[tuple[str, bool, Mode]], width: int) -> list[list[tuple[int, int]]]:
    """Top left token (row, column) of every character of every text (text, wide, mode), before the shift."""
    placed, row = [], 0
    for text, wide, mode in texts:
        size, length = 2 if wide else 1, len(text)
        if mode is Mode.HORIZONTAL:
            cells = _flow(text, wide=wide, width=width)
            placed.append([(row + LINE * line, size * at) for line, at in cells])
            row += LINE * (cells[-1][0] + 1) + gap(text, wide=wide)
        elif mode is Mode.BANNER:
            first = (columns(width) - size * length) // 2
            placed.append([(0, first + size * j) for j in range(length)])
        else:
            column = 0 if mode is Mode.LEFT else columns(width) - 2
            placed.append([(LINE * (1 + j), column) for j in range(length)])
    return placed
