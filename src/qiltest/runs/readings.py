"""The digest that binds a stored reading to its image, its reader, and the image quality measured with it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import fields

from qiltest.quality.records import Health
from qiltest.reading.records import Line, ReaderInfo, Reading

#: a custom reader may return a lone surrogate, which cannot be written as UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")


def reading_digest(reading: Reading, health: Health | None, *, image: str) -> str:
    """Return the SHA-256 over a reading with its reader's identity, its image's SHA-256 and the image's quality.

    It is the same before a reading is written and after it is read back. Raises ValueError for a number that is not
    finite.
    """
    reader = reading.reader
    known = {
        "image": image,
        "reader": [*_values(reader).values(), reader.fingerprint],
        "size": [reading.width, reading.height, float(reading.seconds)],
        "lines": [_line(line) for line in reading.lines],
        "health": None if health is None else _health(health),
    }
    text = json.dumps(known, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(_encoded(text)).hexdigest()


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # looking for surrogates in every text takes as long as all else
        return SURROGATE.sub("\ufffd", text).encode()


def _values(record: ReaderInfo | Health) -> dict[str, object]:
    """Return a record's values by name; asdict copies each of them, which takes longer than the digest."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _line(line: Line) -> list[object]:
    box = [[*map(float, point)] for point in line.box]
    return [line.text, box, float(line.confidence), [*map(float, line.characters)]]


def _health(health: Health) -> dict[str, object]:
    measures = {name: value for name, value in _values(health).items() if name not in {"version", "scene"}}
    found: dict[str, object] = {
        "version": health.version,
        **{name: None if x is None else float(x) for name, x in measures.items()},
    }
    # a run of before scenes were measured has the digest that it was written with
    return found if health.scene is None else {**found, "scene": asdict(health.scene)}
