"""Decode and check images for readers."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from qiltest.errors import ReaderError, os_errors_as

Pixels = NDArray[np.uint8]

#: more than any text-to-image model makes (8192 x 8192 is 67 million); a larger image would take minutes and gigabytes.
MAX_PIXELS = 80_000_000


def load_image(image: Path | bytes) -> Pixels:
    """Decode an image into RGB, shape (height, width, 3), 8 bit; transparency is laid on white.

    Raises ReaderError where it is missing, cannot be decoded, has no pixels or more than `MAX_PIXELS`.
    """
    where = str(image) if isinstance(image, Path) else "image"
    data = _bytes_of(image, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as opened:
                _check_size(opened.size, where)
                return _rgb(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise ReaderError(
            f"the image is too large: {error}", where=where, remedy=f"give one of at most {MAX_PIXELS:,} pixels"
        ) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        # Pillow's own words name the buffer in memory
        unknown = isinstance(error, UnidentifiedImageError)
        what = "not an image, or an unknown format" if unknown else f"cannot be decoded as an image ({error})"
        raise ReaderError(what, where=where, remedy="give an intact PNG, JPEG or WebP file") from error


def _bytes_of(image: Path | bytes, where: str) -> bytes:
    with os_errors_as(ReaderError, "cannot be opened", where=where, remedy="check the path"):
        data = image if isinstance(image, bytes) else image.read_bytes()
    if not data:
        raise ReaderError("the image is empty (0 bytes)", where=where, remedy="give an intact PNG, JPEG or WebP file")
    return data


def _check_size(size: tuple[int, int], where: str) -> None:
    width, height = size
    if width * height == 0:
        raise ReaderError(
            f"the image has no pixels ({width}x{height})", where=where, remedy="give an image of at least 1x1"
        )
    if width * height > MAX_PIXELS:
        raise ReaderError(
            f"the image is too large: {width}x{height} is {width * height:,} pixels",
            where=where,
            remedy=f"give one of at most {MAX_PIXELS:,} pixels",
        )


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        raw = np.asarray(image, dtype=np.float64)
        top = 65535.0 if raw.max(initial=0.0) > 255 else 255.0
        grey = np.clip(raw / top * 255.0, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
