"""The digest that binds a stored reading to its image, its reader, and the image quality measured with it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, fields
from typing import Any

from qiltest.quality.records import Health
from qiltest.reading.records import Line, ReaderInfo, Reading

#: a custom reader may return a lone surrogate, which cannot be written as UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")


def reading_digest(reading: Reading, health: Health | None, *, image: str, stored: bytes = b"") -> str:
    """Return the SHA-256 over a reading with its reader's identity, its image's SHA-256 and the image's quality.

    It is the same before a reading is written and after it is read back. `stored` is the line of a run that the reading
    is from: its numbers are taken as they stand there, because writing millions of them again takes longer than all
    else. A line that was not written by `events.encode` may give another digest. Raises ValueError for a number that is
    not finite.
    """
    reader = reading.reader
    lines = _lines_in(stored)
    known = {
        "image": image,
        "reader": [*_values(reader).values(), reader.fingerprint],
        "size": [reading.width, reading.height, float(reading.seconds)],
        "lines": [_line(line) for line in reading.lines] if lines is None else None,
        "health": None if health is None else _health(health),
        # a reading of before strokes were judged has the digest that it was written with
        **({"glyphs": reading.glyphs} if reading.glyphs else {}),
    }
    text = _encoded(json.dumps(known, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    if lines is not None:
        before, after = text.rsplit(_NO_LINES, 1)
        text = b"".join((before, _NO_LINES.removesuffix(b"null"), lines, after))
    return hashlib.sha256(text).hexdigest()


_NO_LINES = b',"lines":null'
#: the keys of `Line` as they stand in a stored line, and what is in their place in a digest; no text has them, because
#: quotes are escaped there.
_KEYS = (
    # a line of before these were stored has the digest that it was written with
    (b',"places":[],"strokes":[]', b""),
    (b',"places":', b","),
    (b',"strokes":', b","),
    (b'},{"text":', b"],["),
    (b'{"text":', b"["),
    (b',"box":', b","),
    (b',"confidence":', b","),
    (b',"characters":', b","),
)


def _lines_in(stored: bytes) -> bytes | None:
    """Return the lines of the reading in a stored line as a digest has them; None where there are none."""
    start, end = stored.find(b',"lines":[{"text":'), stored.find(b'}],"seconds":')
    if not 0 <= start < end:
        return None
    found = stored[start + len(b',"lines":[') : end]
    for key, instead in _KEYS:
        found = found.replace(key, instead)
    return b"[" + found + b"]]"


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # looking for surrogates in every text takes as long as all else
        return SURROGATE.sub("\ufffd", text).encode()


def _values(record: ReaderInfo | Health) -> dict[str, Any]:
    """Return a record's values by name; asdict copies each of them, which takes longer than the digest."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _line(line: Line) -> list[object]:
    box = [[*map(float, point)] for point in line.box]
    values: list[object] = [line.text, box, float(line.confidence), [*map(float, line.characters)]]
    if line.places or line.strokes:
        values += [[*map(float, line.places)], [None if odds is None else float(odds) for odds in line.strokes]]
    return values


def _health(health: Health) -> dict[str, object]:
    found = {name: value for name, value in _values(health).items() if name not in {"version", "scene"}}
    known: dict[str, object] = {
        "version": health.version,
        **{name: None if x is None else float(x) for name, x in found.items()},
    }
    # a run of before scenes were measured has the digest that it was written with
    return known if health.scene is None else {**known, "scene": asdict(health.scene)}
