"""What runs inside a worker: a generator, its loops, and the thread that writes PNGs."""

from __future__ import annotations

import os
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from qiltest.engine.environment import device_state, gpu_uuid, versions
from qiltest.engine.loops import Loops, Made
from qiltest.engine.parallel.records import Asked, Denoising, Hello, Setup
from qiltest.generation.images import finish
from qiltest.generation.records import Generation, Generator
from qiltest.recipe import Prompt, Recipe

#: facts of a recipe that are of its image; all others are of the worker.
_OF_THE_IMAGE = frozenset({"prompt", "seed", "asked", "effective", "variant"})


class WorkerCalls:
    """See `records.Calls`. All calls but `image` come from one thread."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._opened: tuple[Generator, Loops] | None = None
        self._pngs = ThreadPoolExecutor(max_workers=1, thread_name_prefix="qiltest-png")
        self._images: dict[int, Future[Generation]] = {}

    def hello(self) -> Hello:
        """Open the generator."""
        generator, _ = self._open()
        gpu = "" if generator.on_cpu else gpu_uuid(self._setup.timed.device)
        return Hello(
            host=socket.gethostname(),
            pid=os.getpid(),
            gpu=gpu,
            model=generator.model,
            is_tiny=generator.is_tiny,
            judges_text=generator.judges_text,
            on_cpu=generator.on_cpu,
        )

    def recipe(self, asked: Asked) -> Recipe:
        """Return an image's recipe."""
        return self._open()[0].recipe(asked.case, asked.size, asked.variant, asked.seed)

    def surroundings(self, asked: Asked) -> dict[str, str]:
        """Return the facts of a recipe that are not the image's, versions of packages, and the GPU's driver."""
        generator, _ = self._open()
        facts = self.recipe(asked).facts()
        found = {name: str(value) for name, value in facts.items() if name not in _OF_THE_IMAGE}
        states = () if generator.on_cpu else device_state(self._setup.timed.device)
        driver = {} if not states else {"driver": states[0].driver}
        return {**dict(versions()), **found, **driver}

    def prepare(self, prompts: tuple[Prompt, ...]) -> None:
        """Encode prompts."""
        self._open()[0].prepare(prompts)

    def make(self, number: int, recipe: Recipe, known: int) -> Denoising:
        """Generate an image, and begin to write its PNG beside the next one."""
        made = self._open()[1].make(recipe, known=known)
        self._images[number] = self._pngs.submit(_written, made)
        return Denoising(
            loops=tuple(replace(loop, latents=None) for loop in made.loops),
            notes=made.notes,
            disturbed=made.disturbed,
            device=made.device,
        )

    def image(self, number: int) -> Generation:
        """Return a made image once."""
        return self._images.pop(number).result()

    def matrix_rate(self) -> float | None:
        """Return the device's measured matrix rate."""
        return self._open()[0].matrix_rate()

    def close(self) -> None:
        """Give the device's memory back."""
        self._pngs.shutdown(cancel_futures=True)
        if self._opened is not None:
            self._opened[0].close()

    def _open(self) -> tuple[Generator, Loops]:
        if self._opened is None:
            generator = self._setup.open_generator()
            self._opened = generator, Loops(generator, self._setup.timed)
        return self._opened


#: what a session may call.
CALLS = frozenset({"hello", "recipe", "surroundings", "prepare", "make", "image", "matrix_rate"})


def _written(made: Made) -> Generation:
    return made.decoded if isinstance(made.decoded, Generation) else finish(made.decoded)


def sendable(error: BaseException) -> BaseException:
    """Return an error that can travel: itself, or one of its text where it cannot be pickled and made again."""
    import pickle

    try:
        again: Any = pickle.loads(pickle.dumps(error))  # noqa: S301  bytes of this line
    except Exception:  # noqa: BLE001  whatever an error's own code raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if str(again) == str(error) else RuntimeError(f"{type(error).__name__}: {error}")
