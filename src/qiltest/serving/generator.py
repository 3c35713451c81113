"""Let a server make the images: the `Generator` protocol over requests."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from qiltest.errors import LateError, ModelError, QiltestError, RecipeError
from qiltest.generation.images import finish
from qiltest.generation.records import Decoded, Denoised, Generation, Generator, Timing
from qiltest.recipe import Prompt, Recipe, Size
from qiltest.serving.ahead import Ahead
from qiltest.serving.dialect import IMAGES, Ask, Dialect, ServedLora, Took
from qiltest.serving.image import most_bytes, pixels_of
from qiltest.serving.probes import STEPS, Probes
from qiltest.serving.recipes import Served, ServedRecipes
from qiltest.serving.settings import Server
from qiltest.serving.speed import Request, ServedSpeeds, speeds_of
from qiltest.suite.cases import Case
from qiltest.suite.variants import ModelKind, Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qiltest.serving.client import Answer, Client

#: answers in a row that do not come, after which no more is asked for: each is waited for in full.
MOST_LATE = 3
#: images of each size and variant that are made alone before several are in flight, to compare with.
ALONE = 3


@dataclass(frozen=True, kw_only=True)
class _Made:
    """One image of an answer."""

    pixels: NDArray[np.uint8]
    took: Took
    notes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


class ServedGenerator(Generator):
    """Asks a server. See `generation.records.Generator` for the meaning of each method."""

    on_cpu = False
    judges_text = True

    def __init__(
        self, server: Server, dialect: Dialect, client: Client, served: Served, notes: tuple[str, ...] = ()
    ) -> None:
        """Ask for nothing yet; `notes` says what could not be seen of the server."""
        self._server, self._dialect, self._client, self._served = server, dialect, client, served
        self._recipes = ServedRecipes(served, dialect, server.says)
        self._probes = Probes(self._probe, server.says)
        self._ahead = Ahead(self._alongside, threads=server.concurrency)
        #: what will be asked for, by recipe key and in this order, and the place of each.
        self._expected: dict[str, Recipe] = {}
        self._places: dict[str, int] = {}
        #: the LoRA that is set for the whole server; not known before the first request.
        self._lora: ServedLora | None = None
        self._is_set = False
        self._requests: list[Request] = []
        #: answers in a row that did not come.
        self._late = 0
        #: hash of the pixels of images that were made alone, by recipe key, and whether others in flight changed them.
        self._alone: dict[str, str] = {}
        self._changed: dict[str, bool] = {}
        self._groups: set[tuple[str, Size]] = set()
        self.notes = notes

    @property
    def model(self) -> str:
        """Name of goldens and latencies: `served/`, the dialect and the model's name on the server."""
        return self._served.model

    @property
    def is_tiny(self) -> bool:
        """True where the embedded model is served."""
        return self._served.kind is ModelKind.TINY

    def recipe(self, case: Case, size: Size, variant: Variant, seed: int) -> Recipe:
        """Return the recipe of an image without asking for it. Raises RecipeError."""
        return self._recipes.build(case, size, variant, seed)

    def prepare(self, prompts: Iterable[Prompt]) -> None:
        """Do nothing: the server encodes prompts itself."""

    def expect(self, recipes: Iterable[Recipe]) -> None:
        """Say which images will be asked for, in this order."""
        self._expected = {recipe.key(): recipe for recipe in recipes}
        self._places = {key: place for place, key in enumerate(self._expected)}

    def warm_up(self, recipe: Recipe) -> None:
        """Ask for a small number of steps of a size and variant, and forget the image."""
        ask = self._asked(recipe)
        self._ready(ask)
        self._make(replace(ask, steps=min(STEPS, ask.steps)))

    def denoise(self, recipe: Recipe) -> Denoised:
        """Ask for the image and wait for it. Raises ServerError, AnswerError, RecipeError."""
        ask = self._asked(recipe)
        self._ready(ask)
        several = self._server.concurrency
        if several == 1:
            made = self._recorded(recipe, 1)
        else:
            key = recipe.key()
            self._expected.setdefault(key, recipe)
            self._make_alone(recipe)
            made = self._ahead.take(key, [one.key() for one in self._following(recipe)])
        notes = (*made.notes, *self._probes.notes)
        self._probes.notes.clear()
        return Denoised(
            recipe=recipe,
            latents=made.pixels,
            timing=Timing(
                step_seconds=(),
                denoise_seconds=made.took.seconds,
                decode_seconds=made.took.decode_seconds,
                forwards=0,
                kind=made.took.kind,
                concurrency=several,
            ),
            latents_sha256=made.sha256,
            notes=notes,
        )

    def decode_pixels(self, denoised: Denoised) -> Decoded:
        """Return the pixels that the server sent; `images.finish` does the rest."""
        return Decoded(
            recipe=denoised.recipe, pixels=denoised.latents, timing=denoised.timing, latents=None, judges_text=True
        )

    def decode(self, denoised: Denoised) -> Generation:
        """Return the image that the server sent. Raises GenerationError for a blank one."""
        return finish(self.decode_pixels(denoised))

    def speeds(self) -> ServedSpeeds:
        """Return how long the answers took so far."""
        changed = sum(self._changed.values())
        return speeds_of(list(self._requests), compared=len(self._changed), changed=changed)

    def close(self) -> None:
        """Take a LoRA off the server that was set, and end all connections."""
        self._ahead.close()
        set_by_us, self._is_set = self._is_set, False
        if set_by_us and self._lora is not None:
            try:
                self._dialect.switch(self._client, None)
            except QiltestError as error:
                warnings.warn(f"qiltest: LoRA {self._lora.name} may still be set on the server: {error}", stacklevel=2)
        self._client.close()

    def _asked(self, recipe: Recipe) -> Ask:
        ask = self._recipes.asks.get(recipe.key())
        if ask is None:
            raise RecipeError(
                "the recipe was built for another generator",
                where=recipe.variant,
                remedy="build the recipe with this generator",
            )
        return ask

    def _ready(self, ask: Ask) -> None:
        """Probe what the image depends on, and set its LoRA."""
        self._probes.require(ask)
        self._switch(ask.lora)

    def _switch(self, lora: ServedLora | None) -> None:
        """Set the LoRA of what follows, once nothing else is in flight."""
        left_alone = not self._dialect.sets_lora or bool(self._server.says["lora"])  # which it has since its start
        if left_alone or (self._is_set and lora == self._lora):
            return
        self._ahead.drain()
        self._is_set, self._lora = True, lora
        try:
            self._dialect.switch(self._client, lora)
        except QiltestError:
            self._is_set = False  # it is set again, and seen, before the next image
            raise

    def _following(self, recipe: Recipe) -> Sequence[Recipe]:
        """Return what will be asked for after a recipe with the same variant: others change LoRA and latency."""
        place = self._places.get(recipe.key(), len(self._expected))
        later = islice(self._expected.values(), place + 1, None)
        return list(islice((one for one in later if one.variant == recipe.variant), 2 * self._server.concurrency))

    def _make_alone(self, recipe: Recipe) -> None:
        """Make the first images of a size and variant alone, so that latency and pixels can be compared."""
        group = (recipe.variant, recipe.effective)
        if group in self._groups:
            return
        self._groups.add(group)
        self._ahead.drain()
        same = [recipe, *(one for one in self._following(recipe) if one.effective == recipe.effective)]
        for one in same[:ALONE]:
            self._alone[one.key()] = self._recorded(one, 1).sha256

    def _alongside(self, key: str) -> _Made:
        made = self._recorded(self._expected[key], self._server.concurrency)
        alone = self._alone.get(key)
        if alone is not None:
            self._changed[key] = made.sha256 != alone
        return made

    def _recorded(self, recipe: Recipe, concurrency: int) -> _Made:
        made, began, ended = self._make(self._asked(recipe))
        self._requests.append(
            Request(
                size=str(recipe.effective),
                variant=recipe.variant,
                concurrency=concurrency,
                began=began,
                ended=ended,
                seconds=made.took.seconds,
                kind=made.took.kind,
            )
        )
        return made

    def _probe(self, ask: Ask) -> NDArray[np.uint8]:
        self._switch(ask.lora)
        return self._make(ask)[0].pixels

    def _make(self, ask: Ask) -> tuple[_Made, float, float]:
        """Ask for one image; return it, and when it was asked for and there."""
        body = self._recipes.body(ask)
        answer = self._answer(body, ask.size)
        pixels = pixels_of(answer.value, ask.size, where=f"{self._server.url}{IMAGES}")
        took = self._dialect.took(answer)
        notes = (*answer.notes, *((took.note,) if took.note else ()))
        return _Made(pixels=pixels, took=took, notes=notes), answer.began, answer.ended

    def _answer(self, body: dict[str, object], size: Size) -> Answer:
        """Send a request. Raises ModelError, which ends the session, where the server has gone silent."""
        try:
            answer = self._client.post(IMAGES, body, most=most_bytes(size))
        except LateError as error:
            self._late += 1
            if self._late < MOST_LATE:
                raise
            raise ModelError(
                f"{self._late} answers in a row did not come: {error.what}", where=error.where, remedy=error.remedy
            ) from None
        self._late = 0
        return answer


def sent(recipe: Recipe) -> dict[str, object]:
    """Return the body that was sent for an image of a server; {} for any other image."""
    found = {} if recipe.served is None else json.loads(recipe.served.request)
    return dict(found.get("body", {}))
