"""Keep workers busy: one thread of this process per worker hands over, waits, and replaces a worker that died.

A worker joins once its generator is open, and generates only if its surroundings (versions, GPU, dtype, threads,
driver) are those of the worker that built the recipes. An image whose worker died is generated once more and says so;
its second death is that image's error. Where no worker is left, every image has a WorkersLostError.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any, TypeVar

from qiltest.engine.parallel.orders import Arrival, Deliver, Limits, Order
from qiltest.engine.parallel.plan import Job
from qiltest.engine.parallel.records import Asked, Denoising, Hello, Place, Setup, StartWorker, Worker, WorkerDiedError
from qiltest.engine.parallel.scheduler import LOOK_AGAIN, Scheduler
from qiltest.errors import DeviceError, DeviceLostError, GenerationError, ModelError, QiltestError, WorkersLostError
from qiltest.generation.records import Generation
from qiltest.recipe import Prompt
from qiltest.runs.records import MadeOn

T = TypeVar("T")
#: images that are begun ahead of the tests that take them; of each only its record is kept in memory.
WINDOW = 1024
#: deaths of a worker and its replacements without an image in between, after which its place stays empty.
DEATHS = 3
#: once an image of its kind is known, the next may take so many times as long.
SLOWER = 30


@dataclass(kw_only=True)
class _Slot:
    """A worker and those that replace it."""

    place: Place
    worker: Worker
    greeting: Future[Hello]
    #: without an image in between.
    deaths: int = 0
    #: whether its worker has made an image, so that everything is loaded.
    warm: bool = False
    #: given up.
    gone: bool = False

    @property
    def number(self) -> int:
        return self.place.number


@dataclass(kw_only=True)
class _Shared:
    """What the threads share, under one condition."""

    scheduler: Scheduler
    orders: dict[int, Order] = field(default_factory=dict)
    #: timed loops by cohort, those in hand included.
    loops: dict[object, int] = field(default_factory=dict)
    #: of images whose worker died.
    notes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    #: why nothing more is generated.
    fatal: QiltestError | None = None
    closed: bool = False


class WorkerPool:
    """Generates images on workers, in the order that its scheduler chooses."""

    def __init__(
        self,
        places: Sequence[Place],
        setup: Setup,
        start: StartWorker,
        *,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start a worker for each place, without waiting. Raises DeviceError where one cannot be started."""
        self._setup, self._start, self._limits, self._clock = setup, start, limits or Limits(), clock
        self._shared = _Shared(scheduler=Scheduler(window=WINDOW))
        self._changed = threading.Condition()
        #: what happened to workers, a sentence each.
        self.notices: list[str] = []
        self._deliver: Deliver = lambda number, arrival: None
        #: what the surroundings are compared by, and the worker whose they are.
        self._reference: tuple[Asked, int, dict[str, str]] | None = None
        self._prompts: tuple[Prompt, ...] = ()
        #: one worker of a host encodes at a time; those after it find its embeddings.
        self._encoding: dict[str, threading.Lock] = {}
        self._slots: list[_Slot] = []
        self._threads: list[threading.Thread] = []
        try:
            for place in places:
                self._slots.append(self._opened(place))
        except BaseException:
            self.close()
            raise
        self._shared.scheduler.expect(slot.number for slot in self._slots)

    # for the session's own thread

    @property
    def size(self) -> int:
        """How many workers there are to be."""
        return len(self._slots)

    def ask(self, name: str, *args: Any) -> Any:  # noqa: ANN401  the answer to one of `Calls`
        """Return the answer of the first worker that lives; before `begin`. Raises its error, or WorkersLostError."""
        return self._ask(name, *args)[1]

    def hello(self) -> Hello:
        """Return what the first worker says of itself. Raises DeviceError, ModelError and WorkersLostError."""
        return self._first(lambda slot: slot.greeting)[1]

    def begin(self, deliver: Deliver, *, reference: Asked | None, prompts: Sequence[Prompt]) -> None:
        """Begin to generate what `add` orders; each image is delivered once.

        `reference` is an image whose recipe all workers must build alike; `prompts` are encoded first.
        """
        self._deliver, self._prompts = deliver, tuple(prompts)
        if reference is not None:
            number, found = self._ask("surroundings", reference)
            self._reference = (reference, number, found)
        self._threads = [
            threading.Thread(target=self._serve, args=(slot,), name=f"qiltest-{slot.number}", daemon=True)
            for slot in self._slots
        ]
        for thread in self._threads:
            thread.start()

    def add(self, orders: Iterable[Order]) -> None:
        """Order images."""
        found = {order.job.number: order for order in orders}
        with self._changed:
            fatal = self._shared.fatal
            if fatal is None:
                self._shared.orders |= found
                self._shared.scheduler.add(order.job for order in found.values())
                self._changed.notify_all()
        if fatal is not None:
            for number in found:
                self._deliver(number, fatal)

    def wanted(self, number: int) -> None:
        """Say that a test waits for an image."""
        with self._changed:
            self._shared.scheduler.wanted(number)
            self._changed.notify_all()

    def taken(self, number: int) -> None:
        """Say that a test has its image."""
        with self._changed:
            self._shared.scheduler.taken(number)
            self._changed.notify_all()

    def close(self) -> None:
        """End all workers at once; what they have in hand is lost."""
        with self._changed:
            self._shared.closed = True
            self._changed.notify_all()
            busy = {slot.number for slot in self._slots if self._shared.scheduler.is_busy(slot.number)}
        ends = [
            threading.Thread(target=slot.worker.kill if slot.number in busy else slot.worker.close, daemon=True)
            for slot in self._slots
        ]
        for thread in ends:
            thread.start()
        for thread in (*ends, *self._threads):
            thread.join()

    # for any thread

    def _opened(self, place: Place) -> _Slot:
        worker = self._start(place, self._setup)
        return _Slot(place=place, worker=worker, greeting=worker.call("hello"))

    def _ask(self, name: str, *args: Any) -> tuple[int, Any]:  # noqa: ANN401  the answer to one of `Calls`
        return self._first(lambda slot: slot.worker.call(name, *args))

    def _first(self, ask: Callable[[_Slot], Future[T]]) -> tuple[int, T]:
        """Return a living worker's number and answer; before there are threads."""
        while True:
            slot = next((slot for slot in self._slots if not slot.gone), None)
            if slot is None:
                raise self._none_left()
            try:
                slot.greeting.result(self._limits.start)
                return slot.number, ask(slot).result(self._limits.start)
            except (WorkerDiedError, TooLateError) as error:
                self._replace(slot, error)

    def _serve(self, slot: _Slot) -> None:
        """Keep a place busy until the session ends, whatever happens to its workers."""
        while not slot.gone:
            try:
                self._admit(slot)
                self._work(slot)
            except (WorkerDiedError, TooLateError, DeviceLostError) as error:
                with self._changed:
                    self._shared.scheduler.leave(slot.number)
                    self._changed.notify_all()
                if not self._shared.closed and self._replace(slot, error):
                    continue
            except QiltestError as error:
                self._fail(_of_worker(slot, error))
            except Exception as error:  # noqa: BLE001  nothing may be waited for in vain
                self._fail(_of_worker(slot, DeviceError(f"{type(error).__name__}: {error}")))
            return

    def _replace(self, slot: _Slot, error: BaseException) -> bool:
        """Start a new worker in a dead one's place. Returns False where the place is given up."""
        slot.worker.kill()
        slot.deaths += 1
        why = _why(error)
        slot.gone = slot.deaths >= DEATHS
        if not slot.gone:
            try:
                new = self._opened(slot.place)
            except QiltestError as failed:
                slot.gone, why = True, f"{why}; none could be started in its place: {failed.what}"
            else:
                slot.worker, slot.greeting, slot.warm = new.worker, new.greeting, False
        if self._shared.closed:
            slot.worker.kill()
            return False
        after = "was given up" if slot.gone else "was replaced"
        with self._changed:
            self.notices.append(f"worker {slot.number} died ({why}) and {after}")
            if slot.gone:
                self._shared.scheduler.give_up(slot.number)
                self._changed.notify_all()
            left = any(not other.gone for other in self._slots)
        if not left:
            self._fail(self._none_left())
        return not slot.gone

    def _none_left(self) -> WorkersLostError:
        return WorkersLostError(
            f"no worker is left: {'; '.join(self.notices[-DEATHS:])}",
            remedy="look at the kernel log (`dmesg`) and `nvidia-smi`; repeat the command to resume",
        )

    def _fail(self, error: QiltestError) -> None:
        """Deliver an error in place of every image that is not there yet; nothing more is generated."""
        with self._changed:
            first = self._shared.fatal is None and not self._shared.closed
            self._shared.fatal = self._shared.fatal or error
            left, self._shared.orders = list(self._shared.orders), {}
            self._changed.notify_all()
        if first and not isinstance(error, ModelError | WorkersLostError):
            self.notices.append(str(error).partition("\n")[0])
        for number in left:
            self._deliver(number, error)

    # for the thread of a worker

    def _admit(self, slot: _Slot) -> None:
        """Wait until a worker is ready, and compare it. Raises ModelError for one that would make other images."""
        hello = slot.greeting.result(self._limits.start)
        if self._reference is not None:
            asked, number, wanted = self._reference
            found = slot.worker.call("surroundings", asked).result(self._limits.start)
            if differing := [
                f"{name} {found.get(name, 'unknown')} instead of {wanted.get(name, 'unknown')}"
                for name in sorted(wanted.keys() | found.keys())
                if wanted.get(name) != found.get(name)
            ]:
                raise ModelError(
                    f"worker {slot.number} on {hello.host} is not as worker {number}: {', '.join(differing)}",
                    remedy="its images would be others: make both equal, or leave the host out",
                )
        # the embedded model encodes in milliseconds, and keeps nothing on disk
        if self._prompts and not hello.is_tiny:
            with self._encoding.setdefault(hello.host, threading.Lock()):
                slot.worker.call("prepare", self._prompts).result(self._limits.start)

    def _work(self, slot: _Slot) -> None:
        hello = slot.greeting.result()
        with self._changed:
            self._shared.scheduler.join(slot.number)
            self._changed.notify_all()
        sending: Future[Generation] | None = None
        while (order := self._next(slot)) is not None:
            denoising = self._make(slot, order)
            before = sending
            if denoising is not None:
                sending = slot.worker.call("image", order.job.number)
                made_on = MadeOn(worker=slot.number, host=hello.host, gpu=hello.gpu)
                sending.add_done_callback(partial(self._arrived, slot, order, denoising, made_on))
            if before is not None:
                before.exception(self._limits.more)

    def _next(self, slot: _Slot) -> Order | None:
        """Wait for a worker's next image; None once there will be none."""
        with self._changed:
            while self._shared.fatal is None and not self._shared.closed:
                job = self._shared.scheduler.next(slot.number, now=self._clock())
                if job is not None:
                    return self._shared.orders[job.number]
                self._changed.wait(LOOK_AGAIN)
        return None

    def _make(self, slot: _Slot, order: Order) -> Denoising | None:
        """Have an image made; None where it has an error of its own. Raises what ended the worker."""
        shared, begin = self._shared, self._clock()
        with self._changed:
            known = shared.loops.get(order.cohort, 0)
            shared.loops[order.cohort] = known + 1
            limit = self._limit(slot, order.job)
        try:
            denoising: Denoising = slot.worker.call("make", order.job.number, order.recipe, known).result(limit)
        except TooLateError:
            late = WorkerDiedError(f"it had no image after {limit:.0f} s, and was ended")
            self._lost(slot, order, late)
            raise late from None
        except (WorkerDiedError, DeviceLostError) as error:
            self._lost(slot, order, error)
            raise
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001  raised by that image's own test
            with self._changed:
                shared.scheduler.failed(slot.number)
            self._give(order, error)
            return None
        loops = [loop.denoise_seconds for loop in denoising.loops]
        beside = max(0.0, self._clock() - begin - sum(loops))
        with self._changed:
            shared.loops[order.cohort] += len(loops) - 1
            steady = slot.warm and not shared.scheduler.is_loading(slot.number)
            shared.scheduler.done(slot.number, seconds=median(loops) + (beside if steady else 0.0), load=beside)
            self._changed.notify_all()
        slot.warm = True
        return denoising

    def _limit(self, slot: _Slot, job: Job) -> float:
        seconds = self._shared.scheduler.measured(job) if slot.warm else None
        return self._limits.image if seconds is None else min(self._limits.image, SLOWER * seconds + self._limits.more)

    def _arrived(
        self, slot: _Slot, order: Order, denoising: Denoising, made_on: MadeOn, image: Future[Generation]
    ) -> None:
        """Deliver an image that is here, or order it again where its worker died on the way."""
        error = image.exception()
        if isinstance(error, WorkerDiedError):
            self._lost(slot, order, error)
        elif error is not None:
            self._give(order, error)
        else:
            slot.deaths = 0
            notes = self._shared.notes.get(order.job.number, ())
            self._give(
                order,
                Arrival(
                    denoising=denoising,
                    image=image.result(),
                    notes=notes,
                    made_on=made_on,
                    beside=slot.place.beside,
                ),
            )

    def _lost(self, slot: _Slot, order: Order, error: BaseException) -> None:
        """Order an image again, once, whose worker died over it."""
        number, why = order.job.number, f"worker {slot.number} died over it ({_why(error)})"
        with self._changed:
            if self._shared.closed or number not in self._shared.orders:
                return
            earlier = self._shared.notes.get(number, ())
            again = self._shared.scheduler.lost(order.job, slot.number)
            self._shared.notes[number] = (f"{why}; generated again",)
            self._changed.notify_all()
        if not again:
            before = "".join(note.removesuffix("; generated again") + ", " for note in earlier)
            error = GenerationError(
                f"generated twice without an image: {before}{why}",
                where=order.recipe.variant,
                remedy="look at the kernel log (`dmesg`); generate it alone, without --qil-workers",
            )
            self._give(order, error)

    def _give(self, order: Order, arrival: Arrival | BaseException) -> None:
        with self._changed:
            wanted = self._shared.orders.pop(order.job.number, None) is not None and not self._shared.closed
        if wanted:
            self._deliver(order.job.number, arrival)


def _why(error: BaseException) -> str:
    if isinstance(error, TooLateError):
        return "it did not answer in time, and was ended"
    return error.what if isinstance(error, QiltestError) else str(error)


def _of_worker(slot: _Slot, error: QiltestError) -> ModelError:
    """Return an error that ends the session, and says on which worker it happened."""
    named = f"worker {slot.number}"
    what = error.what if error.what.startswith(named) else f"{named}: {error.what}"
    return ModelError(what, where=error.where, remedy=error.remedy)
