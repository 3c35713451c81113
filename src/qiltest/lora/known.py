"""What was measured of large LoRA files before: in this process, and in the user's cache folder.

In the process by path and by what the file system says of the file; on disk by the file's SHA-256, the base and this
folder's own code, so that a file, a base or a measure that changes is measured again. The cache is a convenience: where
it cannot be read or written, or is damaged, files are measured again.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.hashing import REMEMBERED_FROM, cache_folder
from qiltest.lora.deltas import Measured
from qiltest.strict_json import decode_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qiltest.lora.bases import Base
    from qiltest.lora.safetensors_file import SafetensorsFile

#: files of which a process keeps what it measured.
_MOST = 16
_FOLDER = "inspections"
_REMEDY = "remove it; the file is then measured again"

_turns: dict[Key, threading.Lock] = {}
_seen: dict[Key, tuple[Measured, ...]] = {}
_turn = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Key:
    """A file as it is, measured against a base."""

    path: Path
    state: tuple[int, ...]
    base: Base


@dataclass(frozen=True, kw_only=True)
class _Stored:
    key: str
    measured: tuple[Measured, ...]


def is_kept(file: SafetensorsFile) -> bool:
    """Return whether what is measured of a file is kept: of a small one it is made in no time."""
    return file.size >= REMEMBERED_FROM


@contextmanager
def one_at_a_time(key: Key) -> Iterator[None]:
    """Let others who ask for the same file wait until the block has measured it."""
    with _turn:
        turn = _turns.setdefault(key, threading.Lock())
    with turn:
        yield


def recall(key: Key, sha256: str | None) -> tuple[Measured, ...] | None:
    """Return what was measured; `sha256` is the file's hash where it is known without reading the file."""
    seen = _seen.get(key)
    if seen is not None or sha256 is None:
        return seen
    named = _named(key, sha256)
    try:
        found = decode_stored(_Stored, _path(named), what="what was measured of a LoRA", remedy=_REMEDY)
    except (OSError, StoreError):
        return None
    if found is None or found.key != named:
        return None
    keep(key, found.measured)
    return found.measured


def keep(key: Key, measured: Sequence[Measured], sha256: str | None = None) -> None:
    """Keep what was measured, on disk where the file's hash is given and every number is finite."""
    with _turn:
        _seen[key] = tuple(measured)
        while len(_seen) > _MOST:
            del _seen[next(iter(_seen))]
    if sha256 and all(math.isfinite(one.delta.norm) and math.isfinite(one.delta.scale) for one in measured):
        named = _named(key, sha256)
        text = json.dumps(asdict(_Stored(key=named, measured=tuple(measured))), allow_nan=False)
        with suppress(OSError, StoreError):
            write_atomically(_path(named), text.encode())


def _named(key: Key, sha256: str) -> str:
    parts = (sha256, repr(key.base), _code(), np.__version__)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _path(named: str) -> Path:
    return cache_folder() / _FOLDER / f"{named}.json"


@cache
def _code() -> str:
    """Return the SHA-256 of this folder's code, any of which may decide what is measured."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
