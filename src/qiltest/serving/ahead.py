"""Keep several requests in flight: those for the images that will be asked for next, in the order of the tests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, wait
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Ahead(Generic[K, T]):
    """Runs `work` on keys in threads, at most so many at once, ahead of who asks for them.

    Results wait in memory until they are taken, at most twice as many as threads. An error is raised by `take`. The
    threads are daemons: nobody waits at the end for an answer that nobody wants.
    """

    def __init__(self, work: Callable[[K], T], *, threads: int) -> None:
        self._work, self._threads = work, threads
        self._queue: SimpleQueue[tuple[K, Future[T]] | None] = SimpleQueue()
        self._futures: dict[K, Future[T]] = {}
        self._started: list[Thread] = []

    def take(self, key: K, following: Sequence[K]) -> T:
        """Return the work on a key; work on what follows goes on meanwhile."""
        own = self._futures.pop(key, None) or self._begin(key)
        for other in following:
            if len(self._futures) >= 2 * self._threads - 1:
                break
            if other not in self._futures:
                self._futures[other] = self._begin(other)
        return own.result()

    def drain(self) -> None:
        """Wait until nothing is in flight; what is done can be taken still."""
        wait(self._futures.values())

    def close(self) -> None:
        """Begin no more work."""
        for future in self._futures.values():
            future.cancel()
        for _ in self._started:
            self._queue.put(None)

    def _begin(self, key: K) -> Future[T]:
        future: Future[T] = Future()
        self._queue.put((key, future))
        if len(self._started) < self._threads:
            self._started.append(Thread(target=self._run, name="qiltest-server", daemon=True))
            self._started[-1].start()
        return future

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            key, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._work(key))
            except BaseException as error:  # noqa: BLE001 -- raised by `take`
                future.set_exception(error)
