"""Characters with broken strokes in the HTML report: each cut out of the image, beside how fonts draw it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from PIL import Image

from qiltest.reading import BrokenStrokes, Line
from qiltest.reading.quad import Quad
from qiltest.report.geometry import bounds
from qiltest.report.html.preview import Meter, Preview, preview
from qiltest.report.image_view import ImageView

#: characters of one image that are shown.
MOST = 8
#: bytes and pixels of a cut-out, and of a drawing.
_BYTES, _SIDE = 3 << 10, 96
#: margin around a character, as a share of its larger side.
_AROUND = 0.12
#: how far a line may reach beyond the image, and a character beyond its line, as a share of either.
_OUTSIDE = 0.25


@dataclass(frozen=True, kw_only=True)
class GlyphPair:
    """A character as it is in the image, and as fonts draw it; None for one that is not drawn."""

    shown: Preview
    drawn: Preview | None


def glyph_pairs(cell: ImageView, image: Image.Image, meter: Meter) -> dict[tuple[int, int], GlyphPair]:
    """Return the first characters of an image that were judged broken, by line and index.

    Raises ReaderError where the packaged drawings are damaged.
    """
    judged = [item for item in cell.broken if item.judged][:MOST]
    reading = cell.result.reading
    if not judged or reading is None or image.size != cell.extent:
        return {}
    pixels = np.asarray(image)
    found: dict[tuple[int, int], GlyphPair] = {}
    for item, box in _boxes(pixels, reading.lines, judged):
        shown = _cut(image, box)
        if shown is not None:
            found[item.line, item.index] = GlyphPair(
                shown=preview(shown, _BYTES, _SIDE, meter=meter), drawn=_drawn(item.text, meter)
            )
    return found


def _boxes(
    pixels: np.ndarray, lines: Sequence[Line], judged: Sequence[BrokenStrokes]
) -> Iterator[tuple[BrokenStrokes, Quad]]:
    """Yield the square in which each character was judged."""
    from qiltest.reading.glyphs.crop import crops

    for number in dict.fromkeys(item.line for item in judged):
        line = lines[number]
        if not _lies_in(line, width=pixels.shape[1], height=pixels.shape[0]):
            continue
        cut = crops(pixels, line.box, line.text, line.places)
        for item in judged:
            crop = cut[item.index] if item.line == number else None
            if crop is not None:
                yield item, crop.box


def _lies_in(line: Line, *, width: int, height: int) -> bool:
    """Return whether a line lies in the image, a margin around it included: a stored run may claim anything."""
    across, down = _OUTSIDE * width, _OUTSIDE * height
    inside = all(-across <= x <= width + across and -down <= y <= height + down for x, y in line.box)
    return inside and all(-_OUTSIDE <= place <= 1 + _OUTSIDE for place in line.places)


def _cut(image: Image.Image, box: Quad) -> Image.Image | None:
    edges = bounds((box,))
    if edges is None or not all(map(isfinite, edges)):
        return None
    around = _AROUND * max(edges[2] - edges[0], edges[3] - edges[1])
    left, top = max(0, round(edges[0] - around)), max(0, round(edges[1] - around))
    right, bottom = min(image.width, round(edges[2] + around)), min(image.height, round(edges[3] + around))
    if right - left < 2 or bottom - top < 2:
        return None
    cut = image.crop((left, top, right, bottom))
    factor = _SIDE / max(cut.size)
    size = (max(1, round(cut.width * factor)), max(1, round(cut.height * factor)))
    return cut.resize(size, Image.Resampling.BICUBIC)


def _drawn(char: str, meter: Meter) -> Preview | None:
    from qiltest.reading.glyphs.references import references

    known = references()
    if not known.has(char):
        return None
    styles = np.concatenate(list(known.drawings(char)), axis=1)
    ink = Image.fromarray((255 * (1 - np.clip(styles, 0, 1))).astype(np.uint8)).convert("RGB")
    return preview(ink, _BYTES, max(ink.size), meter=meter)
