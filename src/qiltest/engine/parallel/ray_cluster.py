"""Workers as plain actors of a Ray cluster that is already up: the only module that imports Ray.

Actors are never restarted, and their tasks never retried, by Ray: what died is generated again by the pool, once, and
said. Each actor is bound to a node, so that it is known who generates beside whom. Images travel as PNG to this
process.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from qiltest.arguments import ALL
from qiltest.engine.parallel.calls import BESIDE, CALLS, WorkerCalls, sendable
from qiltest.engine.parallel.records import Place, Setup, StartWorker, Worker, WorkerDiedError
from qiltest.errors import DeviceError
from qiltest.text.escape import printable_line
from qiltest.text.format import count

# usage statistics are sent by default
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
try:
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError as missing:
    raise DeviceError(
        "--qil-cluster needs Ray", remedy="install qiltest with its extra: pip install '.[ray]' in its folder"
    ) from missing

#: seconds until all actors must have their place and their process.
PLACING = 120.0
#: seconds until the cluster's head must answer.
_CONNECTING = 10.0
#: characters of what Ray says that are told.
_SHOWN = 200
#: seconds without an answer after which the head node counts as lost. Ray ends this process after 60.
LOST = 40.0
#: seconds between two looks at the head node.
_BEAT = 5.0
_REMEDY = "start it with `ray start --head`, and give its address (docs/guide/many-gpus.md)"
#: what `ray.init` raises where there is no cluster, or one of another version.
_REFUSED = (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError, RayError)


_AGAIN = "start the cluster again, and repeat the command to resume"


@dataclass(frozen=True, kw_only=True)
class _Node:
    id: str
    #: workers for which it has GPUs, or cores.
    room: int


def join(address: str, asked: int | str | None, *, threads: int | None) -> tuple[tuple[Place, ...], StartWorker]:
    """Connect to a cluster; return a place for each worker, and what starts one. Raises DeviceError.

    `threads` is how many cores a worker takes, on a cluster without GPUs; None: one GPU each.
    """
    try:
        _reach(address)
        ray.init(
            address=address,
            namespace="qiltest",
            log_to_driver=False,
            logging_level=logging.ERROR,
            ignore_reinit_error=True,
        )
    except _REFUSED as error:
        what = f"no Ray cluster: {_first_line(error)}"
        raise DeviceError(what, where=f"--qil-cluster={address}", remedy=_REMEDY) from error
    nodes = [node for node in _nodes(threads) if node.room]
    room, what = sum(node.room for node in nodes), "GPU" if threads is None else "core"
    number = room if asked in (ALL, None) else int(str(asked))
    if not 0 < number <= room:
        leave()
        wanted = "" if threads in (None, 1) else f" of {count(int(threads), 'thread')}"
        raise DeviceError(
            f"{count(number, 'worker')}{wanted}, but the cluster has room for {room}: one {what} each",
            where=f"--qil-cluster={address}",
            remedy="`ray status` shows its resources; add nodes, or give a smaller --qil-workers",
        )
    chosen = list(_spread(nodes))[:number]
    places = tuple(
        Place(number=k, beside=chosen.count(node) - 1 if threads is None else 0)
        for k, node in enumerate(chosen, start=1)
    )
    on = {place.number: node for place, node in zip(places, chosen, strict=True)}
    _head.watch(str(ray.get_runtime_context().gcs_address))
    return places, partial(_start, on, threads)


def _reach(address: str) -> None:
    """Raise OSError or ValueError where nothing answers at an address: Ray would try for many minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address!r} is neither `auto` nor HOST:PORT")
    socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECTING).close()


def placed(workers: list[Worker]) -> None:
    """Wait until all actors have their place. Raises DeviceError where one has none after `PLACING` seconds."""
    pings = [worker.ping for worker in workers if isinstance(worker, RayWorker)]
    _, waiting = ray.wait(pings, num_returns=len(pings), timeout=PLACING)
    if waiting:
        raise DeviceError(
            f"{count(len(waiting), 'worker')} of {len(pings)} could not be placed within {PLACING:.0f} s",
            where="--qil-cluster",
            remedy="`ray status` shows what other jobs hold; wait for them, or give a smaller --qil-workers",
        )


def leave() -> None:
    """Disconnect from the cluster; its nodes go on."""
    _head.forget()
    ray.shutdown()


class Head:
    """Looks whether the cluster's head node answers, so that its loss ends the session and not this process.

    Ray itself ends the process of a session a minute after it lost the head node, at once and without a word of the
    run.
    """

    def __init__(self) -> None:
        #: why no worker can be had any more; "" as long as the head node answers.
        self.lost = ""
        self._workers: list[RayWorker] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, address: str) -> None:
        """Look at an address until `forget`."""
        self.lost, self._workers = "", []
        self._stop.clear()
        self._thread = threading.Thread(target=self._look, args=(address,), name="qiltest-head", daemon=True)
        self._thread.start()

    def add(self, worker: RayWorker) -> None:
        """Have a worker end with the head node."""
        self._workers.append(worker)

    def forget(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, address: str) -> None:
        answered = time.monotonic()
        while not self._stop.wait(_BEAT):
            try:
                _reach(address)
            except OSError:
                if time.monotonic() - answered < LOST:
                    continue
                self.lost = f"the cluster's head node {address} has not answered for {LOST:.0f} s"
                for worker in list(self._workers):
                    worker.end(self.lost)
                return
            answered = time.monotonic()


