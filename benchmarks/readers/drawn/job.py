"""One image in the making: takes texts, plants the error, fits and places them."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from drawn.backgrounds import background
from drawn.colours import Colour
from drawn.effects import Effect
from drawn.faces import Face, choose
from drawn.page import Box, Page, Writing, row_width
from drawn.texts import TYPOS, pools, wrong
from qiltest.calibration.drawing import wrapped
from qiltest.text.normalise import normalise

#: Pixels between any ink and the border of the image, and between the boxes of two texts.
BORDER, APART = 4, 6
#: any kind of face.
ANY = ("sans", "serif", "hand", "brush", "display", "mono")


class NoPlaceError(Exception):
    """The texts drawn by lot do not fit; the image is drawn again by another lot."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A text: what it should be, what is written, and in which face."""

    expected: str
    shown: str
    face: Face
    #: kind of planted error, "" for none.
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A text that was written, with the boxes of its rows."""

    part: Part
    rows: tuple[str, ...]
    boxes: tuple[Box, ...]
    size: int
    effect: Effect


@dataclass(kw_only=True)
class Job:
    """State of one image. All choices come from `rng`."""

    half: str
    faces: Sequence[Face]
    images: Path
    rng: random.Random
    #: index of the text that gets an error, None for a correct image.
    error_at: int | None
    page: Page = field(init=False)
    source: str = field(init=False, default="")
    placed: list[Placed] = field(init=False, default_factory=list)
    #: text that is not asked for, such as a speaker's name.
    beside: list[str] = field(init=False, default_factory=list)
    _taken: list[str] = field(init=False, default_factory=list)

    def start(self, width: int, height: int) -> None:
        """Lay the background."""
        made = background(self.half, (width, height), self.images, self.rng)
        self.page, self.source = Page(made.image, self.rng), made.source

    def plain(self, width: int, height: int, colour: Colour) -> None:
        """Lay one colour, such as a board."""
        self.page, self.source = Page(Image.new("RGB", (width, height), colour), self.rng), "board"

    def take(self, pool: str | Sequence[str], styles: Collection[str] = ANY, errors: Sequence[str] = TYPOS) -> Part:
        """Take an unused text of a pool, and a face for it."""
        texts = pools(self.half)[pool] if isinstance(pool, str) else pool
        free = [text for text in texts if not any(_related(text, other) for other in self._taken)]
        if not free:
            raise NoPlaceError(f"no text left in {pool}")
        return self.use(self.rng.choice(free), styles, errors)

    def use(
        self, text: str, styles: Collection[str] = ANY, errors: Sequence[str] = TYPOS, face: Face | None = None
    ) -> Part:
        """Take a given text. Plants the error where it is this text's turn."""
        face = face or choose(self.faces, [text], styles, self.rng)
        if face is None or not face.draws(text):
            raise NoPlaceError(f"no face for {text!r}")
        self._taken.append(text)
        part = Part(expected=text, shown=text, face=face)
        if self.error_at == len(self._taken) - 1:
            made = wrong(text, face, errors, self.rng)
            if made is None:
                raise NoPlaceError(f"no error for {text!r}")
            part = replace(part, shown=made[0], error=made[1])
        return part

    def fit(
        self, part: Part, width: float, height: float, sizes: tuple[int, int], *, rows: int = 99
    ) -> tuple[tuple[str, ...], int]:
        """Return rows and the largest of `sizes` (largest, least) at which they fill at most width x height."""
        largest, least = sizes
        size = largest
        while size >= least:
            broken = tuple(wrapped(part.shown, width, part.face.at(size).getlength))
            wide = max(float(part.face.at(size).getlength(row)) for row in broken)
            if len(broken) <= rows and wide <= width and len(broken) * size * 1.32 <= height:
                return broken, size
            size = min(size - 1, round(size * 0.94))
        raise NoPlaceError(f"no room for {part.shown!r}")

    def put(self, part: Part, writing: Writing) -> Placed:
        """Write a text and keep where. Raises NoPlaceError where it leaves the page or covers another text."""
        boxes = self.page.write(writing)
        self._check(boxes, writing)
        placed = Placed(part=part, rows=writing.rows, boxes=tuple(boxes), size=writing.size, effect=writing.effect)
        self.placed.append(placed)
        return placed

    def _check(self, boxes: Sequence[Box], writing: Writing) -> None:
        width, height = self.page.size
        rows = [row for row in writing.rows if row.strip()]
        if not writing.column and len(boxes) != len(rows):
            raise NoPlaceError("a row without ink")
        for left, top, right, bottom in boxes:
            if left < BORDER or top < BORDER or right > width - BORDER or bottom > height - BORDER:
                raise NoPlaceError(f"{writing.rows} leaves the page")
        others = [box for placed in self.placed for box in placed.boxes]
        if any(_meet(box, other) for box in boxes for other in others):
            raise NoPlaceError(f"{writing.rows} covers another text")

    def block(
        self,
        part: Part,
        box: tuple[float, float, float, float],
        sizes: tuple[int, int],
        *,
        rows: int = 99,
        align: str | None = None,
        effect: Effect = Effect.PLAIN,
        ink: Colour | None = None,
        turn: float = 0.0,
    ) -> Placed:
        """Fit a text into a box (left, top, right, bottom) and write it there, at a random place within."""
        left, top, right, bottom = box
        broken, size = self.fit(part, right - left, bottom - top, sizes, rows=rows)
        writing = Writing(rows=broken, face=part.face, size=size, left=left, top=top, effect=effect, ink=ink, turn=turn)
        wide = max(row_width(row, writing) for row in broken)
        align = align or self.rng.choice(["left", "centre"])
        share = {"left": self.rng.uniform(0, 0.3), "centre": 0.5, "right": 1.0}[align]
        free = bottom - top - len(broken) * size * 1.32
        placed = replace(
            writing, left=left + (right - left - wide) * share, top=top + free * self.rng.uniform(0.1, 0.6), align=align
        )
        return self.put(part, placed)


def _related(text: str, other: str) -> bool:
    """Return whether one text holds the other, so that neither could be told from a part of the other."""
    first, second = normalise(text).casefold(), normalise(other).casefold()
    return first in second or second in first


def _meet(box: Box, other: Box) -> bool:
    return (
        box[0] - APART < other[2]
        and box[2] + APART > other[0]
        and box[1] - APART < other[3]
        and box[3] + APART > other[1]
    )
