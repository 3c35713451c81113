"""Generate images ahead of the tests that ask for them.

On a GPU, image N + 1 is generated while image N is written, stored and read beside it; on a CPU everything runs in
order. An error in a prefetched image, or in what is done with an image in the background, is raised by that image's
own test.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

from qiltest.engine.environment import DeviceState, cohort_of, device_state
from qiltest.engine.options import Options
from qiltest.engine.readers import Readers
from qiltest.engine.timing_rounds import rounds_of
from qiltest.engine.workers import InlineExecutor, executor_for
from qiltest.errors import GenerationError, OutOfMemoryError, QiltestError, RecipeError
from qiltest.gate.latency import Cohort
from qiltest.generation.images import finish
from qiltest.generation.records import Decoded, Denoised, Generation, Generator
from qiltest.quality import Examined, examine
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.events import Generated, now
from qiltest.runs.store import Stored, usable
from qiltest.runs.writer import RunWriter
from qiltest.suite.selection import Sample, Task


@dataclass(frozen=True, kw_only=True)
class PendingImage:
    """An image that has left the device: its loops, and what is still being done with it."""

    #: every timed denoise loop, in order; none where the image was taken from the store.
    loops: tuple[Denoised, ...]
    generated: Future[Generated]
    #: None where the model's text is not judged.
    reading: Future[Reading] | None
    #: None where the model's text is not judged.
    health: Future[Examined] | None
    #: id of the run that read the image, where its reading is a stored one.
    read_in: str = ""
    #: the device before and after the loops.
    device: tuple[DeviceState, ...] = ()


class ImageProducer:
    """Makes the images of a run, each once: taken from the store, or generated and stored."""

    def __init__(
        self,
        *,
        tasks: Mapping[Sample, Task],
        recipes: Mapping[Sample, Recipe | QiltestError],
        reusable: MutableMapping[str, Stored],
        generator: Generator,
        readers: Readers,
        writer: RunWriter,
        device_name: str,
        options: Options,
    ) -> None:
        """`recipes` holds what to generate per point, or why it cannot be; `reusable` the stored images by recipe."""
        self._tasks, self._recipes, self._reusable = tasks, recipes, reusable
        self._generator, self._readers, self._writer = generator, readers, writer
        self._device_name, self._options = device_name, options
        #: write PNGs and the run; read. Each keeps its order.
        self._stores, self._readings = executor_for(generator), executor_for(generator)
        self._ahead: dict[Sample, PendingImage | Exception] = {}
        self._timed: dict[Cohort, int] = {}

    def take(self, sample: Sample) -> PendingImage:
        """Return a point's image: from the store, generated ahead, or generated now. Raises what went wrong with it."""
        recipe = self._recipe(sample)
        stored = self._reusable.pop(recipe.key(), None)
        if stored is not None and usable(stored):
            return self._reuse(sample, stored)
        image = self._ahead.pop(sample, None) or self._generate(sample)
        if isinstance(image, Exception):
            raise image
        return image

    def prefetch(self, sample: Sample) -> None:
        """Generate what comes after a point, where the device that generates is not the one that reads."""
        following = None if self._ahead or self._generator.on_cpu else self._following(sample)
        if following is None:
            return
        try:
            self._ahead[following] = self._generate(following)
        except Exception as error:  # noqa: BLE001  it belongs to that image's own test
            self._ahead[following] = error

    def close(self) -> None:
        """Finish storing what was generated; give up what was not read yet."""
        self._stores.shutdown()
        self._readings.shutdown(cancel_futures=True)

    def _recipe(self, sample: Sample) -> Recipe:
        recipe = self._recipes[sample]
        if isinstance(recipe, QiltestError):
            raise recipe
        return recipe

    def _following(self, sample: Sample) -> Sample | None:
        samples = list(self._tasks)
        for candidate in samples[samples.index(sample) + 1 :]:
            recipe = self._recipes[candidate]
            if isinstance(recipe, QiltestError) or self._tasks[candidate].case.doubts:
                continue
            if recipe.key() not in self._reusable:
                return candidate
        return None

    def _reuse(self, sample: Sample, stored: Stored) -> PendingImage:
        """Take an image from the store, whose bytes were checked, and its reading if it is this reader's."""
        generated = self._stores.submit(self._link, sample, stored)
        health = self._health(stored.path)
        known = self._readers.stored(self._tasks[sample].case, stored) if self._generator.judges_text else None
        if known is None:
            return PendingImage(loops=(), generated=generated, reading=self._reading(sample, generated), health=health)
        reading = InlineExecutor().submit(lambda: known.reading)
        return PendingImage(loops=(), generated=generated, reading=reading, health=health, read_in=known.run)

    def _generate(self, sample: Sample) -> PendingImage:
        recipe = self._recipe(sample)
        before = self._device_state()
        loops, notes = self._loops(recipe)
        after = self._device_state()
        chosen = sorted(loops, key=lambda loop: loop.denoise_seconds)[(len(loops) - 1) // 2]
        disturbed = _disturbed(chosen, loops) if self._generator.on_cpu else 0.0
        made = self._generator.decode_pixels(chosen)
        generated = self._stores.submit(self._store, sample, made, notes, disturbed)
        health = self._health(made.png if isinstance(made, Generation) else made.pixels)
        reading = self._reading(sample, generated)
        return PendingImage(loops=loops, generated=generated, reading=reading, health=health, device=(*before, *after))

    def _device_state(self) -> tuple[DeviceState, ...]:
        return () if self._generator.on_cpu else device_state(self._options.device)

    def _loops(self, recipe: Recipe) -> tuple[tuple[Denoised, ...], tuple[str, ...]]:
        """Run the denoise loop as often as it is to be timed; memory that ran out is retried once, and said."""
        cohort = self._cohort(recipe)
        known = self._timed.get(cohort)
        notes: tuple[str, ...] = ()
        try:
            if known is None and self._options.gpu:
                self._generator.warm_up(recipe)
            first = self._denoise(recipe)
        except OutOfMemoryError as error:
            first, notes = self._denoise(recipe), (f"generated at the second attempt, after: {error.what}",)
        rounds = rounds_of(self._options.rounds, seconds=first.denoise_seconds, known=known or 0)
        loops = (first, *(self._denoise(recipe) for _ in range(rounds - 1)))
        self._timed[cohort] = (known or 0) + rounds
        return loops, (*notes, *_unsteady(loops))

    def _cohort(self, recipe: Recipe) -> Cohort:
        return cohort_of(recipe, model=self._generator.model, device=self._device_name)

    def _denoise(self, recipe: Recipe) -> Denoised:
        denoised = self._generator.denoise(recipe)
        seconds = denoised.denoise_seconds
        if not (math.isfinite(seconds) and seconds > 0):
            raise GenerationError(
                f"the denoise loop was not timed: {seconds} s",
                where=recipe.variant,
                remedy="a latency that is not measured must not pass",
            )
        return denoised

    def _reading(self, sample: Sample, generated: Future[Generated]) -> Future[Reading] | None:
        if not self._generator.judges_text:
            return None
        return self._readings.submit(self._read, sample, generated)

    def _read(self, sample: Sample, generated: Future[Generated]) -> Reading:
        return self._readers.read(self._tasks[sample].case, self._writer.image(generated.result().sha256))

    def _health(self, image: Path | bytes | Pixels) -> Future[Examined] | None:
        """Have an image measured by the thread that stores: pixels at hand need not be decoded again."""
        if not self._generator.judges_text:
            return None
        return self._stores.submit(partial(_examined, image))

    def _store(self, sample: Sample, made: Decoded | Generation, notes: tuple[str, ...], disturbed: float) -> Generated:
        generation = made if isinstance(made, Generation) else finish(made)
        recipe = generation.recipe
        _check(generation, recipe)
        generated = Generated(
            at=now(),
            sample=sample,
            recipe=recipe,
            key=recipe.key(),
            sha256=self._writer.put(generation.png),
            timing=replace(generation.timing, disturbed=disturbed),
            latents=generation.latents,
            cohort=self._cohort(recipe),
            notes=notes,
        )
        self._writer.append(generated)
        return generated

    def _link(self, sample: Sample, stored: Stored) -> Generated:
        self._writer.link(stored.path, stored.generated.sha256)
        generated = replace(
            stored.generated, at=now(), sample=sample, reused_from=stored.generated.reused_from or stored.run.name
        )
        self._writer.append(generated)
        return generated


def _examined(image: Path | bytes | Pixels) -> Examined:
    return examine(load_image(image) if isinstance(image, Path | bytes) else image)


def _disturbed(chosen: Denoised, loops: tuple[Denoised, ...]) -> float:
    """Return how far other work on the CPU lengthened a loop (`Timing.disturbed`).

    The spread of repeated loops is their range over their median, without the first, which pays for what is done once.
    """
    seconds = [loop.denoise_seconds for loop in loops[1:]]
    spread = (max(seconds) - min(seconds)) / median(seconds) if seconds else 0.0
    return max(min(1.0, chosen.waited_seconds / chosen.denoise_seconds), spread)


def _unsteady(loops: tuple[Denoised, ...]) -> tuple[str, ...]:
    """Say where the same recipe gave other latents in another round."""
    other = sum(1 for loop in loops[1:] if loop.latents_sha256 != loops[0].latents_sha256)
    return (f"the same recipe gave other latents in {other} of {len(loops) - 1} further rounds",) if other else ()


def _check(generation: Generation, recipe: Recipe) -> None:
    """Refuse an image that is not what its recipe says. Raises RecipeError and GenerationError."""
    timing = generation.timing
    if timing.forwards != recipe.nfe:
        raise RecipeError(
            f"{timing.forwards} forwards were made, the recipe says {recipe.nfe}",
            where=f"variant {recipe.variant}",
            remedy="CFG must be 1 for a LoRA of few steps, and the scheduler must take all steps",
        )
    if hashlib.sha256(generation.png).hexdigest() != generation.sha256:
        raise GenerationError("the image's bytes are not those it was announced with", where=recipe.variant)
    seconds = (timing.decode_seconds, *timing.step_seconds)
    if not all(math.isfinite(value) and value >= 0 for value in seconds):
        raise GenerationError(
            f"decoding or a step was not timed: {seconds}",
            where=recipe.variant,
            remedy="a latency that is not measured must not pass",
        )
