"""How far workers are with their images, asked of them without waiting."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from qiltest.engine.parallel.records import Step, Worker


@dataclass(frozen=True, kw_only=True)
class Working:
    """What a worker does now."""

    worker: int
    #: True until its generator is open.
    starts: bool
    #: the number of the image in hand; None for none.
    image: int | None
    #: steps of its loop, as far as the worker has said; of 0 while it loads or warms up.
    done: int = 0
    of: int = 0


class Asking:
    """Asks one worker after another in a place for its progress, one question at a time."""

    def __init__(self) -> None:
        self._asked: Future[Step | None] | None = None
        self._known: Step | None = None

    def of(self, worker: Worker, image: int) -> Step | None:
        """Return what was heard of an image, and ask again; None where nothing was heard of it."""
        if self._asked is None or self._asked.done():
            if self._asked is not None and self._asked.exception() is None:
                self._known = self._asked.result()
            self._asked = worker.call("progress")
        return self._known if self._known is not None and self._known.image == image else None
