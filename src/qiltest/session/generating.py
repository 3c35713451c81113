"""Who generates a session's images: this process or workers, all of them or a part."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from qiltest.engine.options import Options
from qiltest.engine.parallel.shards import part_of
from qiltest.errors import DeviceError, QiltestError
from qiltest.generation.records import Generator
from qiltest.generation.sources import RANDOM, is_embedded
from qiltest.runs.history import HISTORY
from qiltest.suite.selection import Sample, Task
from qiltest.suite.variants import Variant
from qiltest.text.format import count

if TYPE_CHECKING:
    from qiltest.engine.parallel.generator import WorkersGenerator
    from qiltest.generation.ahead import Ahead


class Generating:
    """Opens a session's generator: workers are started while tests are collected."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._starting: threading.Thread | None = None
        self._workers: WorkersGenerator | None = None
        self._ahead: Ahead | None = None
        #: why they could not be started, for each test.
        self._error: QiltestError | None = None

    def start(self) -> None:
        """Begin without waiting: the workers of `--qil-workers` or `--qil-cluster`, else to hash a GPU's model."""
        if self._starting is None and (self._options.on_workers or self._reads_a_model):
            begin = self._start if self._options.on_workers else self._look_ahead
            self._starting = threading.Thread(target=begin, name="qiltest-start", daemon=True)
            self._starting.start()

    def expect(self, variants: Iterable[Variant]) -> None:
        """Begin to inspect the LoRAs of what was selected."""
        if self._starting is not None and self._reads_a_model:
            self._starting.join()
            if self._ahead is not None:
                self._ahead.inspect(variants)

    def stop(self) -> None:
        """End the workers, also where no test has asked for them."""
        if self._starting is not None:
            self._starting.join()
        if self._workers is not None:
            self._workers.close()
        if self._ahead is not None:
            self._ahead.close()

    def open(self, on_step: Callable[[int, int], None]) -> Generator:
        """Open the workers, or the generator of this process, which calls `on_step`. Raises DeviceError, ModelError."""
        from qiltest.generation import open_generator

        self.start()
        if self._starting is not None:
            self._starting.join()
        if self._error is not None:
            raise self._error
        if self._workers is not None:
            return self._workers
        model, settings = self._options.model, self._options.settings(on_step)
        if self._ahead is None:
            return open_generator(model, settings)
        return open_generator(model, settings, ahead=self._ahead)

    def check(self, generator: Generator) -> None:
        """Raise DeviceError where workers were asked for and another generator, of a conftest, is used."""
        if self._options.on_workers and generator is not self._workers:
            option = "--qil-workers" if self._options.cluster is None else "--qil-cluster"
            raise DeviceError(
                f"{option} generates with the suite's own generator, but a conftest overrides qil_generator",
                remedy="remove the option, or the fixture",
            )

    @property
    def _reads_a_model(self) -> bool:
        """True where this process will generate on a GPU from files."""
        options = self._options
        elsewhere = options.on_workers or options.server is not None or options.images is not None
        return options.gpu and not elsewhere and options.model != RANDOM and not is_embedded(options.model)

    def _look_ahead(self) -> None:
        from qiltest.generation.opening import begin_ahead

        with suppress(QiltestError):  # raised by `open`, if a test asks for a generator at all
            self._ahead = begin_ahead(self._options.model, self._options.settings())

    def _start(self) -> None:
        from qiltest.engine.parallel.opening import open_workers

        try:
            self._workers = open_workers(self._options, self._options.settings())
        except QiltestError as error:
            self._error = error


def own_part(tasks: Mapping[Sample, Task], options: Options) -> frozenset[Sample]:
    """Return the samples of this runner's part (`--qil-shard`). Raises pytest.UsageError where it has none."""
    number, of = options.shard or (1, 1)
    part = part_of(tasks, number, of, history=options.runs_folder / HISTORY)
    if tasks and not part:
        raise pytest.UsageError(
            f"--qil-shard={number}/{of} has no image: {count(len(tasks), 'image')} in all\n"
            "  -> give fewer parts, or more seeds"
        )
    return part
