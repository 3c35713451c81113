"""Decode and check images for readers.

An image is a file from outside: from a model, a server, or somebody's folder. Only the formats of `FORMATS` are opened,
at most `MOST_BYTES` bytes and `MOST_PIXELS` pixels, and whatever a decoder does with a damaged one is one ReaderError.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from qiltest.errors import ReaderError, os_errors_as
from qiltest.files import read_file
from qiltest.image_files import (
    DECODERS_RAISE,
    MOST_BYTES,
    MOST_PIXELS,
    scans_fault,
    several_frames,
    size_faults,
    too_large,
)

Pixels = NDArray[np.uint8]

#: Pillow's names of the decoders that are used; others are larger targets, and that of EPS starts a program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
#: rows of a deep image that are converted at a time, because each value takes 8 bytes meanwhile.
_ROWS = 256
_REMEDY = f"give an intact file of one of these formats: {', '.join(FORMATS)}"


def load_image(image: Path | bytes, *, most_pixels: int = MOST_PIXELS) -> Pixels:
    """Decode an image into RGB, shape (height, width, 3), 8 bit; transparency is laid on white.

    Raises ReaderError where it is missing, not a regular file, not of a known format, damaged, has no pixels, more than
    `most_pixels`, or more than `MOST_BYTES` bytes.
    """
    where = str(image) if isinstance(image, Path) else "image"
    data = _bytes_of(image, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damage that Pillow gets over, and of sizes that are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                for what, remedy in size_faults(opened.size, most=most_pixels):
                    raise ReaderError(f"the image is {what}", where=where, remedy=remedy)
                if what := scans_fault(opened, data):
                    raise ReaderError(f"the image has {what}", where=where, remedy=_REMEDY)
                return _rgb(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        what, remedy = too_large(most_pixels)
        raise ReaderError(f"the image is {what}", where=where, remedy=remedy) from error
    except UnidentifiedImageError as error:  # Pillow's own words name the buffer in memory
        raise ReaderError("not an image, or of a format that is not read", where=where, remedy=_REMEDY) from error
    except DECODERS_RAISE as error:
        why = str(error) or type(error).__name__
        raise ReaderError(f"cannot be decoded as an image ({why})", where=where, remedy=_REMEDY) from error


def is_animated(image: Path | bytes) -> bool:
    """Return whether an image has several frames or pages, of which `load_image` decodes the first.

    False where it cannot be opened, which `load_image` says.
    """
    try:
        data = _bytes_of(image, "")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                return several_frames(opened)
    except (ReaderError, Image.DecompressionBombError, *DECODERS_RAISE):
        return False


def _bytes_of(image: Path | bytes, where: str) -> bytes:
    with os_errors_as(ReaderError, "cannot be opened", where=where, remedy="check the path"):
        data = image if isinstance(image, bytes) else read_file(image, most=MOST_BYTES)
    if not data:
        raise ReaderError("the image is empty (0 bytes)", where=where, remedy=_REMEDY)
    return data


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep(np.asarray(image))
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _from_deep(values: NDArray[np.generic]) -> Pixels:
    """Return the grey levels of one channel of 16 or 32 bits; what is not a number is black."""
    top = 65535.0 if np.nanmax(values, initial=0) > 255 else 255.0
    pixels = np.empty((*values.shape, 3), dtype=np.uint8)
    for first in range(0, len(values), _ROWS):
        rows = np.nan_to_num(values[first : first + _ROWS].astype(np.float64), nan=0.0)
        pixels[first : first + _ROWS] = np.clip(rows / top * 255.0, 0, 255).astype(np.uint8)[:, :, None]
    return pixels
