"""The digest that binds a stored reading to its image, its reader, and the image quality measured with it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict

from qiltest.quality.records import Health
from qiltest.reading.records import Line, Reading

#: a custom reader may return a lone surrogate, which cannot be written as UTF-8.
SURROGATE = re.compile("[\ud800-\udfff]")


def reading_digest(reading: Reading, health: Health | None, *, image: str) -> str:
    """Return the SHA-256 over a reading with its reader's identity, its image's SHA-256 and the image's quality.

    It is the same before a reading is written and after it is read back. Raises ValueError for a number that is not
    finite.
    """
    reader = reading.reader
    fields = {
        "image": image,
        "reader": [*asdict(reader).values(), reader.fingerprint],
        "size": [reading.width, reading.height, float(reading.seconds)],
        "lines": [_line(line) for line in reading.lines],
        "health": None if health is None else _health(health),
    }
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(SURROGATE.sub("\ufffd", text).encode()).hexdigest()


def _line(line: Line) -> list[object]:
    box = [[float(x), float(y)] for x, y in line.box]
    return [line.text, box, float(line.confidence), [float(value) for value in line.characters]]


def _health(health: Health) -> dict[str, object]:
    measures = {name: value for name, value in asdict(health).items() if name not in {"version", "scene"}}
    found: dict[str, object] = {
        "version": health.version,
        **{name: None if x is None else float(x) for name, x in measures.items()},
    }
    # a run of before scenes were measured has the digest that it was written with
    return found if health.scene is None else {**found, "scene": asdict(health.scene)}
