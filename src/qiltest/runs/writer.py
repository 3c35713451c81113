"""Writing a run: each event durable before the next step begins."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

from filelock import FileLock

from qiltest.files import sync_folder
from qiltest.runs.events import Event, encode
from qiltest.runs.images import StoreWriteError, image_path, link_image, put_image
from qiltest.runs.load import EVENTS

LOCK = ".lock"


class RunWriter:
    """One run being written. The lock tells other processes that it is at work; the kernel frees it with the process.

    Every event is one write of one line, synced. A write that fails half-way (a full disk) is taken back, so that
    a line in the middle is never a truncated one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: images are generated ahead: what the background writes and what a test writes take turns.
        self._turn = threading.Lock()
        self._lock = FileLock(folder / LOCK)
        self._lock.acquire(timeout=30)
        self._file = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        sync_folder(folder)
        sync_folder(folder.parent)

    @property
    def id(self) -> str:
        """The run's id: its folder's name."""
        return self.folder.name

    def append(self, event: Event) -> None:
        """Write an event and wait until it is on the disk. Raises StoreWriteError; then the file is as it was."""
        with self._turn:
            self._write(encode(event))

    def _write(self, line: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError(28, f"only {written} of {len(line)} bytes were written")
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, before)
            raise StoreWriteError(
                f"an event could not be written: {error.strerror or error}",
                where=str(self.folder / EVENTS),
                remedy="free space or choose another place with --qil-runs; the same command goes on from here",
            ) from error

    def put(self, png: bytes) -> str:
        """Store an image and return its SHA-256. Raises StoreWriteError."""
        return put_image(self.folder, png)

    def link(self, source: Path, sha256: str) -> None:
        """Take over an image of another run, whose bytes the caller has checked."""
        link_image(source, self.folder, sha256)

    def image(self, sha256: str) -> Path:
        """Return where an image of this run lies."""
        return image_path(self.folder, sha256)

    def close(self) -> None:
        """Close the file and free the lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
