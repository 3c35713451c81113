"""Load transformer and VAE in a thread, while whoever generates does what needs neither: prompts, recipes, readers."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

import torch

from qiltest.generation._load import empty_image_stage, filled_image_stage, load_image_stage
from qiltest.generation._memory import check_memory, fit_together
from qiltest.generation.settings import Settings
from qiltest.generation.sources import ModelSource
from qiltest.spans import span


class EarlyImageStage:
    """The image stage of one generator: begun ahead, or loaded when it is asked for.

    What is loaded ahead is no more than weights in memory: recipes and hashes are checked by whoever generates with it.
    """

    def __init__(self, source: ModelSource, dtype: torch.dtype, device: torch.device, settings: Settings) -> None:
        self._source, self._dtype, self._device, self._settings = source, dtype, device, settings
        #: a CPU has no time to spare, and random weights are made, not read.
        self._ahead = device.type == "cuda" and source.folder is not None
        self._coming: Future[Any] | None = None
        self._thread: threading.Thread | None = None
        self._unwanted = threading.Event()

    @property
    def begun(self) -> bool:
        """True once the stage is being loaded, or is loaded."""
        return self._coming is not None

    def begin_beside(self) -> None:
        """Begin where the text encoder has room beside it."""
        if not self.begun and self._ahead and fit_together(self._source, self._dtype, self._device, self._settings):
            self.begin()

    def begin(self) -> None:
        """Build the models now and fill them in a thread, on a GPU. Raises ModelError where they do not fit."""
        if self.begun or not self._ahead:
            return
        check_memory(self._source, self._dtype, self._device, self._settings)
        empty = empty_image_stage(self._source, self._dtype, self._settings)
        coming: Future[Any] = Future()
        self._coming = coming

        def fill() -> None:
            try:
                pipeline = filled_image_stage(
                    empty, self._source, self._dtype, self._device, self._settings, self._unwanted.is_set
                )
            except BaseException as error:  # noqa: BLE001  raised by whoever asks for the stage
                coming.set_exception(error)
            else:
                coming.set_result(pipeline)

        self._thread = threading.Thread(target=fill, name="qiltest-load", daemon=True)
        self._thread.start()

    def take(self) -> Any:  # noqa: ANN401  QwenImagePipeline, untyped
        """Return the stage once it is loaded, and forget it. Raises what loading it raised."""
        if self._coming is None:
            return load_image_stage(self._source, self._dtype, self._device, self._settings)
        with span("wait for transformer"):
            wait([self._coming])  # an interrupt leaves it to be taken later
        coming, self._coming = self._coming, None
        return coming.result()

    def close(self) -> None:
        """Let a stage that nobody took go; its thread ends with the weight in hand."""
        self._unwanted.set()
        if self._thread is not None:
            self._thread.join()
        if self._coming is not None:
            with suppress(BaseException):
                self._coming.exception()
            self._coming = None
        self._thread = None
        self._unwanted = threading.Event()
