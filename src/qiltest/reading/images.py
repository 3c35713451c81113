"""Decode and check images for readers.

An image is a file from outside: from a model, a server, or somebody's folder. Only the formats of `FORMATS` are opened,
at most `MOST_BYTES` bytes and `MOST_PIXELS` pixels, and whatever a decoder does with a damaged one is one ReaderError.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
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
    transparent,
)

Pixels = NDArray[np.uint8]

#: Pillow's names of the decoders that are used; others are larger targets, and that of EPS starts a program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
#: rows of a deep image that are converted at a time, because each value takes 8 bytes meanwhile.
_ROWS = 256
_REMEDY = f"give an intact file of one of these formats: {', '.join(FORMATS)}"


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """An image as readers get it, and what of its file they do not get."""

    #: RGB, shape (height, width, 3), 8 bit.
    pixels: Pixels
    #: it has further frames or pages.
    several_frames: bool
    #: it was transparent in places, which are laid on white.
    transparent: bool


def load_image(image: Path | bytes, *, most_pixels: int = MOST_PIXELS) -> Pixels:
    """Return the pixels that `decode` returns; raises what it raises."""
    return decode(image, most_pixels=most_pixels).pixels


def decode(image: Path | bytes, *, most_pixels: int = MOST_PIXELS) -> Decoded:
    """Decode an image into RGB: the first of several frames, and what is transparent on white.

    Raises ReaderError where it is missing, not a regular file, not of a known format, damaged, has no pixels, more than
    `most_pixels`, or more than `MOST_BYTES` bytes.
    """
    where = str(image) if isinstance(image, Path) else "image"
    data = image_bytes(image, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damage that Pillow gets over, and of sizes that are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                for what, remedy in size_faults(opened.size, most=most_pixels):
                    raise ReaderError(f"the image is {what}", where=where, remedy=remedy)
                if what := scans_fault(opened, data):
                    raise ReaderError(f"the image has {what}", where=where, remedy=_REMEDY)
                several = several_frames(opened)
                upright = ImageOps.exif_transpose(opened)
                return Decoded(pixels=_rgb(upright), several_frames=several, transparent=transparent(upright))
    except Image.DecompressionBombError as error:
        what, remedy = too_large(most_pixels)
        raise ReaderError(f"the image is {what}", where=where, remedy=remedy) from error
    except UnidentifiedImageError as error:  # Pillow's own words name the buffer in memory
        raise ReaderError("not an image, or of a format that is not read", where=where, remedy=_REMEDY) from error
    except DECODERS_RAISE as error:
        why = str(error) or type(error).__name__
        raise ReaderError(f"cannot be decoded as an image ({why})", where=where, remedy=_REMEDY) from error


def image_bytes(image: Path | bytes, where: str) -> bytes:
    """Return the bytes of an image. Raises ReaderError where there are none, or too many; `where` names it."""
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
