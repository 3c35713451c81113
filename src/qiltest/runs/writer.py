"""Write a run: each event is durable before the next step begins."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from qiltest.files import sync_folder
from qiltest.runs.events import Event, Generated, Judged, decode, encode, prefix_of
from qiltest.runs.images import CANNOT_WRITE, StoreWriteError, image_path, link_image, put_image
from qiltest.runs.lines import EVENTS, FIRST, hash_of, lines_of
from qiltest.runs.load import Bound

LOCK = ".lock"


class RunWriter:
    """A run being written, locked against other processes until it is closed or the process ends.

    Every event is one synced write of one line, which continues the chain of `qiltest.runs.lines`. A write that fails
    half-way (a full disk) is undone, so that only the last line can be incomplete.
    """

    def __init__(self, folder: Path) -> None:
        """Open a run's folder, a new one or one that another process has left. Raises OSError, StoreError."""
        self.folder = folder
        #: the thread that stores images and the test write in turns.
        self._turn = threading.Lock()
        self._lock = FileLock(folder / LOCK)
        self._lock.acquire(timeout=30)
        self._file = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._bound = Bound()
        try:
            self._lines, self._last = self._resume()
            self._size = os.fstat(self._file).st_size
            sync_folder(folder)
            sync_folder(folder.parent)
        except BaseException:
            self.close()
            raise

    @property
    def id(self) -> str:
        """The run's id: its folder's name."""
        return self.folder.name

    def append(self, event: Event) -> None:
        """Write an event durably. Raises StoreWriteError; then the file is unchanged."""
        with self._turn:
            if isinstance(event, Judged):
                event = replace(event, digest=self._bound.digest(event))
            line = encode(event, line=self._lines + 1, before=self._last)
            self._write(line)
            self._bound.fault(event)
            self._lines, self._last = self._lines + 1, hash_of(line.removesuffix(b"\n"))

    def _resume(self) -> tuple[int, str]:
        """Return the number and hash of the last whole line, and take back one that a killed process cut short."""
        known, last, size = 0, FIRST, 0
        for line in lines_of(self.folder):
            if not line.whole:
                os.ftruncate(self._file, size)
                break
            if line.data.startswith(prefix_of(Generated)):
                self._bound.fault(decode(line.data, where=f"{self.folder / EVENTS}:{line.number}"))
            known, last, size = line.number, hash_of(line.data), size + len(line.data) + 1
        return known, last

    def _write(self, line: bytes) -> None:
        before = self._unchanged()
        try:
            written = os.write(self._file, line)
            if written != len(line):
                short = f"{os.strerror(errno.ENOSPC)}: only {written} of {len(line)} bytes were written"
                raise OSError(errno.ENOSPC, short)
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)
            raise StoreWriteError(
                f"the event cannot be written: {error.strerror or error}",
                where=str(self.folder / EVENTS),
                remedy=CANNOT_WRITE,
            ) from error
        self._size = before + len(line)

    def _unchanged(self) -> int:
        """Return the file's size. Raises StoreWriteError where it is not as this writer left it.

        What is written to a file that was removed, or moved away, is lost with the images of hours.
        """
        path = self.folder / EVENTS
        own = os.fstat(self._file)
        try:
            there = os.path.samestat(own, path.stat())
        except OSError:
            there = False
        if there and own.st_size == self._size:
            return own.st_size
        what = "the run was changed by somebody else" if there else "the run was removed or moved away"
        raise StoreWriteError(
            f"{what} while this session writes it",
            where=str(path),
            remedy="let nothing touch the folder of runs while a session runs; then repeat the command",
        )

    def put(self, png: bytes) -> str:
        """Store an image and return its SHA-256. Raises StoreWriteError."""
        return put_image(self.folder, png)

    def link(self, source: Path, sha256: str) -> None:
        """Add an image of another run, whose bytes the caller has checked."""
        link_image(source, self.folder, sha256)

    def image(self, sha256: str) -> Path:
        """Return the path of an image of this run."""
        return image_path(self.folder, sha256)

    def close(self) -> None:
        """Close the file and release the lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
