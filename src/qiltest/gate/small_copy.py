"""The small copy of a golden's image, WebP: so that somebody can see what was accepted, without any old run.

No verdict depends on it: what the gate compares stands in the golden itself.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from qiltest.errors import GoldenError, ReaderError
from qiltest.gate.golden import COPY_SUFFIX, Golden, GoldenStore
from qiltest.reading.images import Pixels, load_image

#: Most bytes of a small copy: the goldens of three variants stay below 3 MB in a repository.
MOST_COPY = 40_000
#: Longer side in pixels and WebP quality, in the order in which they are tried until the copy is small enough. The last
#: always is: 96 x 96 pixels of noise take 2 kB.
_TRIED = ((512, 80), (512, 60), (384, 60), (384, 40), (256, 40), (192, 30), (96, 10))
_REMEDY = "restore it with `git checkout`, or record the golden again with --qil-update=all"


def make_copy(image: Path | bytes) -> bytes:
    """Return a small copy of an image as WebP of at most `MOST_COPY` bytes.

    Raises ReaderError where the image cannot be decoded.
    """
    whole = Image.fromarray(load_image(image))
    for side, quality in _TRIED:
        data = _encoded(whole, side, quality)
        if len(data) <= MOST_COPY:
            break
    return data


def digest_of(copy: bytes) -> str:
    """Return the SHA-256 of a small copy, as its golden keeps it."""
    return hashlib.sha256(copy).hexdigest()


@dataclass(frozen=True, kw_only=True)
class SmallCopies:
    """The small copies of a folder of goldens."""

    goldens: GoldenStore

    def path(self, golden: Golden) -> Path:
        """Return the path of the small copy of a golden's image, whether the file exists or not."""
        return self.goldens.path(golden.model, golden.sample).with_suffix(COPY_SUFFIX)

    def record(self, golden: Golden, image: Path | bytes) -> Path:
        """Write a golden and, before it, the small copy of its image; return the golden's path.

        Raises GoldenError where one cannot be written, and ReaderError where the image cannot be decoded.
        """
        copy = make_copy(image)
        self.goldens.write(self.path(golden), copy, what="small copy of the golden's image")
        return self.goldens.save(replace(golden, small_copy=digest_of(copy)))

    def open(self, golden: Golden) -> Pixels:
        """Return the small copy of a golden's image as RGB pixels.

        Raises GoldenError where it is missing, is not the one that was recorded with the golden, or is no small image.
        """
        path = self.path(golden)
        return open_copy(self.goldens.read(path, most=MOST_COPY), golden.small_copy, path)

    def find(self, golden: Golden) -> bytes | None:
        """Return the small copy that was recorded with a golden; None where it is not there.

        It may still be no image, which `open_copy` says.
        """
        try:
            data = self.goldens.read(self.path(golden), most=MOST_COPY)
        except GoldenError:
            return None
        return data if data is not None and digest_of(data) == golden.small_copy else None

    def fault(self, golden: Golden) -> str:
        """Return why the small copy of a golden's image cannot be shown, or "". No verdict depends on it."""
        try:
            self.open(golden)
        except GoldenError as error:
            return f"{error.what} -> {error.remedy}"
        return ""


def open_copy(data: bytes | None, digest: str, path: Path) -> Pixels:
    """Return a small copy as RGB pixels; `digest` is what its golden says, `path` where it lies.

    Raises GoldenError where it is missing, another file, or no image.
    """
    if data is None:
        raise GoldenError("the small copy of the golden's image is missing", where=str(path), remedy=_REMEDY)
    if digest_of(data) != digest:
        what = "the small copy of the golden's image is not the one that was recorded with it"
        raise GoldenError(what, where=str(path), remedy=_REMEDY)
    try:
        return load_image(data, most_pixels=_TRIED[0][0] ** 2)
    except ReaderError as error:
        what = f"the small copy of the golden's image cannot be shown: {error.what}"
        raise GoldenError(what, where=str(path), remedy=_REMEDY) from error


def _encoded(image: Image.Image, side: int, quality: int) -> bytes:
    scale = min(1.0, side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    out = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(out, format="WEBP", quality=quality, method=6)
    return out.getvalue()
