"""The speed of a served model: percentiles of what the caller waits, one request at a time and several in flight."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import ClassVar

from pydantic import ConfigDict

from qiltest.files import write_atomically
from qiltest.strict_json import STORED, decode_stored

NAME = "served.json"
_HEAD = (
    "| size | variant | in flight | images | p50 s | p90 s | p99 s | slowest s "
    "| the server's own, median s | images per minute |"
)
_RULE = "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request for an image that was answered; `began` and `ended` by one clock, in seconds."""

    size: str
    variant: str
    concurrency: int
    began: float
    ended: float
    #: what the server says that it took, and of what (`Timing.kind`).
    seconds: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class ServedSpeed:
    """The requests of one size and variant, with so many in flight."""

    size: str
    variant: str
    concurrency: int
    images: int
    #: seconds from sending a request to the last byte of its answer, by the nearest rank.
    p50: float
    p90: float
    p99: float
    slowest: float
    #: median of the server's own seconds, and what they are of.
    own: float
    kind: str
    #: images over the time in which at least one request was in flight.
    images_per_minute: float

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class ServedSpeeds:
    """The speeds of a session."""

    rows: tuple[ServedSpeed, ...]
    #: images that were made both alone and with others in flight, and those of which that changed a pixel.
    compared: int
    changed: int

    __pydantic_config__: ClassVar[ConfigDict] = STORED


def speeds_of(requests: Iterable[Request], *, compared: int = 0, changed: int = 0) -> ServedSpeeds:
    """Return a row per size, variant and concurrency, in the order in which they were asked for."""
    groups: dict[tuple[str, str, int], list[Request]] = {}
    for request in requests:
        groups.setdefault((request.size, request.variant, request.concurrency), []).append(request)
    rows = (_row(*key, found) for key, found in groups.items())
    return ServedSpeeds(rows=tuple(rows), compared=compared, changed=changed)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values, 0 to 1, do not exceed: the nearest rank, so always one of them."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def busy_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """Return how long at least one of the spans lasted."""
    total, until = 0.0, -math.inf
    for began, ended in sorted(spans):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


def speed_lines(speeds: ServedSpeeds) -> Iterator[str]:
    """Yield the rows as a Markdown table, and what they mean."""
    yield _HEAD
    yield _RULE
    for row in speeds.rows:
        yield (
            f"| {row.size} | {row.variant} | {row.concurrency} | {row.images} | {row.p50:.3f} | {row.p90:.3f} "
            f"| {row.p99:.3f} | {row.slowest:.3f} | {row.own:.3f} ({row.kind}) | {row.images_per_minute:.2f} |"
        )
    yield ""
    yield "Seconds from sending a request to the last byte of its answer; a percentile of few images is one of them."
    if speeds.compared:
        yield (
            f"With several in flight {speeds.changed} of {speeds.compared} images have other pixels than alone. "
            f"Latency gates with one request in flight alone."
        )


def write_speeds(speeds: ServedSpeeds, folder: Path) -> Path:
    """Write the rows to `served.json` in a run's folder, for its reports. Raises OSError."""
    path = folder / NAME
    write_atomically(path, json.dumps(asdict(speeds), indent=1, ensure_ascii=False, allow_nan=False).encode())
    return path


def read_speeds(folder: Path) -> ServedSpeeds | None:
    """Return the speeds of a run's folder; None where it has none. Raises OSError; StoreError for a damaged file."""
    remedy = "remove the damaged file; the report is then written without speeds"
    return decode_stored(ServedSpeeds, folder / NAME, what="the run's speeds", remedy=remedy)


def _row(size: str, variant: str, concurrency: int, found: Sequence[Request]) -> ServedSpeed:
    waited = [request.ended - request.began for request in found]
    busy = busy_seconds((request.began, request.ended) for request in found)
    return ServedSpeed(
        size=size,
        variant=variant,
        concurrency=concurrency,
        images=len(found),
        p50=percentile(waited, 0.5),
        p90=percentile(waited, 0.9),
        p99=percentile(waited, 0.99),
        slowest=max(waited),
        own=median(request.seconds for request in found),
        kind=found[0].kind if len({request.kind for request in found}) == 1 else "mixed",
        images_per_minute=60 * len(found) / busy if busy else 0.0,
    )
