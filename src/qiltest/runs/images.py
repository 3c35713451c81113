"""Images by content hash: `<run>/images/<sha256>.png`."""

from __future__ import annotations

import hashlib
import os
import re
from enum import StrEnum
from pathlib import Path

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import sync_folder, write_atomically

#: a bare hash: the only name that may become a part of a path.
SHA256 = re.compile(r"[0-9a-f]{64}")
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


def image_path(run: Path, sha256: str) -> Path:
    """Return the path of an image. Raises StoreError for an invalid SHA-256 (it could be a path)."""
    if SHA256.fullmatch(sha256) is None:
        raise StoreError(f"invalid SHA-256 {sha256!r}", where=str(run), remedy="the run's events.jsonl is damaged")
    return run / "images" / f"{sha256}.png"


def put_image(run: Path, data: bytes) -> str:
    """Store an image and return its SHA-256. Raises StoreWriteError."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = image_path(run, sha256)
    with os_errors_as(StoreWriteError, "the image cannot be stored", where=str(path.parent), remedy=CANNOT_WRITE):
        write_atomically(path, data)
    return sha256


def link_image(source: Path, run: Path, sha256: str) -> None:
    """Add an image of another run to `run`, by a hard link where the file system can."""
    target = image_path(run, sha256)
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
        sync_folder(target.parent)
    except OSError:
        put_image(run, source.read_bytes())


def check_image(run: Path, sha256: str) -> ImageState:
    """Check an image's bytes against its name; on a mismatch, move it to `<run>/quarantine/`."""
    path = image_path(run, sha256)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ImageState.QUARANTINED if (run / "quarantine" / path.name).exists() else ImageState.ABSENT
    if hashlib.sha256(data).hexdigest() == sha256:
        return ImageState.GOOD
    quarantine = run / "quarantine"
    quarantine.mkdir(exist_ok=True)
    path.replace(quarantine / path.name)
    sync_folder(quarantine)
    return ImageState.QUARANTINED
