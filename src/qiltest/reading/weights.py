"""Weights on disk: their hashes, known ones and pinned ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from qiltest.errors import ReaderError
from qiltest.hashing import file_sha256

#: SHA-256 of the weights that the limits and noise floors of this repository were measured with.
KNOWN_SHA256: Mapping[str, str] = {
    "PP-OCRv6_det_small.onnx": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "PP-OCRv6_rec_small.onnx": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}


def combined_sha256(files: Sequence[Path]) -> str:
    """SHA-256 over several files' names and hashes: one identity for all weights of a reader."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda item: item.name):
        digest.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def require_files(files: Sequence[Path], *, reader: str, remedy: str) -> None:
    """Raise ReaderError naming every weights file that is missing."""
    missing = [path for path in files if not path.is_file()]
    if missing:
        names = ", ".join(path.name for path in missing)
        raise ReaderError(f"weights missing: {names}", where=f"reader {reader} ({missing[0].parent})", remedy=remedy)


def require_hashes(files: Sequence[Path], pins: Mapping[str, str], *, reader: str) -> None:
    """Raise ReaderError where a file's SHA-256 is not the one in `pins` (by file name); files without a pin pass."""
    for path in files:
        wanted = pins.get(path.name)
        if wanted is not None and file_sha256(path) != wanted.lower():
            raise ReaderError(
                f"{path.name} has SHA-256 {file_sha256(path)}, but {wanted.lower()} is pinned",
                where=f"reader {reader} ({path.parent})",
                remedy="install the version the pin was made for, or change the pin and record the goldens again",
            )
