"""Settle what is doubtful in a recognised line by cutting it out anew and measuring its ink.

A recogniser sees a line in 48 pixels' height and fills in what its language makes likely. Where the doubt is about a
mark of a few pixels or about a size, the image itself knows more: the line is cut out anew with a margin that is
measured in the writing's height, its ink is found (`qiltest.reading.rapidocr.strip`), and each rule changes what the
ink, or another look that the ink asked for, contradicts. What stays unclear stays as recognised. The expected text
plays no part.
"""

from __future__ import annotations

from collections.abc import Callable

from qiltest.reading.images import Pixels
from qiltest.reading.rapidocr.bare_stems import with_stems
from qiltest.reading.rapidocr.crops import Quad, is_column
from qiltest.reading.rapidocr.ctc import Recognition
from qiltest.reading.rapidocr.digit_one import with_ones
from qiltest.reading.rapidocr.end_marks import Written, with_end_marks
from qiltest.reading.rapidocr.gaps import with_gaps
from qiltest.reading.rapidocr.letter_case import sized
from qiltest.reading.rapidocr.stacked import with_marks_counted
from qiltest.reading.rapidocr.strip import strip


def settled(bgr: Pixels, written: Written, look: Callable[[Quad], Recognition]) -> Written:
    """Return a line with its doubts settled.

    `look` recognises the text of a quadrilateral of the image.
    """
    written = written.reading(with_gaps(with_ones(written.characters)))
    if is_column(written.box) or not written.characters:
        return written
    ink = strip(bgr, written.box)
    if ink is None:
        return written
    written = with_end_marks(written.reading(with_marks_counted(written.characters, ink)), ink, look)
    characters = with_stems(written.characters, ink)
    return written.reading(sized(characters, ink.glyphs, ink.length))
