"""Readings to and from JSON, for the run store: strict both ways, finite numbers only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from qiltest.errors import StoreError
from qiltest.reading.records import Line, Point, ReaderInfo, Reading


def reading_to_json(reading: Reading) -> dict[str, Any]:
    """Plain data for `json.dumps(..., allow_nan=False)`; `reading_from_json` gives back an equal reading."""
    return {
        "reader": info_to_json(reading.reader),
        "width": reading.width,
        "height": reading.height,
        "seconds": reading.seconds,
        "lines": [
            {
                "text": line.text,
                "box": [list(point) for point in line.box],
                "confidence": line.confidence,
                "characters": list(line.characters),
            }
            for line in reading.lines
        ],
    }


def reading_from_json(data: object) -> Reading:
    """Rebuild a reading. Raises StoreError naming the key that is missing, unknown, of a wrong type or not finite."""
    fields = mapping(data, "reading", {"reader", "width", "height", "seconds", "lines"})
    return Reading(
        reader=info_from_json(fields["reader"]),
        width=integer(fields["width"], "reading.width", least=1),
        height=integer(fields["height"], "reading.height", least=1),
        seconds=number(fields["seconds"], "reading.seconds", least=0.0),
        lines=tuple(
            _line(item, f"reading.lines[{i}]") for i, item in enumerate(sequence(fields["lines"], "reading.lines"))
        ),
    )


def info_to_json(info: ReaderInfo) -> dict[str, Any]:
    """Plain data for a reader's identity."""
    return {
        "name": info.name,
        "engine": info.engine,
        "version": info.version,
        "weights_sha256": info.weights_sha256,
        "settings": [list(pair) for pair in info.settings],
        "device": info.device,
    }


def info_from_json(data: object) -> ReaderInfo:
    """Rebuild a reader's identity. Raises StoreError."""
    keys = {"name", "engine", "version", "weights_sha256", "settings", "device"}
    fields = mapping(data, "reader", keys)
    return ReaderInfo(
        **{key: string(fields[key], f"reader.{key}") for key in sorted(keys - {"settings"})},
        settings=tuple(_pair(item) for item in sequence(fields["settings"], "reader.settings")),
    )


def mapping(data: object, where: str, keys: set[str]) -> Mapping[str, Any]:
    """Return `data` where it is an object with exactly `keys`; else StoreError."""
    if not isinstance(data, Mapping):
        raise _wrong(where, "an object", data)
    if set(data) != keys:
        missing, unknown = sorted(keys - set(data)), sorted(map(str, set(data) - keys))
        raise StoreError(f"missing keys {missing}, unknown keys {unknown}", where=where, remedy=REMEDY)
    return data


def sequence(data: object, where: str) -> list[Any]:
    """Return `data` where it is a list; else StoreError."""
    if not isinstance(data, list | tuple):
        raise _wrong(where, "a list", data)
    return list(data)


def string(data: object, where: str) -> str:
    """Return `data` where it is text; else StoreError."""
    if not isinstance(data, str):
        raise _wrong(where, "text", data)
    return data


def boolean(data: object, where: str) -> bool:
    """Return `data` where it is true or false; else StoreError."""
    if not isinstance(data, bool):
        raise _wrong(where, "true or false", data)
    return data


def integer(data: object, where: str, *, least: int = 0) -> int:
    """Return `data` where it is a whole number of at least `least`; else StoreError."""
    if isinstance(data, bool) or not isinstance(data, int) or data < least:
        raise _wrong(where, f"a whole number of at least {least}", data)
    return data


def number(data: object, where: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """Return `data` where it is finite and within bounds; else StoreError."""
    if isinstance(data, bool) or not isinstance(data, int | float) or not math.isfinite(data):
        raise _wrong(where, "a finite number", data)
    if not least <= data <= most:
        raise _wrong(where, f"a number from {least} to {most}", data)
    return float(data)


REMEDY = "the record is damaged or of another version: read the picture again"


def _wrong(where: str, wanted: str, data: object) -> StoreError:
    return StoreError(f"expected {wanted}, found {str(data)[:60]!r}", where=where, remedy=REMEDY)


def _line(data: object, where: str) -> Line:
    fields = mapping(data, where, {"text", "box", "confidence", "characters"})
    box = [_point(point, f"{where}.box") for point in sequence(fields["box"], f"{where}.box")]
    if len(box) != 4:
        raise _wrong(f"{where}.box", "four points", fields["box"])
    return Line(
        text=string(fields["text"], f"{where}.text"),
        box=(box[0], box[1], box[2], box[3]),
        confidence=number(fields["confidence"], f"{where}.confidence", least=0.0, most=1.0),
        characters=tuple(
            number(item, f"{where}.characters", least=0.0, most=1.0)
            for item in sequence(fields["characters"], f"{where}.characters")
        ),
    )


def _point(data: object, where: str) -> Point:
    values = sequence(data, where)
    if len(values) != 2:
        raise _wrong(where, "a point of two numbers", data)
    return number(values[0], where), number(values[1], where)


def _pair(data: object) -> tuple[str, str]:
    values = sequence(data, "reader.settings")
    if len(values) != 2:
        raise _wrong("reader.settings", "pairs of name and value", data)
    return string(values[0], "reader.settings"), string(values[1], "reader.settings")
