"""Renders report.html: one file that loads nothing else; the full images are linked beside it."""

from __future__ import annotations

import base64
import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from qiltest.report.benchmarks import CAVEAT
from qiltest.report.earlier import Earlier
from qiltest.report.html.charts import charts, timeline_chart
from qiltest.report.html.glyphs import GlyphPair, glyph_pairs
from qiltest.report.html.preview import (
    MOST_PIXELS,
    Crop,
    Meter,
    Preview,
    budget,
    close_ups,
    crop,
    embedded,
    open_image,
    pixels_of,
    preview,
)
from qiltest.report.image_view import ImageView
from qiltest.report.strokes import MEANING
from qiltest.report.templating import asset, html_environment
from qiltest.report.view import RunView
from qiltest.serving.speed import read_speeds

#: wrong texts of one image that get a cut-out.
MAX_CROPS = 4
#: each holds one decoded image, 5 MB at 1328x1328.
MAX_THREADS = 8
#: cells of which the images are made before the work is looked at again, and the pixels of these images together;
#: without the second, sixteen of 16 million pixels each were eight seconds' work beyond what is allowed.
_BATCH, _BATCH_PIXELS = 16, 32_000_000
#: nanoseconds of work on the images of up to so many cells, and for each of their bytes up to 100 MB, and beyond. It
#: is enough for 100 images of the embedded model of which none passes, and for as many of a real one.
_WORK, _CELLS, _PER_BYTE, _LIMITED, _PER_BYTE_BEYOND = 5_000_000_000, 300, 40, 100_000_000, 150


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """The images of one cell, within the file; None where there is none or it cannot be opened."""

    #: address of the full PNG, relative to the report; "" for none.
    href: str
    now: Preview | None
    before: Preview | None
    #: the input image of an edit.
    input: Preview | None = None
    #: why there is none, after "the image".
    why: str = ""
    #: by number of the expected text.
    crops: dict[int, Crop] = field(default_factory=dict)
    #: close-ups of differing characters, by number of the text; only where the text's cut-out is much larger.
    close: dict[int, tuple[Crop, ...]] = field(default_factory=dict)
    #: characters with broken strokes, by line of the reading and index in it.
    glyphs: dict[tuple[int, int], GlyphPair] = field(default_factory=dict)


def render_html(page: RunView, folder: Path) -> str:
    """Return the report for a file in `folder`, from where the full images are linked.

    Raises StoreError where the speeds of the run's server cannot be read.
    """
    style, script = asset("report.css"), asset("report.js")
    return (
        html_environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            embedded=embed(page.cells, folder),
            charts=charts(page.run),
            timeline=page.timeline,
            timeline_chart=None if page.timeline is None else timeline_chart(page.timeline),
            caveat=CAVEAT,
            stroke_meaning=MEANING,
            speeds=read_speeds(page.run.path),
            style=Markup(style),  # noqa: S704 - the package's own
            script=Markup(script),  # noqa: S704 - the package's own
            policy=policy(style, script),
        )
    )


def policy(style: str, script: str) -> str:
    """Return the content security policy: nothing loads, and only this style and this script run."""
    parts = ("default-src 'none'", "img-src data:", f"style-src {_hash(style)}", f"script-src {_hash(script)}")
    return "; ".join((*parts, "base-uri 'none'", "form-action 'none'"))


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def embed(cells: Iterable[ImageView], folder: Path) -> dict[str, Embedded]:
    """Return the embedded images of each cell by its anchor, within one budget of bytes and one of work for all.

    The worst are made first; where the work is spent, the others are linked.
    """
    cells = tuple(cells)
    limit = budget(len(cells) + sum((cell.before is not None) + bool(cell.result.before) for cell in cells))
    meter = Meter(_allowed(len(cells), {path for cell in cells for path in _paths(cell)}))
    worst = sorted(cells, key=lambda cell: cell.badness)
    made: dict[str, Embedded] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damage that Pillow gets over, and of sizes that are checked
        # not one at a time: Pillow decodes, scales and encodes without Python's lock, so threads use all cores
        for some in _batches(worst):
            if meter.exhausted:
                made |= {
                    cell.anchor: _linked(cell, folder, "is not shown here: the report has too many") for cell in some
                }
                continue
            with ThreadPoolExecutor(max_workers=_threads(some)) as pool:
                shown = pool.map(lambda cell: _embed(cell, folder, limit, meter), some)
                made |= {cell.anchor: one for cell, one in zip(some, shown, strict=True)}
    return made


