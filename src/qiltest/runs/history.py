"""History: one line per run in `<runs>/history.jsonl`, kept after the runs' folders are deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from filelock import FileLock
from pydantic import ConfigDict

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import open_regular
from qiltest.runs.aggregate import ErrorRate
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import status_of
from qiltest.strict_json import STORED, StrictJsonError, decode

HISTORY = "history.jsonl"
SCHEMA = 2
#: most runs that a chart shows.
MAX_RUNS = 20
#: bytes of the history that a chart is made of, those of 1,000 runs of the suite.
_LAST = 16 << 20
#: seconds to wait for another process that adds its line.
_PATIENCE = 30
#: bytes, brackets and names of a line, those of a run of 10,000 images: a parser takes a kilobyte for each bracket.
_MAX_LINE, _MAX_BRACKETS, _MAX_NAMES = 4 << 20, 10_002, 70_000


@dataclass(frozen=True, kw_only=True)
class HistorySample:
    """One sample of a run."""

    variant: str
    status: str
    #: edits and expected characters; None where nothing was scored.
    distance: int | None
    length: int | None
    #: denoise loop; None where it was not timed.
    seconds: float | None

    __pydantic_config__: ClassVar[ConfigDict] = STORED


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One run in the history."""

    schema: int
    run: str
    #: ISO 8601.
    started: str
    model: str
    #: `ReaderInfo.fingerprint`: rates of different readers are not comparable.
    reader: str
    #: by sample id.
    samples: Mapping[str, HistorySample] = field(default_factory=dict)

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    def rates(self) -> dict[str, ErrorRate]:
        """Return the pooled error rate of each variant that has one."""
        found: dict[str, list[HistorySample]] = {}
        for sample in self.samples.values():
            if sample.distance is not None and sample.length:
                found.setdefault(sample.variant, []).append(sample)
        return {variant: _pooled(samples) for variant, samples in found.items()}


def _pooled(samples: list[HistorySample]) -> ErrorRate:
    distance = sum(sample.distance or 0 for sample in samples)
    return ErrorRate(distance=distance, length=sum(sample.length or 0 for sample in samples), count=len(samples))


def past_of(run: Run) -> HistoryEntry:
    """Return a run's history entry."""
    return HistoryEntry(
        schema=SCHEMA,
        run=run.id,
        started=run.started,
        model=run.model,
        reader=run.reader.fingerprint,
        samples={result.id: _sample(result) for result in run.results},
    )


def _sample(result: CaseResult) -> HistorySample:
    score = result.score
    return HistorySample(
        variant=result.sample.variant,
        status=status_of(result).value,
        distance=None if score is None else score.distance,
        length=None if score is None else score.length,
        seconds=None if result.timing is None else result.timing.denoise_seconds,
    )


def record(run: Run) -> Path:
    """Add a run to the history beside its folder and return the file. Raises OSError.

    Safe with several processes. Of a run that is recorded twice the last line counts.
    """
    path = run.path.parent / HISTORY
    if path.exists() and not path.is_file():
        raise OSError(22, "it is not a plain file", str(path))
    line = json.dumps(asdict(past_of(run)), allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    with FileLock(path.with_name(f".{HISTORY}.lock"), timeout=_PATIENCE), path.open("ab+") as file:
        # keep this line apart from one that a killed process cut short
        if file.tell() and _last_byte(file.fileno()) != b"\n":
            line = b"\n" + line
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return path


def _last_byte(handle: int) -> bytes:
    return os.pread(handle, 1, os.fstat(handle).st_size - 1)


def read(path: Path, *, last: int | None = None) -> tuple[tuple[HistoryEntry, ...], int]:
    """Return the runs of a history file, oldest first, and the number of lines that are damaged or of another version.

    Only of its `last` bytes, if given. A missing file is an empty history. Raises StoreError for one that cannot be
    read.
    """
    found: dict[str, HistoryEntry] = {}
    bad = 0
    for line in _lines(path, last):
        entry = _decoded(line)
        if entry is None:
            bad += 1
        else:
            found[entry.run] = entry
    return tuple(sorted(found.values(), key=lambda entry: (entry.started, entry.run))), bad


def _lines(path: Path, last: int | None) -> Iterator[bytes]:
    """Yield the lines that are not empty; a line that is too long comes in parts, none of which is an entry."""
    remedy = "make it a readable file, or move it away: the next run begins a new one"
    with os_errors_as(StoreError, "the history cannot be read", where=str(path), remedy=remedy):
        try:
            file = open_regular(path)
        except FileNotFoundError:
            return
    with file:
        if last is not None and os.fstat(file.fileno()).st_size > last:
            file.seek(-last, os.SEEK_END)
            file.readline(_MAX_LINE)  # the rest of a line
        while line := file.readline(_MAX_LINE):
            if line.strip():
                yield line.removesuffix(b"\n")


def _decoded(line: bytes) -> HistoryEntry | None:
    if line.count(b"{") + line.count(b"[") > _MAX_BRACKETS or line.count(b'":') > _MAX_NAMES:
        return None
    try:
        entry = decode(HistoryEntry, line)
    except StrictJsonError:
        return None
    return entry if entry.schema == SCHEMA else None


def history(run: Run, limit: int = MAX_RUNS) -> tuple[HistoryEntry, ...]:
    """Return the recorded runs of the same model, reader and samples up to this one, oldest first, and this one."""
    now = past_of(run)
    entries: tuple[HistoryEntry, ...] = ()
    with suppress(StoreError):  # a report is written without the past; that it cannot be read is told by `record`
        entries, _ = read(run.path.parent / HISTORY, last=_LAST)
    return (*_comparable(entries, now), now)[-limit:]


def _comparable(entries: Iterable[HistoryEntry], now: HistoryEntry) -> Iterable[HistoryEntry]:
    for entry in entries:
        same = (entry.model, entry.reader, entry.samples.keys()) == (now.model, now.reader, now.samples.keys())
        if same and entry.run != now.run and entry.started <= now.started:
            yield entry
