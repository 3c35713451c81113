"""Small images inside the HTML report: WebP previews of bounded size, and cut-outs of what was read wrong."""

from __future__ import annotations

import base64
import io
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from qiltest.image_files import DECODERS_RAISE
from qiltest.report.geometry import Box

logger = logging.getLogger(__name__)

#: all previews of a report together, in bytes before base64; 200 images then still open at once.
TOTAL_BYTES = 12 << 20
#: one preview, in bytes.
MAX_BYTES = 90 << 10
MIN_BYTES = 12 << 10
#: what the store has; a JPEG may have scans that take hours.
_FORMATS = ("PNG",)
#: pixels of an image that is decoded for a report, 4096 x 4096; a model's have 2 million.
MOST_PIXELS = 1 << 24
#: nanoseconds of a pixel that is decoded, scaled and encoded, at most: noise takes longest.
_DECODED, _SCALED, _ENCODED = 25, 20, 70
#: longer side of a preview and of a cut-out, in pixels.
MAX_SIDE = 800
CROP_SIDE = 640
CROP_BYTES = 20 << 10
#: a cut-out below this height is enlarged to it, by at most this factor.
CROP_HEIGHT = 64
MAX_ENLARGED = 4
#: most close-ups of one text, and the margin around each, as a share of its larger side.
MAX_CLOSE = 3
_AROUND = 0.6
#: largest area of a close-up, as a share of the text's cut-out.
_NEAR = 0.3
CLOSE_BYTES, CLOSE_SIDE = 5 << 10, 192
_QUALITIES = (82, 70, 55, 40, 25)
#: longest side of an image that is made smaller no more.
_SMALLEST = 16
_SMALLER = 0.7
#: pixels of a cut-out that is copied as it is; no model's image has as many.
_LARGE_CUT = 4_000_000
#: largest area of a cut-out, as a share of the image.
_WHOLE = 0.6


@dataclass(frozen=True, kw_only=True)
class Preview:
    """An embedded image. `width` and `height` are those of the preview, in pixels."""

    #: Markup, because base64 needs no escaping and must not be shortened as long texts are.
    uri: Markup
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A cut-out; `box` is where it lies in the image: left, top, width, height in the image's pixels."""

    preview: Preview
    box: tuple[int, int, int, int]


class Meter:
    """Adds up the work of a report's images, in nanoseconds as it takes at most on one core."""

    def __init__(self, allowed: int) -> None:
        """Start with nothing spent; `allowed` is the work after which nothing more is begun."""
        self._allowed, self._spent = allowed, 0
        self._lock = threading.Lock()

    @property
    def exhausted(self) -> bool:
        """True where as much is spent as is allowed."""
        return self._spent >= self._allowed

    def spend(self, *, decoded: int = 0, scaled: int = 0, encoded: int = 0) -> None:
        """Add so many pixels."""
        with self._lock:
            self._spent += _DECODED * decoded + _SCALED * scaled + _ENCODED * encoded


