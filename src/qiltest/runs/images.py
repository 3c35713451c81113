"""Images by content hash: `<run>/images/<sha256>.png`."""

from __future__ import annotations

import hashlib
import os
import re
from enum import StrEnum
from pathlib import Path

from qiltest.errors import StoreError
from qiltest.files import sync_folder, write_atomically

#: a bare hash: the only name that may become a part of a path.
SHA256 = re.compile(r"[0-9a-f]{64}")


class StoreWriteError(StoreError):
    """The store cannot be written any more (a full disk): the session ends, what it wrote is good."""


class ImageState(StrEnum):
    """What the store found where an image should be."""

    GOOD = "good"
    #: no file there, and none in quarantine: somebody took it away.
    ABSENT = "absent"
    #: its bytes are not what its name says; it was moved to `<run>/quarantine/`.
    QUARANTINED = "quarantined"


def image_path(run: Path, sha256: str) -> Path:
    """Return where an image of that hash lies. Raises StoreError for what is no SHA-256 (it would be a path)."""
    if SHA256.fullmatch(sha256) is None:
        raise StoreError(f"{sha256!r} is not a SHA-256", where=str(run), remedy="the run's events.jsonl is damaged")
    return run / "images" / f"{sha256}.png"


def put_image(run: Path, data: bytes) -> str:
    """Store an image and return its SHA-256. Raises StoreWriteError where it cannot be written."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = image_path(run, sha256)
    try:
        write_atomically(path, data)
    except OSError as error:
        raise StoreWriteError(
            f"an image could not be stored: {error.strerror or error}",
            where=str(path.parent),
            remedy="free space or choose another place with --qil-runs; the same command goes on from here",
        ) from error
    return sha256


def link_image(source: Path, run: Path, sha256: str) -> None:
    """Make an image of another run one of `run` too, without a second copy where the file system can."""
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
    """Compare an image's bytes with its name; what does not agree is moved to `<run>/quarantine/`."""
    path = image_path(run, sha256)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        held = (run / "quarantine" / path.name).exists()
        return ImageState.QUARANTINED if held else ImageState.ABSENT
    if hashlib.sha256(data).hexdigest() == sha256:
        return ImageState.GOOD
    quarantine = run / "quarantine"
    quarantine.mkdir(exist_ok=True)
    path.replace(quarantine / path.name)
    sync_folder(quarantine)
    return ImageState.QUARANTINED
