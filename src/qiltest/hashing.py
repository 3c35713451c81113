"""The SHA-256 of a file, remembered by (path, size, modification time), and the folder for what can be made again."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path

from filelock import FileLock

from qiltest.files import write_atomically

#: files from this size on have their hash remembered on disk, in bytes.
REMEMBERED_FROM = 64 << 20


def cache_folder() -> Path:
    """Return the folder for what can be made again: `QILTEST_CACHE`, or `qiltest` in the user's cache folder."""
    named = os.environ.get("QILTEST_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qiltest"


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in lower-case hexadecimal; a file of unchanged size and time is not read again.

    Raises OSError where it cannot be read.
    """
    status = path.stat()
    return _sha256(path.resolve(), status.st_size, status.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    if size < REMEMBERED_FROM:
        return _read_sha256(path)
    key = f"{path}|{size}|{mtime_ns}"
    known = _remembered().get(key)
    if known is not None:
        return known
    found = _read_sha256(path)
    _remember(key, found)
    return found


def _read_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered() -> dict[str, str]:
    try:
        found = json.loads((cache_folder() / "hashes.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, sha256: str) -> None:
    path = cache_folder() / "hashes.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            write_atomically(path, json.dumps(_remembered() | {key: sha256}, indent=0).encode())
    except OSError:  # the hash is right without being remembered
        return
