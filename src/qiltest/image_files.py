"""What an image file from outside may be, whoever opens it: how large, of how many frames, and whether opaque.

One limit and one message for images that are read, judged in a folder, or given to an editing model.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: of a file; `MOST_PIXELS` of 16 bits in three channels, not compressed, are 480 million.
MOST_BYTES = 512 << 20
#: more than any text-to-image model makes (8192 x 8192 is 67 million); a larger image would take minutes and gigabytes.
MOST_PIXELS = 80_000_000
#: longest side by shortest. The reader enlarges the shortest: 2 x 300 pixels took it 13 GB and two minutes.
MOST_RATIO = 32
#: passes over a progressive JPEG. Encoders make about 10; of one of `MOST_PIXELS` each takes 0.18 s, and 114 bytes.
MOST_SCANS = 100
#: of an image with transparent places on which nothing was found.
ON_WHITE = "it is transparent in places, which are laid on white: white text there cannot be seen"
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


def size_faults(size: tuple[int, int], *, most: int = MOST_PIXELS) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with an image's width and height, as in "the image is …", and the remedy."""
    width, height = size
    if width * height == 0:
        yield f"without pixels ({width}x{height})", "give an image of at least 1x1"
    elif width * height > most:
        yield f"too large: {width}x{height} is {width * height:,} pixels", at_most(most)
    elif max(size) > MOST_RATIO * min(size):
        what = f"too narrow: {width}x{height}, one side more than {MOST_RATIO} times the other"
        yield what, "give the whole image, or a part of it that is wider or higher"


def too_large(most: int = MOST_PIXELS) -> tuple[str, str]:
    """Return the same of an image whose size Pillow refuses, before anybody is told it."""
    return f"too large: it has more than {most:,} pixels", at_most(most)


def at_most(most: int) -> str:
    """Return the remedy for an image of too many pixels."""
    return f"give one of at most {most:,} pixels"


def scans_fault(opened: Image.Image, data: bytes) -> str:
    """Return why the passes of a progressive JPEG would take hours, or "", as in "the image has …"."""
    # in a JPEG's data the marker of a scan stands nowhere else
    scans = data.count(b"\xff\xda") if opened.format in {"JPEG", "MPO"} else 0
    return f"{scans:,} scans, at most {MOST_SCANS} are read" if scans > MOST_SCANS else ""


def several_frames(opened: Image.Image) -> bool:
    """Return whether an opened image is animated, or has pages, so that its first frame is not all of it.

    A photograph with a preview or a second view behind it (MPO, as phones write it) is one image.
    """
    return bool(getattr(opened, "is_animated", False)) and opened.format != "MPO"


def transparent(opened: Image.Image) -> bool:
    """Return whether an opened image has pixels that are not opaque."""
    return opened.has_transparency_data and any(opened.convert("RGBA").getchannel("A").histogram()[:255])
