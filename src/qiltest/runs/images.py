"""Images by content hash: `<run>/images/<sha256>.png`."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import stamp, sync_folder, write_atomically
from qiltest.runs.plain_file import plain_sha256

#: a bare hash: the only name that may become a part of a path.
SHA256 = re.compile(r"[0-9a-f]{64}")
IMAGES = "images"
CANNOT_WRITE = "free disk space, or choose another folder with --qil-runs; then repeat the command to resume"


class StoreWriteError(StoreError):
    """The store cannot be written (a full disk). The session ends; what it wrote before is good."""


class ImageState(StrEnum):
    """State of a stored image."""

    GOOD = "good"
    #: no file, also not in quarantine.
    ABSENT = "absent"
    #: its bytes do not match its name; it was moved to `<run>/quarantine/`.
    QUARANTINED = "quarantined"
    #: its bytes do not match its name, and the run's folder cannot be written.
    DAMAGED = "damaged"
    #: it may not be read, or is no plain file.
    UNREADABLE = "unreadable"


def image_path(run: Path, sha256: str) -> Path:
    """Return the path of an image. Raises StoreError for an invalid SHA-256 (it could be a path)."""
    if SHA256.fullmatch(sha256) is None:
        raise StoreError(f"invalid SHA-256 {sha256!r}", where=str(run), remedy="the run's events.jsonl is damaged")
    return run / IMAGES / f"{sha256}.png"


def put_image(run: Path, data: bytes) -> str:
    """Store an image and return its SHA-256. Raises StoreWriteError."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = image_path(run, sha256)
    with os_errors_as(StoreWriteError, "the image cannot be stored", where=str(path.parent), remedy=CANNOT_WRITE):
        write_atomically(path, data)
    return sha256


def link_image(source: Path, run: Path, sha256: str) -> None:
    """Add an image of another run to `run`, by a hard link where the file system can. Raises StoreWriteError."""
    target = image_path(run, sha256)
    if target.exists():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source.resolve(), target)  # not a symbolic link, whose target may go
        sync_folder(target.parent)
    except OSError:
        with os_errors_as(StoreError, "the image cannot be read", where=str(source), remedy="make it readable"):
            data = source.read_bytes()
        put_image(run, data)


class Hashes:
    """Reads each file once, whatever names it has: an event may name an image that a thousand others name."""

    def __init__(self) -> None:
        """Know no file."""
        self._known: dict[tuple[int, ...], str] = {}

    def __call__(self, path: Path) -> str:
        """Return a file's SHA-256. Raises OSError."""
        status = path.stat()
        # another name, as in `quarantine/`, changes the time of change of the inode alone
        key = (status.st_dev, *stamp(status)[:3])
        if key not in self._known:
            self._known[key] = plain_sha256(path)
        return self._known[key]


def check_image(run: Path, sha256: str, hash_of: Callable[[Path], str] = plain_sha256) -> ImageState:
    """Check an image's bytes against its name; on a mismatch, move it to `<run>/quarantine/` where that is possible."""
    path = image_path(run, sha256)
    quarantine = run / "quarantine"
    try:
        found = hash_of(path)
    except FileNotFoundError:
        return ImageState.QUARANTINED if (quarantine / path.name).exists() else ImageState.ABSENT
    except OSError:
        return ImageState.UNREADABLE
    if found == sha256:
        return ImageState.GOOD
    try:
        quarantine.mkdir(exist_ok=True)
        path.replace(quarantine / path.name)
        sync_folder(quarantine)
    except OSError:  # a read-only mount, another user's run
        return ImageState.DAMAGED
    return ImageState.QUARANTINED


def image_problem(path: Path, state: ImageState) -> str:
    """Return what is wrong with an image."""
    if state is ImageState.ABSENT:
        return f"the stored image {path} is missing"
    if state is ImageState.UNREADABLE:
        return f"the stored image {path} cannot be read, or is no plain file"
    what = f"the bytes of the stored image {path.name} do not match its name"
    if state is ImageState.DAMAGED:
        return f"{what}; it cannot be moved away from {path.parent}"
    return f"{what}; it was moved to {path.parent.parent / 'quarantine' / path.name}"
