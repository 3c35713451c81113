"""Open files of a run that somebody else may have put there: a FIFO, a folder or a device is refused."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qiltest.errors import StoreError, os_errors_as


@contextmanager
def open_plain(path: Path, *, what: str, where: str, remedy: str) -> Iterator[io.BufferedReader]:
    """Open a plain file for reading; `what`, `where` and `remedy` are those of the StoreError where that fails."""
    with os_errors_as(StoreError, what, where=where, remedy=remedy):
        file = plain(path)
    with file:
        yield file


def plain(path: Path) -> io.BufferedReader:
    """Open a plain file for reading. Raises OSError, also for one of another kind and a name that cannot be one."""
    try:
        # without O_NONBLOCK a FIFO that nobody writes to would be waited for
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(22, "not a file's name") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(22, "not a plain file")
    return os.fdopen(handle, "rb")


def plain_sha256(path: Path) -> str:
    """Return a plain file's SHA-256, in hexadecimal, with little memory. Raises OSError."""
    with plain(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
