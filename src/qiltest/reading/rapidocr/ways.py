"""Find out which way up a tall box is to be read: down, up, or as one upright letter.

A tall box is laid on its side as a column of characters, read from its top. The label of a chart's axis and the text
at a poster's side run the other way, and a tall box of one letter, such as an I, stands as it is. Each way that may be
meant is looked at once, and that one is believed which holds the most evidence of text. The expected text plays no
part.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from qiltest.reading.quad import COLUMN_RATIO
from qiltest.reading.rapidocr.crops import Quad, extent, is_column, lengthened
from qiltest.reading.rapidocr.ctc import Recognition
from qiltest.reading.rapidocr.views import NOISE

#: A column read as surely as this is one. In the training faces columns have 0.96 and more, text that runs up less.
SURE = 0.98
#: Text that runs up is believed from so much more evidence: nearly one character that was read surely.
MARGIN = 0.3


def way_of(quad: Quad, look: Callable[[Quad], Recognition]) -> tuple[Quad, Recognition | None]:
    """Return a box so that it is read the right way, and what is read there where it was looked at.

    `look`: recognises the text of a quadrilateral. The box of text that runs up begins at another corner; that of one
    upright letter gets margins at its sides.
    """
    if not is_column(quad):
        return quad, None
    down = look(quad)
    if len(down.spelling) < 2:
        wide = widened(quad)
        upright = look(wide)
        if len(upright.spelling) == 1 and upright.confidence > max(down.confidence, NOISE):
            return wide, upright
    if down.confidence < SURE:
        up = look(turned(quad))
        if len(up.spelling) > 1 and evidence(up) > evidence(down) + MARGIN:
            return turned(quad), up
    return quad, down


def turned(quad: Quad) -> Quad:
    """Return a box whose text runs up, its corners clockwise from where the text begins, above its first letter."""
    return np.roll(quad, 1, axis=0)


def widened(quad: Quad) -> Quad:
    """Give a tall box margins at its sides, so that it is no column."""
    width, height = extent(quad)
    side = (1.1 * height / COLUMN_RATIO - width) / 2
    return lengthened(quad, side / width, side / width)


def evidence(look: Recognition) -> float:
    """Sum up what speaks for text: each character by how much surer than noise it is."""
    return sum(each.confidence - NOISE for each in look.characters if not each.text.isspace())
