"""Workers without processes: the code that runs inside a worker, in a thread, with faults planted by call.

A fault is planted for a worker's number and the how-manieth call of a name, over all workers that stand in its place:

    Fakes(faults={(1, "make", 2): "die"})      # worker 1 dies over its second image
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from qiltest.engine.parallel.calls import BESIDE, WorkerCalls
from qiltest.engine.parallel.records import Place, Setup, WorkerDiedError
from qiltest.errors import DeviceLostError, ModelError, QiltestError
from qiltest.generation.records import Generator

Faults = Mapping[tuple[int, str, int], str]


class Fakes:
    """Starts fake workers, and remembers what was asked of them."""

    def __init__(
        self,
        open_generator: Callable[[], Generator] | None = None,
        *,
        faults: Faults | None = None,
        surroundings: Mapping[int, Mapping[str, str]] | None = None,
    ) -> None:
        """`surroundings` are those in which the n-th worker that is started differs, from 1."""
        self.open_generator, self.faults, self.surroundings = open_generator, faults or {}, surroundings or {}
        self.started: list[FakeWorker] = []
        #: (worker's number, call), in order.
        self.calls: list[tuple[int, str]] = []
        self.counts: Counter[tuple[int, str]] = Counter()

    def __call__(self, place: Place, setup: Setup) -> FakeWorker:
        """Start a worker, as `records.StartWorker` does."""
        opener = self.open_generator or setup.open_generator
        worker = FakeWorker(self, place, replace(setup, open_generator=opener), nth=len(self.started) + 1)
        self.started.append(worker)
        return worker

    def fault(self, number: int, name: str) -> str:
        """Count a call, and return the fault that is planted for it, or ""."""
        self.calls.append((number, name))
        self.counts[number, name] += 1
        return self.faults.get((number, name, self.counts[number, name]), "")


class FakeWorker:
    """See `records.Worker`."""

    def __init__(self, fakes: Fakes, place: Place, setup: Setup, *, nth: int) -> None:
        self.place, self.nth, self._fakes = place, nth, fakes
        self._calls = WorkerCalls(setup)
        self._main, self._beside = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._waiting: set[Future[Any]] = set()
        self._turn = threading.Lock()
        #: how it ended, "" as long as it lives.
        self.ended = ""

    def call(self, name: str, *args: Any) -> Future[Any]:
        """Hand a call over."""
        future: Future[Any] = Future()
        with self._turn:
            if self.ended:
                future.set_exception(WorkerDiedError(self.ended))
                return future
            self._waiting.add(future)
            (self._beside if name in BESIDE else self._main).submit(self._do, future, name, args)
        return future

    def kill(self) -> None:
        """End it at once."""
        self._end("killed by SIGKILL")

    def close(self) -> None:
        """End it when it is through."""
        self._end("closed")

    def _do(self, future: Future[Any], name: str, args: tuple[Any, ...]) -> None:
        fault = self._fakes.fault(self.place.number, name)
        if fault == "die":
            self._end("killed by SIGSEGV")
            return
        if fault.startswith("hang"):
            while not self.ended:
                time.sleep(0.005)
        try:
            result = self._result(fault, name, args)
        except Exception as error:  # noqa: BLE001
            _settle(future, error=error)
        else:
            # after a hang this comes too late, and is dropped
            _settle(future, result=result)

    def _result(self, fault: str, name: str, args: tuple[Any, ...]) -> object:
        errors: dict[str, QiltestError] = {
            "lost": DeviceLostError("the device failed while denoising: CUDA error"),
            "model": ModelError("the weights are damaged"),
        }
        if fault in errors:
            raise errors[fault]
        result = getattr(self._calls, name)(*args)
        return {**result, **self._fakes.surroundings.get(self.nth, {})} if name == "surroundings" else result

    def _end(self, why: str) -> None:
        with self._turn:
            self.ended = self.ended or why
            left, self._waiting = self._waiting, set()
        self._main.shutdown(wait=False, cancel_futures=True)
        self._beside.shutdown(wait=False, cancel_futures=True)
        for future in left:
            _settle(future, error=WorkerDiedError(self.ended))
        self._calls.close()


def _settle(future: Future[Any], *, result: object = None, error: Exception | None = None) -> None:
    with suppress(InvalidStateError):
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
