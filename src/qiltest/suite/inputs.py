"""The input images of edit cases: found, checked against their SHA-256, and decoded within bounds when they are needed."""

from __future__ import annotations

import hashlib
import io
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.errors import InputError
from qiltest.files import read_file
from qiltest.hashing import file_sha256
from qiltest.suite.cases import Case, InputFile

if TYPE_CHECKING:
    from PIL import Image

#: Pillow's names of the decoders that are used.
FORMATS = ("PNG", "JPEG", "WEBP")
#: of an input image: larger ones are scaled down by every edit pipeline anyway.
MOST_PIXELS, MOST_BYTES = 64_000_000, 64 << 20
_REMEDY = f"give an intact {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file of at most {MOST_PIXELS:,} pixels"


@dataclass(frozen=True, kw_only=True)
class InputImage:
    """An input image that is there. What is in it is decoded by `load`."""

    path: Path
    #: of the file's bytes.
    sha256: str

    def load(self) -> Image.Image:
        """Return the image in RGB, upright, transparency laid on white.

        Raises InputError where the file was changed, is too large, or is no image.
        """
        from PIL import Image, ImageOps

        data = _bytes_of(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise InputError("the input image was changed meanwhile", where=str(self.path), remedy="restore the file")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    what = f"the input image is too large: {opened.width}x{opened.height}"
                    raise InputError(what, where=str(self.path), remedy=_REMEDY)
                return _rgb(ImageOps.exif_transpose(opened))
        except (OSError, ValueError, SyntaxError, LookupError, Image.DecompressionBombError) as error:
            what = f"the input image cannot be decoded ({error})"
            raise InputError(what, where=str(self.path), remedy=_REMEDY) from error


def find_input(case: Case, file: InputFile) -> InputImage:
    """Return the input image of a case that is a file.

    Raises InputError where it is not there, saying how to get it, or is another file than the case names.
    """
    path = Path(case.path).parent / file.path
    if not path.is_file():
        raise InputError(f"the input image {file.path} of {case.id} is not here", where=str(path), remedy=_get(file, path))
    sha256 = file_sha256(path)
    if file.sha256 is not None and sha256 != file.sha256:
        what = f"the input image has the SHA-256 {sha256}, the case names {file.sha256}"
        raise InputError(what, where=str(path), remedy=f"it is another image: {_get(file, path)}")
    return InputImage(path=path, sha256=sha256)


def _get(file: InputFile, path: Path) -> str:
    if not file.get:
        return "restore the file: it belongs to the case"
    return f"get it once: curl --fail --location --create-dirs --output {shlex.quote(str(path))} {shlex.quote(file.get)}"


def _bytes_of(path: Path) -> bytes:
    try:
        return read_file(path, most=MOST_BYTES)
    except OSError as error:
        what = f"the input image cannot be read: {error.strerror or error}"
        raise InputError(what, where=str(path), remedy=_REMEDY) from error


def _rgb(image: Image.Image) -> Image.Image:
    from PIL import Image

    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return image.convert("RGB")
