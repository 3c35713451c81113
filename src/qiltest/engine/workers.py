"""Where work that needs no GPU is done: in this thread, in a thread beside it, or in a process of its own.

A reader holds Python's lock for a part of its time, and a thread that waits for that lock cannot feed the GPU. So
beside a GPU, images are read in a process of their own, on all CPU cores but one.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import ParamSpec, TypeVar

from qiltest.errors import ReaderError
from qiltest.generation.records import Generator
from qiltest.reading.records import Reader, Reading

P = ParamSpec("P")
T = TypeVar("T")


class InlineExecutor(Executor):
    """Run each task at once, in the calling thread. An error is kept, and raised by the future's `result`."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  handed on whole, to whoever asks for the result
            future.set_exception(error)
        return future


def executor_for(generator: Generator) -> Executor:
    """Return a thread beside a GPU; where the CPU generates it has nothing to spare, and all runs in order."""
    if generator.on_cpu:
        return InlineExecutor()
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="qiltest")


class ReadingProcess:
    """Readers in a process of their own. One that dies is started again, once an image, and that is said."""

    def __init__(self, open_reader: Callable[[str], Reader]) -> None:
        """`open_reader` must be importable by name, for it is called in the other process."""
        self._open_reader = open_reader
        self._pool: ProcessPoolExecutor | None = None
        #: what happened to the process, for a person.
        self.said: list[str] = []
        #: images over which it died and was started again.
        self.restarted: set[Path] = set()

    def start(self, name: str) -> None:
        """Have the process begin and open that reader, without waiting; what goes wrong is raised when it reads."""
        self._begun().submit(_start, self._open_reader, name)

    def read(self, name: str, image: Path) -> Reading:
        """Read with the reader of that name. Raises ReaderError, also where the process dies twice over an image."""
        try:
            return self._try(name, image)
        except BrokenProcessPool:
            self.close()
            self.restarted.add(image)
            self.said.append(f"the process that reads images died over {image.name} and was started again")
        try:
            return self._try(name, image)
        except BrokenProcessPool as error:
            self.close()
            raise ReaderError(
                "the process that reads images ended twice before it was done",
                where=str(image),
                remedy="it was killed, or ran out of memory (`dmesg` says which); the same command goes on from here",
            ) from error

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def _try(self, name: str, image: Path) -> Reading:
        return self._begun().submit(_read, self._open_reader, name, image).result()

    def _begun(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # fork would copy a process that holds a GPU
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(max_workers=1, mp_context=context, initializer=_make_room)
        return self._pool


def _make_room() -> None:
    """Leave one core to the process that feeds the GPU, and let threads that wait for each other sleep."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])


#: readers that this process has opened, by name.
_opened: dict[str, Reader] = {}


def _open(open_reader: Callable[[str], Reader], name: str) -> Reader:
    if name not in _opened:
        _opened[name] = open_reader(name)
    return _opened[name]


def _start(open_reader: Callable[[str], Reader], name: str) -> None:
    """Open a reader ahead of its first image, whose own reading tells what goes wrong."""
    _open(open_reader, name)


def _read(open_reader: Callable[[str], Reader], name: str, image: Path) -> Reading:
    return _open(open_reader, name).read(image)
