"""The characters of Tesseract's language files (`.traineddata`).

Such a file is a count of parts (int32), their offsets (int64, -1 for a part that is absent), and the parts. A list of
characters is a part of its own, the recogniser's (21) or the older engine's (1): one line each, the characters first.
"""

from __future__ import annotations

import struct
from pathlib import Path

from qiltest.errors import ReaderError

#: part numbers of a list of characters, the one that is used first: the LSTM recogniser's, the older engine's.
_LISTS = (21, 1)
#: entries that stand for no character: the space, and Tesseract's own marks for joined and broken ones.
_NO_CHARACTER = frozenset({"NULL", "Joined"})
#: more parts than any version has; a count beyond it is not a count.
_MOST_PARTS = 256


def characters_of(file: Path) -> frozenset[str]:
    """Return the characters that a language file knows. Raises ReaderError for a file of another form."""
    try:
        data = file.read_bytes()
        first, *lines = _part(data).decode("utf-8").removesuffix("\n").split("\n")
        if len(lines) != int(first):
            raise ValueError(f"{len(lines)} of {first} entries")
        entries = [line.split(" ", 1)[0] for line in lines]
    except (OSError, ValueError, struct.error) as error:
        raise ReaderError(
            f"{file.name} has no list of characters ({error})",
            where=f"reader tesseract ({file.parent})",
            remedy="install the language again, from Tesseract's own packages",
        ) from error
    known = (entry for entry in entries if entry not in _NO_CHARACTER and not entry.startswith("|Broken|"))
    return frozenset("".join(known) + " ")


def _part(data: bytes) -> bytes:
    """Return the list of characters of a language file's bytes. Raises ValueError, struct.error."""
    (count,) = struct.unpack_from("<i", data, 0)
    if not 0 < count <= _MOST_PARTS:
        raise ValueError(f"{count} parts")
    offsets = struct.unpack_from(f"<{count}q", data, 4)
    start = next((offsets[i] for i in _LISTS if i < count and offsets[i] >= 0), None)
    if start is None:
        raise ValueError("no such part")
    following = (offset for offset in offsets if offset > start)
    return data[start : min(following, default=len(data))]
