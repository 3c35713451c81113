"""Run work that needs no GPU: inline, in a thread, or in a worker process.

Beside a GPU images are read in worker processes, on all CPU cores but one: OCR in a thread would hold Python's lock
while the GPU waits for work.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from qiltest.errors import ReaderError
from qiltest.reading.records import Reader, Reading
from qiltest.spans import Span, record

P = ParamSpec("P")
T = TypeVar("T")


class InlineExecutor(Executor):
    """Run each task at once, in the calling thread. The future's `result` raises its error."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a task and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  raised by `result`
            future.set_exception(error)
        return future


def executor(threads: int) -> Executor:
    """Return an executor with so many threads; 0: inline, where the CPU generates and has no core to spare."""
    return ThreadPoolExecutor(max_workers=threads, thread_name_prefix="qiltest") if threads else InlineExecutor()


class ReadingProcesses:
    """Several `ReadingProcess`, each with one image at a time, so that a crash is told of the image that it is over."""

    def __init__(self, open_reader: Callable[[str], Reader], count: int) -> None:
        """`open_reader` is called in the worker processes, so it must be importable by name."""
        self._processes = tuple(ReadingProcess(open_reader, share=(number, count)) for number in range(count))
        self._free: SimpleQueue[ReadingProcess] = SimpleQueue()
        for process in self._processes:
            self._free.put(process)

    @property
    def notices(self) -> list[str]:
        """A sentence for each restart."""
        return [notice for process in self._processes for notice in process.notices]

    @property
    def restarted(self) -> set[Path]:
        """Images on which a process crashed and was restarted."""
        return {image for process in self._processes for image in process.restarted}

    def start(self, name: str) -> None:
        """Start all processes and open a reader in each without waiting; errors are raised by `read`."""
        for process in self._processes:
            process.start(name)

    def read(self, name: str, image: Path) -> Reading:
        """Read an image with the named reader in a free process; waits for one. Raises ReaderError."""
        process = self._free.get()
        try:
            return process.read(name, image)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """Stop all processes."""
        for process in self._processes:
            process.close()


class ReadingProcess:
    """Readers in a worker process. If it crashes, it is restarted, once per image."""

    def __init__(self, open_reader: Callable[[str], Reader], share: tuple[int, int] = (0, 1)) -> None:
        """`open_reader` is called in the worker process, so it must be importable by name.

        `share` is the number of the process, from 0, and how many share the cores.
        """
        self._open_reader, self._share = open_reader, share
        self._pool: ProcessPoolExecutor | None = None
        #: a sentence for each restart.
        self.notices: list[str] = []
        #: images on which it crashed and was restarted.
        self.restarted: set[Path] = set()

    def start(self, name: str) -> None:
        """Start the process and open a reader without waiting; errors are raised by `read`."""
        self._begun().submit(_start, self._open_reader, name).add_done_callback(_note_opening)

    def read(self, name: str, image: Path) -> Reading:
        """Read an image with the named reader. Raises ReaderError, also if the process crashes twice on the image."""
        try:
            return self._try(name, image)
        except BrokenProcessPool:
            self.close()
            self.restarted.add(image)
            self.notices.append(f"OCR worker crashed on {image.name} and was restarted")
        try:
            return self._try(name, image)
        except BrokenProcessPool as error:
            self.close()
            raise ReaderError(
                "the OCR worker crashed twice on this image",
                where=str(image),
                remedy="it was killed or ran out of memory (see `dmesg`); repeat the command to resume",
            ) from error

    def close(self) -> None:
        """Stop the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _try(self, name: str, image: Path) -> Reading:
        reading, done = self._begun().submit(_read, self._open_reader, name, image).result()
        record(done)
        return reading

    def _begun(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # fork would copy a process that holds a GPU
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                max_workers=1, mp_context=context, initializer=_make_room, initargs=self._share
            )
        return self._pool


def _make_room(number: int, of: int) -> None:
    """Leave one core to the process that feeds the GPU, and share the others; let waiting OpenMP threads sleep.

    A reader has a thread for each of its cores: several, each with all, would wait for one another.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        mine = cores[1:]
        os.sched_setaffinity(0, mine[number::of] if len(mine) >= of else mine)


#: the worker process's readers by name.
_opened: dict[str, Reader] = {}


def _open(open_reader: Callable[[str], Reader], name: str) -> Reader:
    if name not in _opened:
        _opened[name] = open_reader(name)
    return _opened[name]


def _start(open_reader: Callable[[str], Reader], name: str) -> Span:
    """Open a reader ahead of its first image; returns how long, because a reader cannot be sent back."""
    start = time.monotonic()
    _open(open_reader, name)
    return _of_reader("open reader", start, name)


def _read(open_reader: Callable[[str], Reader], name: str, image: Path) -> tuple[Reading, Span]:
    reader, start = _open(open_reader, name), time.monotonic()
    reading = reader.read(image)
    return reading, _of_reader("read", start, image.name[:8])


def _of_reader(name: str, start: float, what: str) -> Span:
    return Span(name=name, start=start, end=time.monotonic(), what=what, where=f"reader {os.getpid()}")


def _note_opening(opening: Future[Span]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        record(opening.result())
