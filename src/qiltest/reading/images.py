"""Decode and check images for readers.

An image is a file from outside: from a model, a server, or somebody's folder. Only the formats of `FORMATS` are opened,
at most `MAX_BYTES` bytes and `MAX_PIXELS` pixels, and whatever a decoder does with a damaged one is one ReaderError.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from qiltest.errors import ReaderError, os_errors_as
from qiltest.files import read_file

Pixels = NDArray[np.uint8]

#: Pillow's names of the decoders that are used; others are larger targets, and that of EPS starts a program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
#: more than any text-to-image model makes (8192 x 8192 is 67 million); a larger image would take minutes and gigabytes.
MAX_PIXELS = 80_000_000
#: longest side by shortest. The reader enlarges the shortest: 2 x 300 pixels took it 13 GB and two minutes.
MAX_RATIO = 32
#: of a file; `MAX_PIXELS` of 16 bits in three channels, not compressed, are 480 million.
MAX_BYTES = 512 << 20
#: passes over a progressive JPEG. Encoders make about 10; one over `MAX_PIXELS` took 0.18 s, and 114 bytes of the file.
MAX_SCANS = 100
#: rows of a deep image that are converted at a time, because each value takes 8 bytes meanwhile.
_ROWS = 256
_REMEDY = f"give an intact file of one of these formats: {', '.join(FORMATS)}"
#: What decoders raise for damaged data, besides their own words for it. Of Pillow's AVIF decoder RuntimeError, of its
#: tables of tags struct.error, KeyError, TypeError; a decoder that asks for too much memory MemoryError.
DECODERS_RAISE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def load_image(image: Path | bytes, *, most_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode an image into RGB, shape (height, width, 3), 8 bit; transparency is laid on white.

    Raises ReaderError where it is missing, not a regular file, not of a known format, damaged, has no pixels, more than
    `most_pixels`, or more than `MAX_BYTES` bytes.
    """
    where = str(image) if isinstance(image, Path) else "image"
    data = _bytes_of(image, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damage that Pillow gets over, and of sizes that are checked here
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                _check_size(opened.size, where, most_pixels)
                _check_scans(opened, data, where)
                return _rgb(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise ReaderError(
            f"the image is too large: {error}", where=where, remedy=f"give one of at most {MAX_PIXELS:,} pixels"
        ) from error
    except UnidentifiedImageError as error:  # Pillow's own words name the buffer in memory
        raise ReaderError("not an image, or of a format that is not read", where=where, remedy=_REMEDY) from error
    except DECODERS_RAISE as error:
        why = str(error) or type(error).__name__
        raise ReaderError(f"cannot be decoded as an image ({why})", where=where, remedy=_REMEDY) from error


def _bytes_of(image: Path | bytes, where: str) -> bytes:
    with os_errors_as(ReaderError, "cannot be opened", where=where, remedy="check the path"):
        data = image if isinstance(image, bytes) else read_file(image, most=MAX_BYTES)
    if not data:
        raise ReaderError("the image is empty (0 bytes)", where=where, remedy=_REMEDY)
    return data


def _check_scans(image: Image.Image, data: bytes, where: str) -> None:
    """Refuse a progressive JPEG whose passes would take hours; in its data the marker of a scan stands nowhere else."""
    scans = data.count(b"\xff\xda") if image.format in {"JPEG", "MPO"} else 0
    if scans > MAX_SCANS:
        raise ReaderError(f"the JPEG has {scans:,} scans, at most {MAX_SCANS} are read", where=where, remedy=_REMEDY)


def _check_size(size: tuple[int, int], where: str, most: int) -> None:
    width, height = size
    if width * height == 0:
        raise ReaderError(
            f"the image has no pixels ({width}x{height})", where=where, remedy="give an image of at least 1x1"
        )
    if width * height > most:
        raise ReaderError(
            f"the image is too large: {width}x{height} is {width * height:,} pixels",
            where=where,
            remedy=f"give one of at most {most:,} pixels",
        )
    if max(size) > MAX_RATIO * min(size):
        raise ReaderError(
            f"the image is too narrow: {width}x{height}, one side more than {MAX_RATIO} times the other",
            where=where,
            remedy="give the whole image, or a part of it that is wider or higher",
        )


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
