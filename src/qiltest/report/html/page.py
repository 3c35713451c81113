"""Renders report.html: one file that loads nothing else; the full images are linked beside it."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from qiltest.report.benchmarks import CAVEAT
from qiltest.report.html.charts import charts
from qiltest.report.html.preview import Crop, Preview, budget, close_ups, crop, open_image, preview
from qiltest.report.image_view import ImageView
from qiltest.report.templating import asset, html_environment
from qiltest.report.view import RunView

#: wrong texts of one image that get a cut-out.
MAX_CROPS = 4
#: each holds one decoded image, 5 MB at 1328x1328.
MAX_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """The images of one cell, within the file; None where there is none or it cannot be opened."""

    #: address of the full PNG, relative to the report; "" for none.
    href: str
    now: Preview | None
    before: Preview | None
    #: by number of the expected text.
    crops: dict[int, Crop] = field(default_factory=dict)
    #: close-ups of differing characters, by number of the text; only where the text's cut-out is much larger.
    close: dict[int, tuple[Crop, ...]] = field(default_factory=dict)


def render_html(page: RunView, folder: Path) -> str:
    """Return the report for a file in `folder`, from where the full images are linked."""
    style, script = asset("report.css"), asset("report.js")
    return (
        html_environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            embedded=embed(page.cells, folder),
            charts=charts(page.run),
            caveat=CAVEAT,
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
    """Return the embedded images of each cell by its anchor, within one budget for all."""
    cells = tuple(cells)
    limit = budget(len(cells) + sum(cell.before is not None for cell in cells))
    # Pillow decodes, scales and encodes without Python's lock, so threads use the cores there are
    with ThreadPoolExecutor(max_workers=min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        made = pool.map(lambda cell: _embed(cell, folder, limit), cells)
        return {cell.anchor: embedded for cell, embedded in zip(cells, made, strict=True)}


def _embed(cell: ImageView, folder: Path, limit: int) -> Embedded:
    before = None if cell.before is None else open_image(cell.before)
    then = None if before is None else preview(before, limit)
    path = None if cell.result.image is None else cell.result.image.path
    image = None if path is None else open_image(path)
    if path is None or image is None:
        return Embedded(href="" if path is None else href(path, folder), now=None, before=then)
    crops, close = {}, {}
    for text in cell.wrong[:MAX_CROPS]:
        cut = None if text.box is None else crop(image, text.box, reading_size=cell.extent)
        if cut is not None:
            crops[text.number] = cut
        if text.box is not None:
            close[text.number] = close_ups(image, text.box, cell.spots(text), reading_size=cell.extent)
    return Embedded(href=href(path, folder), now=preview(image, limit), before=then, crops=crops, close=close)


def href(path: Path, folder: Path) -> str:
    """Return the address of `path` for a page in `folder`: relative, and never with a scheme of its own."""
    relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return "./" + quote(relative, errors="replace")
