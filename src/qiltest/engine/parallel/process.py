"""A worker in a process of this host: spawned, with a GPU or cores of its own, ended with the session whatever happens.

The process learns of the session's end by the end of its connection, also where the session was killed. It does not
hear Ctrl-C, which is the session's to handle. What it writes goes to a file of its own, whose last line says why it
died.
"""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any

from qiltest.engine.parallel.calls import BESIDE, CALLS, WorkerCalls, sendable
from qiltest.engine.parallel.records import Place, Setup, WorkerDiedError
from qiltest.text.escape import printable_line

#: seconds in which a worker that is told to end must do so.
PATIENCE = 3.0
#: bytes of what a dead worker wrote last, and characters that are told of it.
_TAIL, _SHOWN = 4096, 200
#: what `recv` raises where the connection ended, or has what cannot be read.
_LOST = (EOFError, OSError, pickle.UnpicklingError, ImportError, AttributeError, TypeError, ValueError)
_MAIN = "import sys; from qiltest.engine.parallel.process import main; main(int(sys.argv[1]))"


class ProcessWorker:
    """See `records.Worker`."""

    def __init__(self, place: Place, setup: Setup) -> None:
        """Start the process without waiting for it. Raises OSError."""
        self._connection, theirs = Pipe()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by `_receive`
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=_environment(place),
                pass_fds=[theirs.fileno()],
                # its own group: Ctrl-C in the terminal is for the session alone
                start_new_session=True,
            )
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._turn, self._sending = threading.Lock(), threading.Lock()
        self._ended = ""
        threading.Thread(target=self._receive, name=f"qiltest-worker-{place.number}", daemon=True).start()
        self._send((place, pickle.dumps(setup)))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def call(self, name: str, *args: Any) -> Future[Any]:  # noqa: ANN401  by name
        """Hand a call over."""
        future: Future[Any] = Future()
        number = next(self._numbers)
        with self._turn:
            if self._ended:
                future.set_exception(WorkerDiedError(self._ended))
                return future
            self._waiting[number] = future
        self._send((number, name, args))
        return future

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process; kill it where it takes longer than `PATIENCE`."""
        self._send(None)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def _send(self, message: object) -> None:
        # where it is dead, `_receive` tells it
        with self._sending, suppress(OSError):
            self._connection.send(message)

    def _receive(self) -> None:
        """Settle futures until the process ends; then fail those that are left."""
        with suppress(*_LOST):
            while True:
                number, error, value = self._connection.recv()
                with self._turn:
                    future = self._waiting.pop(number, None)
                if future is not None:
                    _settle(future, error, value)
        self.kill()
        why = self._why()
        with self._turn:
            self._ended = why
            left, self._waiting = list(self._waiting.values()), {}
        for future in left:
            _settle(future, WorkerDiedError(why), None)
        self._log.close()
        self._connection.close()

    def _why(self) -> str:
        """Return how the process ended, with the last line that it wrote where that may say why."""
        status = self._process.returncode
        ended = f"exit code {status}" if status >= 0 else f"killed by {_signal_name(-status)}"
        if -status == signal.SIGKILL:  # it comes from outside, so what was written before is about something else
            return ended
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return f"{ended}: {printable_line(lines[-1], _SHOWN)}" if lines else ended


def _settle(future: Future[Any], error: BaseException | None, value: object) -> None:
    with suppress(InvalidStateError):
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment(place: Place) -> dict[str, str]:
    """Return the environment of a worker's process: its GPU, and this process's way to find modules."""
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # before torch is imported: threads that wait for others give way
    found.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if place.gpu is not None:
        found["CUDA_VISIBLE_DEVICES"] = place.gpu
    return found


def main(handle: int) -> None:
    """Serve the session behind a connection until it ends; what a worker's process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(handle)
    place, setup = connection.recv()
    if place.cores is not None and hasattr(os, "sched_setaffinity"):
        # where the system has taken a core away since, the worker runs on what there is
        with suppress(OSError):
            os.sched_setaffinity(0, place.cores)
    _Server(connection, pickle.loads(setup)).serve()  # noqa: S301  from the session that started this process


class _Server:
    """Does the calls of a connection: those of `BESIDE` in threads of their own, all others in the main thread."""

    def __init__(self, connection: Connection[Any, Any], setup: Setup) -> None:
        self._connection, self._calls = connection, WorkerCalls(setup, own_process=True)
        self._turn = threading.Lock()

    def serve(self) -> None:
        """Do calls until the session says goodbye; end at once where it is gone."""
        from queue import SimpleQueue

        queue: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=self._listen, args=(queue,), daemon=True).start()
        while (message := queue.get()) is not None:
            self._do(*message)
        self._calls.close()

    def _listen(self, queue: Any) -> None:  # noqa: ANN401  a SimpleQueue
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                # the session was killed: nobody waits for what is in hand
                os._exit(1)
            if message is None:
                # what is in hand is not worth waiting for
                threading.Thread(target=_leave, daemon=True).start()
            if message is not None and message[1] in BESIDE:
                threading.Thread(target=self._do, args=message, daemon=True).start()
            else:
                queue.put(message)

    def _do(self, number: int, name: str, args: tuple[Any, ...]) -> None:
        error: BaseException | None = None
        value: object = None
        try:
            if name not in CALLS:
                raise ValueError(f"no call {name!r}")
            value = getattr(self._calls, name)(*args)
        except Exception as caught:  # noqa: BLE001  the session raises it where it belongs
            error = sendable(caught)
        with self._turn, suppress(OSError):
            self._connection.send((number, error, value))


def _leave() -> None:
    time.sleep(PATIENCE / 2)
    os._exit(0)