_head = Head()


def _nodes(threads: int | None) -> Iterator[_Node]:
    for node in sorted(ray.nodes(), key=lambda node: str(node["NodeID"])):
        if node["Alive"]:
            has = node["Resources"]
            room = int(has.get("GPU", 0)) if threads is None else int(has.get("CPU", 0)) // threads
            yield _Node(id=str(node["NodeID"]), room=room)


def _spread(nodes: list[_Node]) -> Iterator[_Node]:
    """Yield each node as often as it has room, in turns."""
    for turn in zip_longest(*([node] * node.room for node in nodes)):
        yield from (node for node in turn if node is not None)


def _start(on: dict[int, _Node], threads: int | None, place: Place, setup: Setup) -> Worker:
    if _head.lost:
        raise DeviceError(_head.lost, remedy=_AGAIN)
    worker = RayWorker(on[place.number].id, place, setup, threads=threads)
    _head.add(worker)
    return worker


@ray.remote(max_restarts=0, max_task_retries=0, concurrency_groups={"beside": 2})
class _Actor:
    """The calls of a worker. Errors come back as values: Ray would wrap them into others."""

    def __init__(self, setup: Setup) -> None:
        self._calls = WorkerCalls(setup, own_process=True)

    def ping(self) -> None:
        """Do nothing: the actor is there."""

    def do(self, name: str, args: tuple[Any, ...]) -> tuple[BaseException | None, object]:
        """Do a call in the actor's own thread."""
        return self._done(name, args)

    @ray.method(concurrency_group="beside")  # type: ignore[untyped-decorator]
    def beside(self, name: str, args: tuple[Any, ...]) -> tuple[BaseException | None, object]:
        """Do a call of `BESIDE` beside the others: an image may wait for its PNG, so there are two threads."""
        return self._done(name, args)

    def _done(self, name: str, args: tuple[Any, ...]) -> tuple[BaseException | None, object]:
        try:
            if name not in CALLS:
                raise ValueError(f"no call {name!r}")
            return None, getattr(self._calls, name)(*args)
        except Exception as error:  # noqa: BLE001  the session raises it where it belongs
            return sendable(error), None


class RayWorker:
    """See `records.Worker`."""

    def __init__(self, node: str, place: Place, setup: Setup, *, threads: int | None) -> None:
        """Create an actor on a node without waiting for it."""
        self._actor: Any = _Actor.options(  # type: ignore[attr-defined]
            num_gpus=1 if threads is None else 0,
            num_cpus=1 if threads is None else threads,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=node, soft=False),
        ).remote(setup)
        self._turn = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._ended = ""
        #: resolved once the actor is there.
        self.ping: Any = self._actor.ping.remote()

    def call(self, name: str, *args: Any) -> Future[Any]:  # noqa: ANN401  by name
        """Hand a call over."""
        future: Future[Any] = Future()
        with self._turn:
            if self._ended:
                future.set_exception(WorkerDiedError(self._ended))
                return future
            self._waiting.add(future)
            method = self._actor.beside if name in BESIDE else self._actor.do
            try:
                # in turn with `kill`: once this process has left the cluster, any call would join it again
                reference = method.remote(name, args)
            except RayError as error:
                self._waiting.discard(future)
                future.set_exception(_died(error))
                return future
        reference.future().add_done_callback(partial(self._settle, future))
        return future

    def kill(self) -> None:
        """End the actor at once; what it has in hand is lost, and what it still answers is dropped."""
        # where it has ended already, this process may have left the cluster by now, and any call would join it again
        if self.end("it was ended"):
            # an actor that is dead already, or a cluster that is gone
            with suppress(*_REFUSED):
                ray.kill(self._actor, no_restart=True)

    def end(self, why: str) -> bool:
        """Take the actor for dead, without a call to the cluster. Returns False where it was already."""
        with self._turn:
            if self._ended:
                return False
            self._ended = why
            left, self._waiting = self._waiting, set()
        for future in left:
            with suppress(InvalidStateError):
                future.set_exception(WorkerDiedError(why))
        return True

    def close(self) -> None:
        """End the actor."""
        self.kill()

    def _settle(self, future: Future[Any], answer: Future[Any]) -> None:
        error = answer.exception()
        if error is not None:
            self._fail(future, error)
            return
        raised, value = answer.result()
        self._done(future, lambda: future.set_result(value) if raised is None else future.set_exception(raised))

    def _fail(self, future: Future[Any], error: BaseException) -> None:
        self._done(future, lambda: future.set_exception(_died(error)))

    def _done(self, future: Future[Any], settle: Callable[[], None]) -> None:
        with self._turn:
            self._waiting.discard(future)
        with suppress(InvalidStateError):
            settle()


def _died(error: BaseException) -> WorkerDiedError:
    # RayActorError has died and unavailable actors below it; node and object losses are other RayErrors
    return WorkerDiedError(f"{type(error).__name__}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return printable_line(next(iter(str(error).strip().splitlines()), type(error).__name__), _SHOWN)
