"""The lines of `events.jsonl` as a chain: each holds its own number and the SHA-256 of the line before it.

So an edited, missing or moved line is named. The chain shows accidents and careless edits. It is no signature: who
rewrites the whole file can compute it anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qiltest.errors import OtherSchemaError, StoreError
from qiltest.runs.plain_file import open_plain
from qiltest.strict_json import other_schema
from qiltest.text.format import count

EVENTS = "events.jsonl"
#: version of the lines; a run of another version is refused.
SCHEMA = 3
#: bytes of a line: a start with 40,000 planned images, or a reading of 4,000 lines.
MAX_LINE = 4 << 20
#: names in a line, so that a line of nothing but wrong fields does not become a gigabyte of faults.
MAX_NAMES = 100_000
DAMAGED = "the file was changed or damaged after it was written: restore it, or move the run's folder away"
#: the first line follows nothing.
FIRST = ""
_HEAD = re.compile(rb'\{"event":"[a-z]{1,16}","line":(?P<line>[1-9][0-9]{0,8}),"before":"(?P<before>[0-9a-f]{64}|)",')


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the file, without its newline."""

    #: place in the file, from 1.
    number: int
    data: bytes
    #: False for a last line without a newline: it was being written when the process died.
    whole: bool = True


def hash_of(line: bytes) -> str:
    """Return what the next line holds of this one, which is without its newline."""
    return hashlib.sha256(line).hexdigest()


def fits(line: bytes) -> str:
    """Return why a line is too large to be read again, or ""."""
    if len(line) > MAX_LINE:
        return f"longer than {count(MAX_LINE, 'byte')}"
    return f"more than {count(MAX_NAMES, 'name')}" if line.count(b'":') > MAX_NAMES else ""


def lines_of(run: Path, *, tolerate: Callable[[StoreError], None] | None = None) -> Iterator[Line]:
    """Yield a run's lines, one at a time. Raises StoreError where there is no such file, or for a broken chain.

    `tolerate` takes the faults of the chain instead; the lines go on after each but one that is too long.
    """
    path = run / EVENTS
    with open_plain(path, what="not a run", where=str(run), remedy=f"name a folder that has an {EVENTS}") as file:
        expected, before = 1, FIRST
        for line in _split(file, path, tolerate):
            if not line.whole:
                yield line
                return
            if line.number == 1:
                _check_schema(run, line.data)
            found, fault = _check(line, expected, before, path)
            if fault is not None:
                if tolerate is None:
                    raise fault
                tolerate(fault)
            expected, before = found + 1, hash_of(line.data)
            yield line


def cut_short(run: Path) -> str:
    """Return what is said of a last line without a newline."""
    return f"{run / EVENTS}: the last line is incomplete and was left out: the process died while writing it"


def _split(file: IO[bytes], path: Path, tolerate: Callable[[StoreError], None] | None) -> Iterator[Line]:
    """Yield the lines up to one that is too large."""
    number = 0
    while data := file.readline(MAX_LINE + 1):
        number += 1
        whole = data.endswith(b"\n")
        line = Line(number=number, data=data.removesuffix(b"\n"), whole=whole)
        too_large = fits(data if whole or len(data) > MAX_LINE else b"")
        if too_large:
            fault = StoreError(f"not an event of a run: {too_large}", where=f"{path}:{number}", remedy=DAMAGED)
            if tolerate is None:
                raise fault
            tolerate(fault)
            return
        yield line


def _check(line: Line, expected: int, before: str, path: Path) -> tuple[int, StoreError | None]:
    """Return the number that a line gives itself, and what is wrong with its place in the chain."""
    head = _HEAD.match(line.data)
    if head is None:
        return expected, StoreError("not an event of a run", where=f"{path}:{line.number}", remedy=DAMAGED)
    own = int(head["line"])
    if own != expected:
        what = f"line {own} of the run stands where line {expected} belongs: a line was removed, added or moved"
        return own, StoreError(what, where=f"{path}:{line.number}", remedy=DAMAGED)
    if head["before"].decode() != before:
        what = "the line was changed after it was written: the next line holds another SHA-256 of it"
        return own, StoreError(what, where=f"{path}:{max(1, line.number - 1)}", remedy=DAMAGED)
    return own, None


def _check_schema(run: Path, line: bytes) -> None:
    """Raise OtherSchemaError where a run's first line names another schema: its lines may have any form."""
    opening = other_schema(line, SCHEMA)
    if opening is not None:
        raise OtherSchemaError(
            f"the run has schema {opening['schema']!s:.20}; this qiltest reads schema {SCHEMA}",
            where=str(run),
            remedy=f"read it with the qiltest that wrote it ({opening.get('qiltest_version', 'unknown')!s:.20})",
        )