def _allowed(cells: int, paths: Iterable[Path]) -> int:
    """Return the nanoseconds of work on the images of so many cells."""
    size = 0
    for path in paths:
        with suppress(OSError):
            size += path.stat().st_size
    for_any = _WORK * _CELLS // max(_CELLS, cells)  # more cells take more time themselves
    return for_any + min(size, _LIMITED) * _PER_BYTE + max(0, size - _LIMITED) * _PER_BYTE_BEYOND


def _batches(cells: Sequence[ImageView]) -> Iterator[list[ImageView]]:
    """Yield the cells in their order, as many at once as `_BATCH` and `_BATCH_PIXELS` allow, and at least one."""
    some: list[ImageView] = []
    pixels = 0
    for cell in cells:
        more = sum(map(pixels_of, _paths(cell)))
        if some and (len(some) == _BATCH or pixels + more > _BATCH_PIXELS):
            yield some
            some, pixels = [], 0
        some.append(cell)
        pixels += more
    if some:
        yield some


def _threads(cells: Iterable[ImageView]) -> int:
    """Return how many cells are made at once: their decoded images take the memory of one of the largest size."""
    largest = max((pixels_of(path) for cell in cells for path in _paths(cell)), default=0)
    return min(MAX_THREADS, os.cpu_count() or 1, max(1, MOST_PIXELS // max(1, largest)))


def _paths(cell: ImageView) -> Iterator[Path]:
    if cell.result.image is not None:
        yield cell.result.image.path
    if cell.before is not None:
        yield cell.before.path
    yield from (image.path for image in cell.result.before[:1])


def _linked(cell: ImageView, folder: Path, why: str) -> Embedded:
    image = cell.result.image
    return Embedded(href="" if image is None else href(image.path, folder), now=None, before=None, why=why)


def _embed(cell: ImageView, folder: Path, limit: int, meter: Meter) -> Embedded:
    then = None if cell.before is None else _then(cell.before, limit, meter)
    given = _given(cell, limit, meter)
    path = None if cell.result.image is None else cell.result.image.path
    image = None if path is None else open_image(path, meter)
    if path is None or image is None:
        large = path is not None and pixels_of(path) > MOST_PIXELS
        linked = _linked(cell, folder, "is too large to be shown here" if large else "cannot be opened")
        return replace(linked, before=then, input=given)
    crops, close = {}, {}
    for text in cell.wrong[:MAX_CROPS]:
        cut = None if text.box is None else crop(image, text.box, reading_size=cell.extent, meter=meter)
        if cut is not None:
            crops[text.number] = cut
        if text.box is not None:
            spots = cell.spots(text)
            close[text.number] = close_ups(image, text.box, spots, reading_size=cell.extent, meter=meter)
    glyphs = glyph_pairs(cell, image, meter)
    now = preview(image, limit, meter=meter)
    return Embedded(href=href(path, folder), now=now, before=then, input=given, crops=crops, close=close, glyphs=glyphs)


def _given(cell: ImageView, limit: int, meter: Meter) -> Preview | None:
    """Return the preview of an edit's first input image, None where there is none or it cannot be opened."""
    for image in cell.result.before[:1]:
        whole = open_image(image.path, meter)
        return None if whole is None else preview(whole, limit, meter=meter)
    return None


def _then(before: Earlier, limit: int, meter: Meter) -> Preview | None:
    """Return the preview of an earlier image, None where it cannot be opened; a small copy is one already."""
    if before.golden is None:
        whole = open_image(before.path, meter)
        return None if whole is None else preview(whole, limit, meter=meter)
    found = before.open_copy()
    if found is None:
        return None
    data, small = found
    meter.spend(decoded=small.width * small.height)
    return embedded(data, small.size) if len(data) <= limit else preview(small, limit, meter=meter)


def href(path: Path, folder: Path) -> str:
    """Return the address of `path` for a page in `folder`: relative, and never with a scheme of its own."""
    relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return "./" + quote(relative, errors="replace")
