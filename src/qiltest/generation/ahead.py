"""What a session may do of its generator's work before the generator is there: hashing files, inspecting LoRAs.

Both need no torch, which takes seconds to be imported, and both leave Python's lock to others. Nothing is believed
early: a recipe waits for the hashes and inspections that it names.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from qiltest.errors import QiltestError
from qiltest.files import stamp
from qiltest.generation.identity import parts_sha256
from qiltest.generation.sources import RANDOM_LORA, ModelSource, base_of, resolve_lora
from qiltest.lora.bases import Base
from qiltest.lora.inspection import inspect_lora
from qiltest.lora.report import LoraReport
from qiltest.spans import span
from qiltest.suite.variants import Variant

Parts = tuple[tuple[str, str], ...]
#: LoRA files that are inspected at once.
_AT_ONCE = 2


class Ahead:
    """Hashes of one model's files, and inspections of LoRAs for it: begun in threads, or made when they are asked for.

    Only for a GPU is it worth while to `begin`: where a CPU generates, others need its cores.
    """

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self._turn = threading.Lock()
        self._parts: Future[Parts] | None = None
        self._base: Base | None = None
        self._unwanted = threading.Event()
        self._inspections: dict[tuple[Path, tuple[int, ...]], Future[LoraReport]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def begin(self) -> None:
        """Begin to hash the model's files."""
        if self.source.folder is not None:
            with self._turn:
                self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE + 1, thread_name_prefix="qiltest-ahead")
                self._parts = self._parts or self._pool.submit(self._hashed)

    def inspect(self, variants: Iterable[Variant]) -> None:
        """Begin to inspect the LoRA files of variants; what is wrong with one is raised by whoever asks for it."""
        if self._pool is None:
            return
        for variant in variants:
            lora = variant.lora(self.source.kind)
            if lora is None or lora.source.startswith(RANDOM_LORA):
                continue
            with suppress(QiltestError, OSError):
                path = resolve_lora(lora.source, model=self.source)
                self._begin_inspection(path, stamp(path.stat()))

    def parts(self) -> Parts:
        """Return the SHA-256 of each of the model's components; () for random weights. Raises DeviceError."""
        if self.source.folder is None:
            return ()
        coming = self._parts
        if coming is None:
            return self._hashed()
        with span("wait for hashes"):
            return coming.result()

    def inspection(self, path: Path, state: tuple[int, ...], base: Base) -> LoraReport:
        """Return the inspection of a LoRA file with this `stamp` against the model's base. Raises RecipeError."""
        coming = self._inspections.get((path, state))
        if coming is None:
            with span("inspect LoRA", path.name):
                return inspect_lora(path, base=base)
        with span("wait for inspection", path.name):
            return coming.result()

    def close(self) -> None:
        """Begin nothing more; the file in hand is finished."""
        self._unwanted.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._parts = None
        self._inspections.clear()
        self._unwanted = threading.Event()

    def _hashed(self) -> Parts:
        assert self.source.folder is not None
        with span("hash model"):
            return parts_sha256(self.source.folder, self.source.family.components, self._unwanted.is_set)

    def _begin_inspection(self, path: Path, state: tuple[int, ...]) -> None:
        with self._turn:
            pool, key = self._pool, (path, state)
            if pool is not None and key not in self._inspections:
                self._base = self._base or base_of(self.source)
                self._inspections[key] = pool.submit(_inspected, path, self._base)


def _inspected(path: Path, base: Base) -> LoraReport:
    with span("inspect LoRA", path.name):
        return inspect_lora(path, base=base)
