"""Check a reader's weight files: present, and of the pinned hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from qiltest.errors import ReaderError
from qiltest.hashing import file_sha256


def combined_sha256(files: Sequence[Path]) -> str:
    """Return one SHA-256 over several files' names and hashes."""
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


def refuse_unknown_pins(pins: Mapping[str, str], names: Iterable[str], *, reader: str) -> None:
    """Raise ReaderError for a pin of a file that the reader does not have: it would vouch for nothing."""
    known = sorted(names)
    unknown = sorted(pins.keys() - set(known))
    if unknown:
        raise ReaderError(
            f"pinned, but no file of this reader: {', '.join(unknown)}",
            where=f"reader {reader}",
            remedy=f"pin one of {', '.join(known[:8])}",
        )


def require_hashes(files: Sequence[Path], pins: Mapping[str, str], *, reader: str) -> None:
    """Raise ReaderError where a file's SHA-256 is not the one in `pins` (by file name); files without a pin pass."""
    for path in files:
        wanted = pins.get(path.name)
        if wanted is not None and file_sha256(path) != wanted.lower():
            pin = f"--qil-reader {quote(f'{reader}:pins={path.name}@{file_sha256(path)}')}"
            raise ReaderError(
                f"{path.name} has SHA-256 {file_sha256(path)}, but {wanted.lower()} is pinned",
                where=f"reader {reader} ({path.parent})",
                remedy=f"install the version that the pin was made for; or pin the other file ({pin}), "
                "calibrate, and record the goldens again",
            )
