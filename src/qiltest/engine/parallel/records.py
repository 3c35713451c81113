"""What the session and its workers tell each other, and the protocol of a worker. Needs neither torch nor Ray."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from qiltest.engine.environment import DeviceState
from qiltest.engine.loops import Timed
from qiltest.generation.records import Denoised, Generator
from qiltest.recipe import Prompt, Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant

#: opens the generator inside a worker; importable by name, because it travels there.
OpenGenerator = Callable[[], Generator]


class WorkerDiedError(Exception):
    """A worker ended, or does not answer; the message says why. What it had in hand is lost."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a worker runs on."""

    #: from 1.
    number: int
    #: its entry of CUDA_VISIBLE_DEVICES; None where the CPU generates, and where the cluster chooses.
    gpu: str | None = None
    #: the cores that are its own; None leaves it to the system.
    cores: tuple[int, ...] | None = None
    #: how many other workers have a GPU of the same host.
    beside: int = 0


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a worker says of itself once its generator is open."""

    host: str
    pid: int
    #: UUID of its GPU, "" for none.
    gpu: str
    model: str
    is_tiny: bool
    judges_text: bool
    on_cpu: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An image whose recipe is asked for: the arguments of `Generator.recipe`."""

    case: Case
    size: Size
    variant: Variant
    seed: int


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """An image was denoised and decoded, and the worker's device is free; its PNG is being written."""

    #: without latents, which stay where they are.
    loops: tuple[Denoised, ...]
    notes: tuple[str, ...]
    disturbed: float
    device: tuple[DeviceState, ...]


class Calls(Protocol):
    """What a worker does; the session calls it through `Worker.call`, by name.

    All but `image` are done in turn, in one thread; `image` is answered beside them.
    """

    def hello(self) -> Hello:
        """Open the generator. Raises DeviceError and ModelError where it cannot be used."""
        ...

    def recipe(self, asked: Asked) -> Recipe:
        """Return an image's recipe. Raises RecipeError."""
        ...

    def surroundings(self, asked: Asked) -> dict[str, str]:
        """Return what must be equal on all workers: the recipe of an image, versions, driver."""
        ...

    def prepare(self, prompts: tuple[Prompt, ...]) -> None:
        """Encode prompts."""
        ...

    def make(self, number: int, recipe: Recipe, known: int) -> Denoising:
        """Run and time an image's loops, and decode it; see `Loops.make`."""
        ...

    def image(self, number: int) -> Any:  # noqa: ANN401  a Generation
        """Return the image that `make` began, once its PNG is written. Raises GenerationError."""
        ...

    def matrix_rate(self) -> float | None:
        """See `Generator.matrix_rate`."""
        ...


class Worker(Protocol):
    """One worker, however it is reached."""

    def call(self, name: str, *args: Any) -> Future[Any]:  # noqa: ANN401  by name
        """Hand a call of `Calls` over without waiting.

        The future has its result, the error that it raised, or WorkerDiedError.
        """
        ...

    def kill(self) -> None:
        """End it at once; whatever it still answers is dropped. May be called twice."""
        ...

    def close(self) -> None:
        """Let it give its device back and end, and wait for that a moment; then kill it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a new worker is told."""

    open_generator: OpenGenerator
    timed: Timed


#: starts the worker of a place without waiting for it. Raises DeviceError where that cannot be.
StartWorker = Callable[[Place, Setup], Worker]
