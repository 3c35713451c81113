"""Hash files with SHA-256, with a cache by path and by what the file system says of the file.

The cache is a convenience: where it cannot be read or written, is damaged, or has no place, files are hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import read_file, stamp, write_atomically
from qiltest.spans import span

#: bytes from which on a file's hash is cached on disk.
REMEMBERED_FROM = 64 << 20
#: bytes that are read and hashed at once.
_PIECE = 16 << 20
#: bytes of the cache that are read, enough for 100,000 files.
_MOST = 32 << 20
#: seconds to wait for another process that writes the cache.
_PATIENCE = 10
_SHA256 = re.compile("[0-9a-f]{64}")


def cache_folder() -> Path:
    """Return the cache folder: `QILTEST_CACHE`, or `qiltest` in the user's cache folder.

    Raises StoreError where the user has no home folder. A shared one, such as /tmp, would let others decide what is in
    the cache.
    """
    named = os.environ.get("QILTEST_CACHE")
    if named:
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qiltest"
    except RuntimeError as error:  # no HOME, and no such user
        raise StoreError("there is no home folder for the cache", remedy="set QILTEST_CACHE to a folder") from error


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in lower-case hexadecimal, from the cache if the file is unchanged (`stamp`).

    Raises OSError.
    """
    return _sha256(path.resolve(), stamp(path.stat()))


def known_sha256(path: Path) -> str | None:
    """Return the SHA-256 of an unchanged file from the cache, without reading the file; None where it is not there.

    Raises OSError.
    """
    state = stamp(path.stat())
    return _remembered().get(_key(path.resolve(), state)) if state[0] >= REMEMBERED_FROM else None


def forget() -> None:
    """Forget every remembered hash, so that files are hashed again, whatever the file system says of them.

    Raises StoreError where the memory cannot be removed: it would be believed.
    """
    _sha256.cache_clear()
    try:
        path = cache_folder() / "hashes.json"
    except StoreError:
        return  # without a place nothing is remembered
    if not path.parent.is_dir():
        return
    remedy = "remove the file, or choose another folder by QILTEST_CACHE"
    with os_errors_as(StoreError, "the remembered hashes cannot be removed", where=str(path), remedy=remedy):
        path.unlink(missing_ok=True)


@cache
def _sha256(path: Path, state: tuple[int, ...]) -> str:
    if state[0] < REMEMBERED_FROM:
        return _read_sha256(path)
    key = _key(path, state)
    known = _remembered().get(key)
    if known is not None:
        return known
    with span("hash files", path.name):
        found = _read_sha256(path)
    return _remember(key, found)


def _key(path: Path, state: tuple[int, ...]) -> str:
    return "|".join(map(str, (path, *state)))


def _read_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        # large pieces: for each the thread waits for Python's lock, which another thread may hold for milliseconds
        piece = memoryview(bytearray(min(_PIECE, max(1, path.stat().st_size))))
        while read := file.readinto(piece):
            digest.update(piece[:read])
    return digest.hexdigest()


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(read_file(cache_folder() / "hashes.json", most=_MOST))
    except (OSError, ValueError, RecursionError, StoreError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: known for key, known in found.items() if isinstance(known, str) and _SHA256.fullmatch(known)}


def _remember(key: str, sha256: str) -> str:
    with suppress(OSError, StoreError):  # the hash is right without the cache
        path = cache_folder() / "hashes.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=_PATIENCE):
            write_atomically(path, json.dumps(_remembered() | {key: sha256}, indent=0).encode())
    return sha256
