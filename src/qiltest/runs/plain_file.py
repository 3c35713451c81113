"""Open files of a run that somebody else may have put there: a FIFO, a folder or a device is refused."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qiltest.errors import StoreError, os_errors_as
from qiltest.files import open_regular


@contextmanager
def open_plain(path: Path, *, what: str, where: str, remedy: str) -> Iterator[io.BufferedReader]:
    """Open a plain file for reading; `what`, `where` and `remedy` are those of the StoreError where that fails."""
    with os_errors_as(StoreError, what, where=where, remedy=remedy):
        file = open_regular(path)
    with file:
        yield file


def plain_sha256(path: Path) -> str:
    """Return a plain file's SHA-256, in hexadecimal, with little memory. Raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
