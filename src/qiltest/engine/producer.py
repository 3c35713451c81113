"""Drawing: the picture of a test, and the next one while the last is being read.

Where a GPU draws, the tests overlap: test N hands its picture to the background (PNG, store, reading), draws the
picture of test N + 1, and only then asks for its own reading. What goes wrong with the next picture is kept and raised
in that picture's own test, and so is what goes wrong in the background. Where the CPU draws, it has nothing to spare
for a reader, and everything happens in its turn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.engine.environment import DeviceState
from qiltest.engine.timing_rounds import rounds_of
from qiltest.engine.workers import Background, Foreground, Later
from qiltest.errors import GenerationError, OutOfMemoryError, QiltestError, RecipeError
from qiltest.gate.latency import Cohort
from qiltest.generation.images import finish
from qiltest.generation.records import Decoded, Denoised, DrawsAhead, Generation
from qiltest.quality import Examined, examine
from qiltest.reading.images import Pixels, load_picture
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.events import Drawn, now
from qiltest.runs.records import Point
from qiltest.runs.store import Stored

if TYPE_CHECKING:
    from qiltest.engine.context import Work


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A picture that has left the device: its loops, and what is still being done with it."""

    #: every timed denoise loop, in order; none where the picture was taken from the store.
    loops: tuple[Denoised, ...]
    drawn: Later[Drawn]
    #: None where the model's text is not judged.
    reading: Later[Reading] | None
    #: None where the model's text is not judged.
    health: Later[Examined] | None = None
    #: id of the run that read the picture, where its reading is a stored one.
    read_in: str = ""
    #: the device before and after the loops.
    device: tuple[DeviceState, ...] = ()


