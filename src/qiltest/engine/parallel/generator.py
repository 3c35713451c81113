"""A `Generator` whose images are made by workers: the session opens it in place of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from qiltest.engine.environment import cohort_of
from qiltest.engine.parallel.orders import Deliver, Order
from qiltest.engine.parallel.plan import Job
from qiltest.engine.parallel.pool import WorkerPool
from qiltest.engine.parallel.records import Asked, Hello
from qiltest.engine.parallel.scheduler import estimated_load, estimated_seconds
from qiltest.errors import GenerationError
from qiltest.generation.records import Denoised, Generation, Generator
from qiltest.recipe import Prompt, Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.variants import Variant


class WorkersGenerator(Generator):
    """Builds recipes on a worker; images come from all of them, by `begin` and `order`."""

    def __init__(self, pool: WorkerPool, on_close: Callable[[], None] | None = None) -> None:
        """`on_close` is called once the workers have ended."""
        self._pool, self._on_close = pool, on_close
        #: an image whose recipe could be built: all workers must build it alike.
        self._reference: Asked | None = None
        self._prompts: tuple[Prompt, ...] = ()

    @cached_property
    def _hello(self) -> Hello:
        return self._pool.hello()

    @property
    def model(self) -> str:
        """Name of the model."""
        return self._hello.model

    @property
    def is_tiny(self) -> bool:
        """True for the embedded model."""
        return self._hello.is_tiny

    @property
    def judges_text(self) -> bool:
        """False where the weights are random."""
        return self._hello.judges_text

    @property
    def on_cpu(self) -> bool:
        """True where the workers generate on the CPU."""
        return self._hello.on_cpu

    @property
    def workers(self) -> int:
        """How many workers there are."""
        return self._pool.size

    @property
    def notices(self) -> list[str]:
        """What happened to workers, a sentence each."""
        return self._pool.notices

    def recipe(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return an image's recipe, as a worker builds it. Raises RecipeError, WorkersLostError."""
        asked = Asked(case=case, size=size, variant=variant, seed=seed)
        found: Recipe = self._pool.ask("recipe", asked)
        self._reference = self._reference or asked
        return found

    def prepare(self, prompts: Iterable[Prompt]) -> None:
        """Keep prompts for `begin`: one worker of each host encodes them, and the others read what it kept."""
        self._prompts = tuple(prompts)

    def matrix_rate(self) -> float | None:
        """Return a worker's measured matrix rate."""
        found: float | None = self._pool.ask("matrix_rate")
        return found

    def begin(self, deliver: Deliver) -> None:
        """Begin to generate what is ordered; images are delivered by threads of the pool, in any order."""
        self._pool.begin(deliver, reference=self._reference, prompts=self._prompts)

    def order(self, recipes: Mapping[int, Recipe], seconds: Mapping[int, float] | None = None) -> None:
        """Order images by their place in the order of tests; `seconds` are those of earlier runs, of all or of none."""
        known = seconds or {}
        self._pool.add(_order(number, recipe, known.get(number)) for number, recipe in recipes.items())

    def wanted(self, number: int) -> None:
        """Say that a test waits for an image."""
        self._pool.wanted(number)

    def taken(self, number: int) -> None:
        """Say that a test has its image."""
        self._pool.taken(number)

    def warm_up(self, recipe: Recipe) -> None:
        """Do nothing: each worker warms up for itself."""

    def denoise(self, recipe: Recipe) -> Denoised:
        """Raise GenerationError: images are ordered, and not made one by one."""
        raise GenerationError(
            "workers generate what a session orders, and no image beside it",
            where=recipe.variant,
            remedy="remove --qil-workers and --qil-cluster for a test that calls the generator itself",
        )

    def decode(self, denoised: Denoised) -> Generation:
        """Raise GenerationError, as `denoise`."""
        self.denoise(denoised.recipe)
        raise AssertionError

    def close(self) -> None:
        """End the workers."""
        self._pool.close()
        if self._on_close is not None:
            self._on_close()
            self._on_close = None


def _order(number: int, recipe: Recipe, known: float | None) -> Order:
    size = recipe.effective
    estimate = estimated_seconds(nfe=recipe.nfe, width=size.width, height=size.height)
    job = Job(
        number=number,
        variant=recipe.variant,
        kind=(recipe.variant, str(size)),
        seconds=estimate if known is None else known,
        load=estimated_load(width=size.width, height=size.height),
    )
    return Order(job=job, recipe=recipe, cohort=cohort_of(recipe, model="", device=recipe.device))
