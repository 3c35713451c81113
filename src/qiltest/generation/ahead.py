"""What a session may do of its generator's work before the generator is there: hashing files, inspecting LoRAs.

Both need no torch, which takes seconds to be imported. They are done in processes of their own, for threads would wait
for Python's lock, which an import holds, and the import for them. Nothing is believed early: a recipe waits for the
hashes and inspections that it names, and whatever a process could not do is done here when it is asked for.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from qiltest.errors import QiltestError
from qiltest.files import stamp
from qiltest.generation.identity import parts_sha256
from qiltest.generation.sources import RANDOM_LORA, ModelSource, base_of, resolve_lora
from qiltest.lora.bases import Base
from qiltest.lora.inspection import inspect_lora
from qiltest.lora.report import LoraReport
from qiltest.spans import Span, Unread, record_of, span
from qiltest.suite.variants import Variant

Parts = tuple[tuple[str, str], ...]
#: one process hashes, the others inspect.
_PROCESSES = 3
#: the result of work elsewhere, and what it was doing meanwhile.
_Told = tuple[Any, tuple[Span, ...]]


class Ahead:
    """Hashes of one model's files, and inspections of LoRAs for it: begun ahead, or made when they are asked for.

    Only for a GPU is it worth while to `begin`: where a CPU generates, others need its cores.
    """

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self._pool: Executor | None = None
        self._parts: Future[_Told] | None = None
        self._inspections: dict[tuple[Path, tuple[int, ...]], Future[_Told]] = {}

    def begin(self, pool: Executor | None = None) -> None:
        """Begin to hash the model's files, in processes or in another `pool`."""
        if self.source.folder is not None and self._pool is None:
            self._pool = pool or ProcessPoolExecutor(
                _PROCESSES, mp_context=multiprocessing.get_context("spawn"), initializer=_leave_interrupts
            )
            self._parts = self._submit(_hash, self.source.folder, self.source.family.components)

    def inspect(self, variants: Iterable[Variant]) -> None:
        """Begin to inspect the LoRA files of variants; what is wrong with one is raised by whoever asks for it."""
        base: Base | None = None
        for variant in variants if self._pool is not None else ():
            lora = variant.lora(self.source.kind)
            if lora is None or lora.source.startswith(RANDOM_LORA):
                continue
            with suppress(QiltestError, OSError):
                path = resolve_lora(lora.source, model=self.source)
                key = (path, stamp(path.stat()))
                base = base or base_of(self.source)
                if key not in self._inspections and (coming := self._submit(_inspect, path, base)) is not None:
                    self._inspections[key] = coming

    def parts(self) -> Parts:
        """Return the SHA-256 of each of the model's components; () for random weights. Raises DeviceError."""
        folder = self.source.folder
        if folder is None:
            return ()
        with span("wait for hashes"):
            found: Parts | None = _result(self._parts)
        return _hash(folder, self.source.family.components) if found is None else found

    def inspection(self, path: Path, state: tuple[int, ...], base: Base) -> LoraReport:
        """Return the inspection of a LoRA file with this `stamp` against the model's base. Raises RecipeError."""
        with span("wait for inspection", path.name):
            found: LoraReport | None = _result(self._inspections.get((path, state)))
        return _inspect(path, base) if found is None else found

    def close(self) -> None:
        """Begin nothing more, and end what is in hand."""
        pool, self._pool, self._parts = self._pool, None, None
        self._inspections.clear()
        if pool is not None:
            # nobody waits for the hash of a model that nobody wants
            for process in (getattr(pool, "_processes", None) or {}).values():
                process.terminate()
            pool.shutdown(cancel_futures=True)

    def _submit(self, work: Callable[..., Any], *args: Any) -> Future[_Told] | None:  # noqa: ANN401
        """Begin work; None where no process can be had."""
        with suppress(OSError, RuntimeError):
            return None if self._pool is None else self._pool.submit(_told, work, *args)
        return None


def _result(coming: Future[_Told] | None) -> Any:  # noqa: ANN401  of the work
    """Return the result of work elsewhere; None where it was not begun, or did not end well."""
    if coming is None:
        return None
    try:
        found, spans = coming.result()
    except Exception:  # noqa: BLE001  it is done again here, where its own error is raised
        return None
    record_of(spans, "ahead")
    return found


def _told(work: Callable[..., Any], *args: Any) -> _Told:  # noqa: ANN401
    unread = Unread()
    unread.take()
    return work(*args), unread.take()


def _hash(folder: Path, components: tuple[str, ...]) -> Parts:
    with span("hash model"):
        return parts_sha256(folder, components)


def _inspect(path: Path, base: Base) -> LoraReport:
    with span("inspect LoRA", path.name):
        return inspect_lora(path, base=base)


def _leave_interrupts() -> None:
    """Let Ctrl-C be the session's to handle, which ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
