"""What a session needs to know of a source whose images are there already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from qiltest.recipe import Recipe
from qiltest.suite.selection import Task

#: the first part of the names under which goldens and runs of images made elsewhere are kept.
ELSEWHERE = "elsewhere"


@dataclass(frozen=True, kw_only=True)
class Found:
    """An image that was made elsewhere. Nothing of how it was made was measured."""

    recipe: Recipe
    #: uint8, height x width x 3.
    pixels: Any
    #: the pixels as PNG bytes, without what the file told of itself.
    png: bytes


@runtime_checkable
class FindsImages(Protocol):
    """A generator whose images are there already: `found` stands for denoising and decoding, and nothing is timed."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the images as a whole; the run does not pass with any."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be checked."""
        ...

    def told_seconds(self, recipe: Recipe) -> float | None:
        """Return the seconds that a manifest tells of an image: reported, and never compared with what was measured."""
        ...

    def is_transparent(self, recipe: Recipe) -> bool:
        """Return whether a recipe's image is transparent in places, which are laid on white."""
        ...

    def recipe_of(self, task: Task) -> Recipe:
        """Return what was asked for, with the image that is there. Raises ImagesError."""
        ...

    def found(self, recipe: Recipe) -> Found:
        """Return the image of a recipe. Raises GenerationError, ImagesError and ReaderError."""
        ...
