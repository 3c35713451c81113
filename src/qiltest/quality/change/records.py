"""The record of what an edit changed outside the texts that it was to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from qiltest.strict_json import STORED

#: Version of the measure; values of two versions are not compared.
VERSION = 1
#: A block of the map: unchanged, changed, or where the image may change (or that the input does not show).
SAME, CHANGED, FREE = ".", "#", " "

_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part of an image, in shares of its width and height from the top left corner."""

    left: _Share
    top: _Share
    right: _Share
    bottom: _Share

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class Change:
    """How an edit's output differs from its input outside the parts that may change."""

    version: int
    #: share of the blocks outside those parts that changed.
    share: _Share
    #: the largest patch of blocks that changed and touch one another, as a share of the image.
    patch: _Share
    #: share of the image that was compared.
    compared: _Share
    #: how far the image moved to the right and down, in shares of its sides, and how much it was enlarged.
    right: float
    down: float
    scale: float
    #: how far the colours moved as a whole, CIE Lab units; taken back before blocks are compared.
    colour: float
    #: correlation of the colours of 8 x 8 cells, -1 to 1: whether the layout is still there. None: not defined, as
    #: where one of the images is of one colour, or too few cells are compared.
    layout: float | None
    #: where the image may change.
    may_change: tuple[Box, ...]
    #: rows of blocks from top to bottom, one character per block.
    blocks: tuple[str, ...]

    __pydantic_config__: ClassVar[ConfigDict] = STORED
