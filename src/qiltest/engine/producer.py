"""Generate images ahead of the tests that ask for them.

On a GPU, image N + 1 is generated while image N is stored and read in the background; on a CPU everything runs in
order. An error in a prefetched image or in background work is raised by that image's own test.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from qiltest.elsewhere.records import FindsImages, Found
from qiltest.engine.environment import DeviceState, cohort_of, device_state
from qiltest.engine.options import Options
from qiltest.engine.readers import Readers
from qiltest.engine.workers import InlineExecutor, executor_for
from qiltest.errors import GenerationError, ModelError, OutOfMemoryError, QiltestError, RecipeError
from qiltest.gate.latency import Cohort
from qiltest.generation.images import finish
from qiltest.generation.records import Decoded, Denoised, Generation, Generator, Timing
from qiltest.quality import Examined, examine
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.events import Generated, now
from qiltest.runs.store import Stored, usable
from qiltest.runs.writer import RunWriter
from qiltest.suite.selection import Sample, Task
from qiltest.text.format import count

#: timed loops that a cohort should have; its latency golden is the median over them.
LOOPS = 3
#: most seconds for the loops of one image, unless a single loop takes longer.
SECONDS = 6.0


def rounds_of(asked: int | None, *, seconds: float, known: int) -> int:
    """Return the number of timed denoise loops of an image.

    `asked` is `--qil-rounds` (None: auto), `seconds` the image's first loop, `known` the loops that this session has
    timed in its cohort. Auto repeats short loops until the cohort has `LOOPS`; long ones are steady enough.
    """
    return asked or max(1, min(LOOPS - known, int(SECONDS / seconds)))


@dataclass(frozen=True, kw_only=True)
class PendingImage:
    """A generated image with the background work on it."""

    #: every timed denoise loop, in order; none for a reused image.
    loops: tuple[Denoised, ...]
    generated: Future[Generated]
    #: None, as `health`, where the model's text is not judged.
    reading: Future[Reading] | None
    health: Future[Examined] | None
    #: id of the run that a stored reading is from.
    read_in: str = ""
    #: state of the device before and after the loops.
    device: tuple[DeviceState, ...] = ()


class ImageProducer:
    """Provides each image of a run once: reused from the store, or generated and stored."""

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
        """`recipes` has a recipe or an error per sample, `reusable` the stored images by recipe key."""
        self._tasks, self._recipes, self._reusable = tasks, recipes, reusable
        self._generator, self._readers, self._writer = generator, readers, writer
        self._device_name, self._options = device_name, options
        #: one stores images and one reads them, each in order.
        self._stores, self._readings = executor_for(generator), executor_for(generator)
        self._ahead: dict[Sample, PendingImage | Exception] = {}
        self._timed: dict[Cohort, int] = {}
        #: why the model generates no image at all; it is not read again for the next one.
        self._unusable: ModelError | None = None

    def take(self, sample: Sample) -> PendingImage:
        """Return a sample's image: reused, prefetched, or generated now.

        Raises the image's error; ModelError, and from then on for every image, where the model cannot be used.
        """
        recipe = self._recipe(sample)
        stored = self._reusable.pop(recipe.key(), None)
        if stored is not None and usable(stored):
            return self._reuse(sample, stored)
        image = self._ahead.pop(sample, None) or self._generate(sample)
        if isinstance(image, Exception):
            raise image
        return image

    def prefetch(self, sample: Sample) -> None:
        """Generate the next image after a sample, if a GPU generates."""
        following = None if self._ahead or self._generator.on_cpu else self._following(sample)
        if following is None:
            return
        try:
            self._ahead[following] = self._generate(following)
        except Exception as error:  # noqa: BLE001  raised by that image's own test
            self._ahead[following] = error

    def close(self) -> None:
        """Finish storing images; cancel readings that have not begun."""
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
        """Return a stored image, whose bytes were checked, with its stored reading if that is by the same reader."""
        generated = self._stores.submit(self._link, sample, stored)
        health = self._health(stored.path)
        known = self._readers.stored(self._tasks[sample].case, stored) if self._generator.judges_text else None
        if known is None:
            return PendingImage(loops=(), generated=generated, reading=self._reading(sample, generated), health=health)
        reading = InlineExecutor().submit(lambda: known.reading)
        return PendingImage(loops=(), generated=generated, reading=reading, health=health, read_in=known.run)

    def _generate(self, sample: Sample) -> PendingImage:
        if self._unusable is not None:
            raise self._unusable
        try:
            return self._generated(sample)
        except ModelError as error:
            self._unusable = error
            raise

    def _generated(self, sample: Sample) -> PendingImage:
        recipe = self._recipe(sample)
        if isinstance(self._generator, FindsImages):
            return self._take_up(sample, self._generator.found(recipe))
        before = self._device_state(recipe)
        loops, notes = self._loops(recipe)
        after = self._device_state(recipe)
        chosen = sorted(loops, key=lambda loop: loop.denoise_seconds)[(len(loops) - 1) // 2]
        disturbed = _disturbed(chosen, loops) if self._generator.on_cpu else 0.0
        made = self._generator.decode_pixels(chosen)
        generated = self._stores.submit(self._store, sample, made, notes, disturbed)
        health = self._health(made.png if isinstance(made, Generation) else made.pixels)
        reading = self._reading(sample, generated)
        return PendingImage(loops=loops, generated=generated, reading=reading, health=health, device=(*before, *after))

    def _take_up(self, sample: Sample, found: Found) -> PendingImage:
        """Store an image that was made elsewhere, of which nothing is timed."""
        generated = self._stores.submit(self._store_found, sample, found)
        health, reading = self._health(found.pixels), self._reading(sample, generated)
        return PendingImage(loops=(), generated=generated, reading=reading, health=health)

    def _device_state(self, recipe: Recipe) -> tuple[DeviceState, ...]:
        elsewhere = self._generator.on_cpu or recipe.served is not None
        return () if elsewhere else device_state(self._options.device)

    def _loops(self, recipe: Recipe) -> tuple[tuple[Denoised, ...], tuple[str, ...]]:
        """Run and time the denoise loops. Out of memory is retried once, with a note."""
        cohort = self._cohort(recipe)
        known = self._timed.get(cohort)
        notes: tuple[str, ...] = ()
        try:
            if known is None and self._options.gpu:
                self._generator.warm_up(recipe)
            first = self._denoise(recipe)
        except OutOfMemoryError as error:
            first, notes = self._denoise(recipe), (f"generated on the second attempt, after: {error.what}",)
        rounds = rounds_of(self._options.rounds, seconds=first.denoise_seconds, known=known or 0)
        loops = (first, *(self._denoise(recipe) for _ in range(rounds - 1)))
        self._timed[cohort] = (known or 0) + rounds
        told = dict.fromkeys(note for loop in loops for note in loop.notes)
        return loops, (*notes, *told, *_unsteady(loops))

    def _cohort(self, recipe: Recipe, timing: Timing | None = None) -> Cohort:
        return cohort_of(recipe, model=self._generator.model, device=self._device_name, timing=timing)

    def _denoise(self, recipe: Recipe) -> Denoised:
        denoised = self._generator.denoise(recipe)
        seconds = denoised.denoise_seconds
        if not (math.isfinite(seconds) and seconds > 0):
            raise GenerationError(
                f"invalid denoise time: {seconds} s",
                where=recipe.variant,
                remedy="the generator must time each loop",
            )
        return denoised

    def _reading(self, sample: Sample, generated: Future[Generated]) -> Future[Reading] | None:
        if not self._generator.judges_text:
            return None
        return self._readings.submit(self._read, sample, generated)

    def _read(self, sample: Sample, generated: Future[Generated]) -> Reading:
        return self._readers.read(self._tasks[sample].case, self._writer.image(generated.result().sha256))

    def _health(self, image: Path | bytes | Pixels) -> Future[Examined] | None:
        """Measure image quality in the thread that stores images."""
        if not self._generator.judges_text:
            return None
        return self._stores.submit(lambda: examine(load_image(image) if isinstance(image, Path | bytes) else image))

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
            cohort=self._cohort(recipe, generation.timing),
            notes=notes,
        )
        self._writer.append(generated)
        return generated

    def _store_found(self, sample: Sample, found: Found) -> Generated:
        generated = Generated(
            at=now(),
            sample=sample,
            recipe=found.recipe,
            key=found.recipe.key(),
            sha256=self._writer.put(found.png),
            timing=None,
            latents=None,
            told_seconds=self._told(found.recipe),
            cohort=self._cohort(found.recipe),
        )
        self._writer.append(generated)
        return generated

    def _link(self, sample: Sample, stored: Stored) -> Generated:
        origin = stored.generated
        self._writer.link(stored.path, origin.sha256)
        # what is told of an image made elsewhere is no part of its key: the manifest may tell something else by now
        recipe = self._recipe(sample)
        generated = replace(
            origin,
            at=now(),
            sample=sample,
            recipe=origin.recipe if recipe.elsewhere is None else recipe,
            told_seconds=self._told(recipe),
            reused_from=origin.reused_from or stored.run.name,
        )
        self._writer.append(generated)
        return generated

    def _told(self, recipe: Recipe) -> float | None:
        return self._generator.told_seconds(recipe) if isinstance(self._generator, FindsImages) else None


def _disturbed(chosen: Denoised, loops: tuple[Denoised, ...]) -> float:
    """Return how much other work on the CPU lengthened a loop (`Timing.disturbed`): its waiting, or the loops' spread.

    The spread is range over median, without the first loop, which includes one-time work.
    """
    seconds = [loop.denoise_seconds for loop in loops[1:]]
    spread = (max(seconds) - min(seconds)) / median(seconds) if seconds else 0.0
    return max(min(1.0, chosen.waited_seconds / chosen.denoise_seconds), spread)


def _unsteady(loops: tuple[Denoised, ...]) -> tuple[str, ...]:
    """Return a note where rounds of the same recipe gave different latents."""
    other = sum(loop.latents_sha256 != loops[0].latents_sha256 for loop in loops[1:])
    what = "latents" if loops[0].recipe.served is None else "images"
    return (f"the same recipe gave different {what} in {other} of {count(len(loops) - 1, 'repeat')}",) if other else ()


def _check(generation: Generation, recipe: Recipe) -> None:
    """Raise RecipeError or GenerationError for an image that does not match its recipe."""
    timing = generation.timing
    if recipe.served is None and timing.forwards != recipe.nfe:
        raise RecipeError(
            f"{count(timing.forwards, 'forward')} instead of the recipe's {recipe.nfe}",
            where=f"variant {recipe.variant}",
            remedy="few-step LoRAs need CFG 1, and the scheduler must run all steps",
        )
    if hashlib.sha256(generation.png).hexdigest() != generation.sha256:
        raise GenerationError("the image's bytes do not match its SHA-256", where=recipe.variant)
    seconds = (timing.decode_seconds, *timing.step_seconds)
    if not all(math.isfinite(value) and value >= 0 for value in seconds):
        raise GenerationError(
            f"invalid decode or step times: {seconds}",
            where=recipe.variant,
            remedy="the generator must time decoding and each step",
        )
