"""Write files atomically, and read files from outside: regular ones only, of bounded size."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, at any moment and after any crash.

    Raises OSError (disk full, no permission); then the target is unchanged and no temporary file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def read_file(path: Path, *, most: int) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes.

    Raises OSError: FileNotFoundError and the like, and for a larger file, a folder, FIFO, socket or device, which is
    neither waited for nor read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(most + 1) if status.st_size <= most else b""  # its size may grow, or be unknown
    finally:
        os.close(handle)
    if status.st_size > most or len(data) > most:
        raise OSError(errno.EFBIG, f"File too large (at most {most:,} bytes are read)", str(path))
    return data


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable, where the file system can (some network ones cannot)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    # os.umask can only be read by setting it; mkstemp's 0600 would keep others from reading goldens and images.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def expanded(text: str) -> Path:
    """Return a path with `~` as the user's home folder; unchanged where there is no such folder or user."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 -- Path.expanduser raises there
