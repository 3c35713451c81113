"""Input images: what an editing model is given beside the prompt. A file, known by its bytes."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from qiltest.errors import RecipeError
from qiltest.files import read_file
from qiltest.image_files import (
    DECODERS_RAISE,
    MOST_BYTES,
    scans_fault,
    several_frames,
    size_faults,
    too_large,
    transparent,
)
from qiltest.strict_json import STORED

if TYPE_CHECKING:
    from PIL import Image
    from pydantic import ConfigDict

#: Pillow's names of the decoders that are used for input images.
FORMATS = ("PNG", "JPEG", "WEBP")
_REMEDY = f"give an intact file of one frame and without transparency: {', '.join(FORMATS)}"


@dataclass(frozen=True, kw_only=True)
class InputImage:
    """One input image: where its file is, and the SHA-256 of its bytes. Two with the same bytes are the same image."""

    #: where the file is; told, and no part of an image's identity.
    path: str
    #: of the file's bytes, hexadecimal in lower case.
    sha256: str

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    @classmethod
    def of(cls, path: Path) -> InputImage:
        """Return a file as an input image. Raises RecipeError where it cannot be read."""
        return cls(path=str(path), sha256=hashlib.sha256(_read(path)).hexdigest())

    def load(self) -> Image.Image:
        """Decode the file into RGB. Raises what `data` and `decoded` raise."""
        return decoded(self.data(), self.path)

    def data(self) -> bytes:
        """Return the file's bytes. Raises RecipeError where the file is missing, too large, or was changed."""
        data = _read(Path(self.path))
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise RecipeError(
                f"the input image's SHA-256 is not {self.sha256}",
                where=self.path,
                remedy="the file was changed; restore it, or correct the hash in the case",
            )
        return data


def _read(path: Path) -> bytes:
    try:
        return read_file(path, most=MOST_BYTES)
    except OSError as error:
        why = error.strerror or error
        raise RecipeError(f"the input image cannot be read: {why}", where=str(path), remedy=_REMEDY) from error


def decoded(data: bytes, where: str) -> Image.Image:
    """Decode an image into RGB, upright as its EXIF says (diffusers' `load_image` does the same).

    Raises RecipeError where it is damaged, too large, of several frames or transparent: which frame is meant, and what
    lies behind the transparency, is nobody's to choose. `where` names it.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes that are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                for what, remedy in size_faults(opened.size):
                    raise RecipeError(f"the input image is {what}", where=where, remedy=remedy)
                if what := scans_fault(opened, data):
                    raise RecipeError(f"the input image has {what}", where=where, remedy=_REMEDY)
                if several_frames(opened):
                    raise RecipeError("the input image has several frames", where=where, remedy=_REMEDY)
                upright = ImageOps.exif_transpose(opened)
                if transparent(upright):
                    raise RecipeError("the input image is transparent in places", where=where, remedy=_REMEDY)
                return upright.convert("RGB")
    except Image.DecompressionBombError as error:  # of a size that nothing was read of yet
        what, remedy = too_large()
        raise RecipeError(f"the input image is {what}", where=where, remedy=remedy) from error
    except UnidentifiedImageError as error:  # Pillow's own words name the buffer in memory
        what = f"the input image is of another format than {', '.join(FORMATS)}, or no image"
        raise RecipeError(what, where=where, remedy=_REMEDY) from error
    except DECODERS_RAISE as error:
        why = str(error) or type(error).__name__
        raise RecipeError(f"the input image cannot be decoded: {why}", where=where, remedy=_REMEDY) from error