class Easel:
    """Draws the pictures of a session, each once."""

    def __init__(
        self, work: Work, *, stores: Background, readings: Background, read: Callable[[Point, Path], Reading]
    ) -> None:
        """Draw for `work`. `stores` writes PNGs and the run, `readings` calls `read`; both keep their order."""
        self._work, self._stores, self._readings, self._read = work, stores, readings, read
        self._ahead: dict[Point, Sheet | Exception] = {}
        self._timed: dict[Cohort, int] = {}

    def take(self, point: Point) -> Sheet:
        """Return a point's picture, drawing it unless that was done ahead. Raises what went wrong with it."""
        sheet = self._ahead.pop(point, None) or self._draw(point)
        if isinstance(sheet, Exception):
            raise sheet
        return sheet

    def reuse(self, point: Point, stored: Stored) -> Sheet:
        """Take a picture from the store, whose bytes the caller has checked, and its reading if it is this reader's."""
        drawn = self._stores.submit(partial(self._link, point, stored))
        health = self._health(stored.path)
        known = self._work.stored_reading(point, stored) if self._work.generator.judges_text else None
        if known is None:
            return Sheet(loops=(), drawn=drawn, reading=self._reading(point, drawn), health=health)
        reading = Foreground().submit(lambda: known.reading)
        return Sheet(loops=(), drawn=drawn, reading=reading, health=health, read_in=known.run)

    def look_ahead(self, point: Point) -> None:
        """Draw what comes after a point, where the device that draws is not the one that reads."""
        following = None if self._ahead or not draws_ahead(self._work.generator) else self._following(point)
        if following is None:
            return
        try:
            self._ahead[following] = self._draw(following)
        except Exception as error:  # noqa: BLE001  it belongs to that picture's own test
            self._ahead[following] = error

    def close(self) -> None:
        """Finish storing what was drawn; give up what was not read yet."""
        self._stores.close()
        self._readings.close()

    def _following(self, point: Point) -> Point | None:
        points = list(self._work.tasks)
        for candidate in points[points.index(point) + 1 :]:
            recipe = self._work.recipes[candidate]
            if isinstance(recipe, QiltestError) or self._work.tasks[candidate].case.doubts:
                continue
            if recipe.key() not in self._work.reusable:
                return candidate
        return None

    def _draw(self, point: Point) -> Sheet:
        recipe = self._work.recipes[point]
        if isinstance(recipe, QiltestError):
            raise recipe
        before = self._work.device_state()
        loops, notes = self._loops(recipe)
        after = self._work.device_state()
        chosen = sorted(loops, key=lambda loop: loop.denoise_seconds)[(len(loops) - 1) // 2]
        generator = self._work.generator
        made = generator.decode_pixels(chosen) if isinstance(generator, DrawsAhead) else generator.decode(chosen)
        drawn = self._stores.submit(partial(self._store, point, made, notes))
        health = self._health(made.png if isinstance(made, Generation) else made.pixels)
        reading = self._reading(point, drawn)
        return Sheet(loops=loops, drawn=drawn, reading=reading, health=health, device=(*before, *after))

    def _loops(self, recipe: Recipe) -> tuple[tuple[Denoised, ...], tuple[str, ...]]:
        """Run the denoise loop as often as it is to be timed; memory that ran out is retried once, and said."""
        cohort = self._work.cohort(recipe)
        known = self._timed.get(cohort)
        notes: tuple[str, ...] = ()
        try:
            if known is None:
                self._warm_up(recipe)
            first = self._denoise(recipe)
        except OutOfMemoryError as error:
            first, notes = self._denoise(recipe), (f"drawn at the second attempt, after: {error.what}",)
        rounds = rounds_of(self._work.options.rounds, seconds=first.denoise_seconds, known=known or 0)
        loops = (first, *(self._denoise(recipe) for _ in range(rounds - 1)))
        self._timed[cohort] = (known or 0) + rounds
        return loops, (*notes, *_unsteady(loops))

    def _warm_up(self, recipe: Recipe) -> None:
        generator = self._work.generator
        if self._work.options.gpu and isinstance(generator, DrawsAhead):
            generator.warm_up(recipe)

    def _denoise(self, recipe: Recipe) -> Denoised:
        denoised = self._work.generator.denoise(recipe)
        seconds = denoised.denoise_seconds
        if not (math.isfinite(seconds) and seconds > 0):
            raise GenerationError(
                f"the denoise loop was not timed: {seconds} s",
                where=recipe.variant,
                remedy="a latency that is not measured must not pass",
            )
        return denoised

    def _reading(self, point: Point, drawn: Later[Drawn]) -> Later[Reading] | None:
        if not self._work.generator.judges_text:
            return None
        return self._readings.submit(lambda: self._read(point, self._work.writer.picture(drawn.result().sha256)))

    def _health(self, picture: Path | bytes | Pixels) -> Later[Examined] | None:
        """Have a picture measured by the thread that stores: pixels at hand need not be decoded again."""
        if not self._work.generator.judges_text:
            return None
        return self._stores.submit(
            lambda: examine(load_picture(picture) if isinstance(picture, Path | bytes) else picture)
        )

    def _store(self, point: Point, made: Decoded | Generation, notes: tuple[str, ...]) -> Drawn:
        generation = made if isinstance(made, Generation) else finish(made)
        recipe = generation.recipe
        _check(generation, recipe)
        drawn = Drawn(
            at=now(),
            point=point,
            recipe=recipe,
            key=recipe.key(),
            sha256=self._work.writer.put(generation.png),
            timing=generation.timing,
            latents=generation.latents,
            cohort=self._work.cohort(recipe),
            notes=notes,
        )
        self._work.append(drawn)
        return drawn

    def _link(self, point: Point, stored: Stored) -> Drawn:
        self._work.writer.link(stored.path, stored.drawn.sha256)
        drawn = replace(stored.drawn, at=now(), point=point, reused_from=stored.drawn.reused_from or stored.run.name)
        self._work.append(drawn)
        return drawn


def draws_ahead(generator: object) -> bool:
    """Say whether a generator draws on a device of its own, so that the CPU is free to read meanwhile."""
    return isinstance(generator, DrawsAhead) and not generator.on_cpu


def _unsteady(loops: tuple[Denoised, ...]) -> tuple[str, ...]:
    """Say where the same recipe gave other latents in another round."""
    other = sum(1 for loop in loops[1:] if loop.latents_sha256 != loops[0].latents_sha256)
    return (f"the same recipe gave other latents in {other} of {len(loops) - 1} further rounds",) if other else ()


def _check(generation: Generation, recipe: Recipe) -> None:
    """Refuse a picture that is not what its recipe says. Raises RecipeError and GenerationError."""
    timing = generation.timing
    if timing.forwards != recipe.nfe:
        raise RecipeError(
            f"{timing.forwards} forwards were made, the recipe says {recipe.nfe}",
            where=f"variant {recipe.variant}",
            remedy="CFG must be 1 for a LoRA of few steps, and the scheduler must take all steps",
        )
    if hashlib.sha256(generation.png).hexdigest() != generation.sha256:
        raise GenerationError("the picture's bytes are not those it was announced with", where=recipe.variant)
    seconds = (timing.decode_seconds, *timing.step_seconds)
    if not all(math.isfinite(value) and value >= 0 for value in seconds):
        raise GenerationError(
            f"decoding or a step was not timed: {seconds}",
            where=recipe.variant,
            remedy="a latency that is not measured must not pass",
        )
