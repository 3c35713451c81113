"""Hash files with SHA-256, with a cache by path, size and modification time."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from qiltest.files import write_atomically

#: bytes from which on a file's hash is cached on disk.
REMEMBERED_FROM = 64 << 20


def cache_folder() -> Path:
    """Return the cache folder: `QILTEST_CACHE`, or `qiltest` in the user's cache folder."""
    named = os.environ.get("QILTEST_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qiltest"


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in lower-case hexadecimal, from the cache if size and time are unchanged.

    Raises OSError.
    """
    status = path.stat()
    return _sha256(path.resolve(), status.st_size, status.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    if size < REMEMBERED_FROM:
        return _read_sha256(path)
    key = f"{path}|{size}|{mtime_ns}"
    known = _remembered().get(key)
    return known if known is not None else _remember(key, _read_sha256(path))


def _read_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered() -> dict[str, str]:
    try:
        found = json.loads((cache_folder() / "hashes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, sha256: str) -> str:
    path = cache_folder() / "hashes.json"
    with suppress(OSError):  # the hash is right without the cache
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            write_atomically(path, json.dumps(_remembered() | {key: sha256}, indent=0).encode())
    return sha256
