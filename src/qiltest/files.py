"""Write files atomically, and read files from outside: regular ones only, of bounded size."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
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
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(most + 1) if size <= most else b""  # its size may grow, or be unknown
    if size > most or len(data) > most:
        raise OSError(errno.EFBIG, f"File too large (at most {most:,} bytes are read)", str(path))
    return data


def open_regular(path: Path) -> io.BufferedReader:
    """Open a regular file to read, and wait for nothing.

    Raises OSError for a folder, FIFO, socket or device, and for a name that no file can have.
    """
    try:
        # without O_NONBLOCK a FIFO that nobody writes to would be waited for
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:
        raise OSError(errno.EINVAL, "Not a file's name", str(path)) from error
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "Not a regular file", str(path))


def stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    """Return what differs where the file of a path is another one, or was changed: size, times, inode.

    Size and time of change can be set, and are equal in images that are built reproducibly; the inode or the time of
    the last change of either then differs. The device is left out: its number may change with every mount.
    """
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


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