def budget(images: int) -> int:
    """Return how many bytes one preview of `images` may take."""
    return max(MIN_BYTES, min(MAX_BYTES, TOTAL_BYTES // max(1, images)))


def pixels_of(path: Path) -> int:
    """Return how many pixels an image has, by its header; 0 where it cannot be opened, which `open_image` says."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return image.width * image.height
    except (*DECODERS_RAISE, Image.DecompressionBombError):
        return 0


def open_image(path: Path, meter: Meter | None = None) -> Image.Image | None:
    """Return the decoded image; None where it cannot be opened, which the report then says.

    It is a PNG, as the store's images are, of at most `MOST_PIXELS`.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            if meter is not None:
                meter.spend(decoded=image.width * image.height)
            image.load()
            # converting copies what is RGB already, and doubles the memory of a large one
            return image if image.mode == "RGB" else image.convert("RGB")
    except (*DECODERS_RAISE, Image.DecompressionBombError) as error:
        logger.warning("no preview of %s: %s", path, error)
        return None


def preview(image: Image.Image, limit: int = MAX_BYTES, side: int = MAX_SIDE, *, meter: Meter | None = None) -> Preview:
    """Return a WebP of at most `limit` bytes and `side` pixels on its longer side."""
    scale = min(1.0, side / max(image.size))
    while True:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        small = image
        if size != image.size:
            small = image.resize(size, Image.Resampling.LANCZOS)
            if meter is not None:
                meter.spend(scaled=image.width * image.height)
        data = _fitting(small, limit, meter)
        if data is None and max(size) <= _SMALLEST:
            data = _webp(small, _QUALITIES[0], meter)
        if data is not None:
            return embedded(data, size)
        scale *= _SMALLER


def embedded(data: bytes, size: tuple[int, int]) -> Preview:
    """Return a WebP of `size` pixels as it is."""
    uri = "data:image/webp;base64," + base64.b64encode(data).decode("ascii")
    return Preview(uri=Markup(uri), width=size[0], height=size[1])  # noqa: S704 - base64


def _fitting(image: Image.Image, limit: int, meter: Meter | None) -> bytes | None:
    """Return a WebP of the highest quality that keeps to the limit, None where none does.

    The lowest quality is tried second: of an image that fits in none, nothing else need be tried.
    """
    best, *between, lowest = _QUALITIES
    data = _webp(image, best, meter)
    if len(data) <= limit:
        return data
    data = _webp(image, lowest, meter)
    if len(data) > limit:
        return None
    while between:
        middle = len(between) // 2
        tried = _webp(image, between[middle], meter)
        if len(tried) <= limit:
            data, between = tried, between[:middle]
        else:
            between = between[middle + 1 :]
    return data


def close_ups(
    image: Image.Image,
    text: Box,
    spots: Iterable[Box],
    *,
    reading_size: tuple[int, int],
    meter: Meter | None = None,
) -> tuple[Crop, ...]:
    """Cut out the first differing characters of a text; () where its own cut-out shows them as large.

    `text` is where the text is and `spots` where the characters are, in the reading's pixels.
    """
    whole = (text[2] - text[0]) * (text[3] - text[1])
    found = []
    for left, top, right, bottom in spots:
        around = _AROUND * max(right - left, bottom - top)
        box = (left - around, top - around, right + around, bottom + around)
        if (box[2] - box[0]) * (box[3] - box[1]) <= _NEAR * whole:
            found.append(crop(image, box, reading_size=reading_size, limit=CLOSE_BYTES, side=CLOSE_SIDE, meter=meter))
        if len(found) == MAX_CLOSE:
            break
    return tuple(cut for cut in found if cut is not None)


def crop(
    image: Image.Image,
    box: Box,
    *,
    reading_size: tuple[int, int],
    limit: int = CROP_BYTES,
    side: int = CROP_SIDE,
    meter: Meter | None = None,
) -> Crop | None:
    """Cut out the lines within `box` (left, top, right, bottom in the reading's pixels) with a margin.

    Returns None where the box is empty, outside, or nearly the whole image. `limit` is in bytes, `side` in pixels.
    """
    across, down = image.width / max(1, reading_size[0]), image.height / max(1, reading_size[1])
    left, top, right, bottom = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    margin = max(6.0, 0.25 * min(right - left, bottom - top))
    edges = (
        max(0, int(left - margin)),
        max(0, int(top - margin)),
        min(image.width, round(right + margin)),
        min(image.height, round(bottom + margin)),
    )
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    if width < 4 or height < 4 or width * height > _WHOLE * image.width * image.height:
        return None
    small = preview(_enlarged(_cut(image, edges)), limit, side, meter=meter)
    placed = (edges[0] / across, edges[1] / down, width / across, height / down)
    return Crop(preview=small, box=(round(placed[0]), round(placed[1]), round(placed[2]), round(placed[3])))


def _cut(image: Image.Image, edges: tuple[int, int, int, int]) -> Image.Image:
    """Return the part within the edges; a very large one at half its size, for a copy of it takes 40 MB."""
    width, height = edges[2] - edges[0], edges[3] - edges[1]
    if width * height <= _LARGE_CUT:
        return image.crop(edges)
    return image.resize((width // 2, height // 2), Image.Resampling.BOX, box=edges)


def _enlarged(cut: Image.Image) -> Image.Image:
    """Enlarge a low cut-out, so that a single character can be seen."""
    factor = min(CROP_HEIGHT / cut.height, CROP_SIDE / cut.width, MAX_ENLARGED)
    if factor <= 1:
        return cut
    return cut.resize((round(cut.width * factor), round(cut.height * factor)), Image.Resampling.BICUBIC)


def _webp(image: Image.Image, quality: int, meter: Meter | None) -> bytes:
    if meter is not None:
        meter.spend(encoded=image.width * image.height)
    buffer = io.BytesIO()
    # method 2: a third of the default's time for a few per cent more bytes; no metadata is taken over.
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()
