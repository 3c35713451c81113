"""The image in a server's answer: one PNG of the size that was asked for, as pixels."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from qiltest.errors import AnswerError, ReaderError
from qiltest.reading.images import load_image
from qiltest.recipe import Size
from qiltest.text.escape import one_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PNG = b"\x89PNG\r\n\x1a\n"
#: the beginnings of other images that servers send instead.
_OTHERS = {b"\xff\xd8\xff": "a JPEG", b"RIFF": "a WebP", b"GIF8": "a GIF"}
#: bytes of an answer beside its image.
_ROOM = 1 << 20


def most_bytes(size: Size) -> int:
    """Return the most bytes of an answer with one image: four channels that are not compressed, in base64."""
    return (size.width * size.height * 4 + _ROOM) * 4 // 3 + _ROOM


def pixels_of(value: Any, size: Size, *, where: str) -> NDArray[np.uint8]:  # noqa: ANN401 -- JSON
    """Return the pixels (uint8, height x width x 3) of an answer's only image. Raises AnswerError."""
    data = _decoded(_only(value, where), where)
    if not data.startswith(_PNG):
        seen = next((name for start, name in _OTHERS.items() if data.startswith(start)), "no image that is known")
        raise AnswerError(
            f"the answer holds {seen}, a PNG was asked for",
            where=where,
            remedy="the server ignores output_format: a lossy image is another image; use one that sends PNG",
        )
    try:
        pixels = load_image(data, most_pixels=max(size.width * size.height, 1) * 4)
    except ReaderError as error:
        raise AnswerError(f"the answer's PNG {error.what}", where=where, remedy="look into the server's log") from error
    seen_size = Size(pixels.shape[1], pixels.shape[0])
    if seen_size != size:
        raise AnswerError(
            f"the image is {seen_size}, {size} was asked for",
            where=where,
            remedy="the server rounds or ignores the size: choose another with --qil-size, or allow it on the server",
        )
    return pixels


def _only(value: Any, where: str) -> str:  # noqa: ANN401 -- JSON
    """Return the base64 text of the only image."""
    items = value.get("data") if isinstance(value, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise AnswerError(
            f"the answer has no images: {_shape(value)}", where=where, remedy="check --qil-server and --qil-server-api"
        )
    if len(items) != 1:
        raise AnswerError(
            f"the answer has {len(items)} images, one was asked for", where=where, remedy="the server ignores n=1"
        )
    text = items[0].get("b64_json")
    if isinstance(text, str) and text:
        return text
    if items[0].get("url"):
        raise AnswerError(
            "the answer has an image's address instead of the image, which is not fetched",
            where=where,
            remedy="the server ignores response_format=b64_json: use one that sends the image itself",
        )
    raise AnswerError("the answer's image is empty", where=where, remedy="look into the server's log")


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise AnswerError(
            f"the image is no base64 ({error}): it was cut off, or is something else",
            where=where,
            remedy="look at what lies between here and the server, such as a gateway that limits answers",
        ) from error


def _shape(value: Any) -> str:  # noqa: ANN401 -- JSON
    names = ", ".join(map(str, value)) if isinstance(value, dict) else type(value).__name__
    return one_line(f"it has {names or 'nothing'}", 120)
