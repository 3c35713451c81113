"""Hashes of files and folders, remembered by (path, size, modification time). No torch here."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from filelock import FileLock

from qiltest.errors import DeviceError
from qiltest.files import write_atomically

#: files from this size on have their hash remembered on disk, in bytes.
REMEMBERED_FROM = 64 << 20
_CHUNK = 4 << 20
#: what decides a picture in a model folder, beside the weights: configs and vocabularies.
_MODEL_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")


def cache_folder() -> Path:
    """Return the folder for what can be made again: `QILTEST_CACHE`, or `qiltest` in the user's cache folder."""
    named = os.environ.get("QILTEST_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qiltest"


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256; that of a large file is read from the cache while size and time are unchanged."""
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
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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


def model_files(folder: Path, components: tuple[str, ...]) -> list[Path]:
    """Return the files that decide a picture: `model_index.json` and each component's weights and configs."""
    found = [folder / "model_index.json"]
    for component in components:
        inside = (folder / component).rglob("*")
        found += [path for path in inside if path.suffix in _MODEL_SUFFIXES and path.is_file()]
    return sorted(found)


def folder_sha256(folder: Path, components: tuple[str, ...]) -> str:
    """Return the SHA-256 over the names and hashes of the files that decide a picture.

    Files are hashed in threads (hashlib lets go of the interpreter). Raises DeviceError where one cannot be read.
    """
    paths = model_files(folder, components)
    try:
        with ThreadPoolExecutor(max_workers=8) as pool:
            hashes = list(pool.map(file_sha256, paths))
    except OSError as error:
        raise DeviceError(f"a file of the model cannot be read: {error}", where=str(folder)) from error
    lines = (f"{path.relative_to(folder).as_posix()} {digest}\n" for path, digest in zip(paths, hashes, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
