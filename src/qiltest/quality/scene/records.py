"""The record of a scene: a few numbers and a grid of 8 x 8 cells, kept with each image and in each golden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from qiltest.strict_json import STORED

#: Version of the measures; scenes of two versions are not compared.
VERSION = 1
#: Cells along each side of the grid.
GRID = 8
#: Scales of structure: the small copy, and four times half of it.
SCALES = 5
#: a cell that text covers.
NO_CELL = "-" * 8
#: Steps of a cell's texture in one grey level.
TEXTURE_STEPS = 10
#: How CIE L (0 to 100), a and b (-128 to 127) become bytes.
_L_STEPS, _OFFSET = 2.55, 128

Row = Annotated[str, Field(pattern=rf"^(?:(?:[0-9a-f]{{8}}|-{{8}})(?: |$)){{{GRID}}}$")]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The mean colour of a cell outside text (CIE Lab, D65), and its texture in grey levels."""

    lightness: float
    a: float
    b: float
    texture: float

    def code(self) -> str:
        """Return the cell as eight hexadecimal digits: L, a, b and texture, each one byte."""
        values = (
            self.lightness * _L_STEPS,
            self.a + _OFFSET,
            self.b + _OFFSET,
            self.texture * TEXTURE_STEPS,
        )
        return bytes(min(255, max(0, round(value))) for value in values).hex()

    @classmethod
    def parse(cls, code: str) -> Cell:
        """Return the cell that `code` wrote."""
        lightness, a, b, texture = bytes.fromhex(code)
        return cls(lightness=lightness / _L_STEPS, a=a - _OFFSET, b=b - _OFFSET, texture=texture / TEXTURE_STEPS)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What an image is like outside its text."""

    version: int
    #: share of the image that the lines of the reading cover, with their margin.
    text: Annotated[float, Field(ge=0, le=1)]
    #: mean structure outside text, grey levels of lightness, from fine (about 2 pixels of the small copy) to coarse,
    #: each scale twice the one before; None where too little of the image is left.
    structure: Annotated[tuple[Annotated[float, Field(ge=0)] | None, ...], Field(min_length=SCALES, max_length=SCALES)]
    #: rows from top to bottom, each of `GRID` cells: `Cell.code`, or hyphens where text covers the cell.
    cells: Annotated[tuple[Row, ...], Field(min_length=GRID, max_length=GRID)]

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def grid(self) -> Iterator[Cell | None]:
        """Yield the cells row by row, None for one that text covers."""
        for row in self.cells:
            yield from (None if code == NO_CELL else Cell.parse(code) for code in row.split(" "))
