"""Write files atomically, and read files from outside: regular ones only, of bounded size."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path

_SUFFIX = ".tmp"


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, at any moment and after any crash.

    Raises OSError (disk full, no permission); then the target is unchanged and no temporary file is left. One that a
    killed process left of the same file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:40]}."
    remove_leftovers(path.parent, prefix=prefix)
    handle, temporary = _temporary(path.parent, prefix)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)  # before it is closed, which ends its lock
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def _temporary(folder: Path, prefix: str) -> tuple[int, Path]:
    """Create a temporary file, locked for as long as it is open, which tells it from those of dead processes."""
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=_SUFFIX)
        with contextlib.suppress(OSError):  # a file system without locks: nobody can take it for a dead one's either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # it was taken for a dead one's before it was locked


def remove_leftovers(folder: Path, *, prefix: str = ".") -> None:
    """Remove the temporary files of a folder whose process was killed; those that a process is writing stay.

    One that may not be removed stays too: it is in nobody's way.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(_SUFFIX)]
        for name in names:
            with contextlib.suppress(OSError):
                _remove_if_dead(folder / name)


def _remove_if_dead(path: Path) -> None:
    """Remove a temporary file. Raises OSError where its process lives, and where it may not be removed."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    finally:
        os.close(handle)


def read_file(path: Path, *, most: int) -> bytes:
    """Return the bytes of a regular file of at most `most` bytes.

    Raises OSError: FileNotFoundError and the like, and for a larger file, a folder, FIFO, socket or device, which is
    neither waited for nor read.
    """
    handle = open_regular(path)
    try:
        status = os.fstat(handle)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(most + 1) if status.st_size <= most else b""  # its size may grow, or be unknown
    finally:
        os.close(handle)
    if status.st_size > most or len(data) > most:
        raise OSError(errno.EFBIG, f"File too large (at most {most:,} bytes are read)", str(path))
    return data


def open_regular(path: Path) -> int:
    """Return a descriptor of a regular file, to read. Raises OSError for a folder, FIFO, socket or device too."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "Not a regular file", str(path))


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
