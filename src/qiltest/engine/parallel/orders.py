"""What a session orders of a pool of workers, and what it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qiltest.engine.parallel.plan import Job
from qiltest.engine.parallel.records import Denoising
from qiltest.generation.records import Generation
from qiltest.recipe import Recipe
from qiltest.runs.records import MadeOn


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds after which a worker counts as hung."""

    #: to import its libraries, open its generator, encode prompts, or answer a question.
    start: float = 900.0
    #: for an image, below the 1800 s after which pytest-timeout ends its test.
    image: float = 1500.0
    #: for an image of a known kind, beside `SLOWER` times its seconds: loading another variant is in it.
    more: float = 300.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """An image that the session wants."""

    job: Job
    recipe: Recipe
    #: images of one cohort count their timed loops together.
    cohort: object


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An image that a worker made."""

    denoising: Denoising
    image: Generation
    #: what happened to it on the way.
    notes: tuple[str, ...]
    made_on: MadeOn
    #: `Place.beside` of the worker.
    beside: int


#: takes an image by its number, or the error that it has instead; called once for each, by threads of the pool.
Deliver = Callable[[int, "Arrival | BaseException"], None]
