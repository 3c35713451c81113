"""The kinds of image, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drawn import rows, scenes, titles
from drawn.job import Job


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A layout, and the number of texts that it takes at least (one of them gets the error)."""

    lay_out: Callable[[Job], None]
    texts: int


KINDS: Mapping[str, Kind] = {
    "poster": Kind(lay_out=titles.poster, texts=3),
    "mixed title": Kind(lay_out=titles.mixed_title, texts=2),
    "split": Kind(lay_out=rows.split, texts=2),
    "wide gap": Kind(lay_out=rows.wide_gap, texts=2),
    "beside": Kind(lay_out=rows.beside, texts=2),
    "extended": Kind(lay_out=rows.extended, texts=3),
    "end marks": Kind(lay_out=rows.end_marks, texts=3),
    "first letter": Kind(lay_out=rows.first_letter, texts=3),
    "banner": Kind(lay_out=titles.banner, texts=1),
    "shadowed": Kind(lay_out=titles.shadowed, texts=2),
    "neon": Kind(lay_out=titles.neon, texts=3),
    "chalk": Kind(lay_out=scenes.chalk, texts=3),
    "embossed": Kind(lay_out=titles.embossed, texts=2),
    "small": Kind(lay_out=rows.small, texts=2),
    "caption": Kind(lay_out=rows.caption, texts=6),
    "perspective": Kind(lay_out=scenes.perspective, texts=3),
    "columns": Kind(lay_out=scenes.columns, texts=2),
    "paragraph": Kind(lay_out=scenes.paragraph, texts=2),
    "whiteboard": Kind(lay_out=scenes.whiteboard, texts=3),
    "comic": Kind(lay_out=scenes.comic, texts=2),
    "menu": Kind(lay_out=rows.menu, texts=4),
    "numbers": Kind(lay_out=rows.numbers, texts=3),
    "street": Kind(lay_out=scenes.street, texts=9),
    "case": Kind(lay_out=scenes.case, texts=1),
}
