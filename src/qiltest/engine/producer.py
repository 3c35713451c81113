"""Generate images ahead of the tests that ask for them.

On a GPU, image N + 1 is generated while image N is stored and read in the background; on a CPU everything runs in
order. Workers generate what is not stored in an order of their own, and what they made is stored and read at once. An
error in a prefetched image or in background work is raised by that image's own test.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, MutableMapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from socket import gethostname

from qiltest.elsewhere.records import FindsImages, Found
from qiltest.engine.environment import DeviceState, cohort_of
from qiltest.engine.inputs import Inputs
from qiltest.engine.loops import Loops, timed_by
from qiltest.engine.options import Options, Update
from qiltest.engine.parallel.expected import kind_of, known_seconds
from qiltest.engine.parallel.generator import WorkersGenerator
from qiltest.engine.parallel.orders import Arrival
from qiltest.engine.parallel.progress import Working
from qiltest.engine.readers import Readers
from qiltest.engine.workers import InlineExecutor, executor
from qiltest.errors import GenerationError, GoldenError, ModelError, QiltestError, RecipeError, TextAloneError
from qiltest.gate.golden import GoldenStore
from qiltest.gate.latency import Cohort, LatencyGolden, LatencyStore
from qiltest.generation.images import finish
from qiltest.generation.records import Decoded, Denoised, Generation, Generator, Timing
from qiltest.generation.tasks import editing_models
from qiltest.generation.variant_faults import text_alone
from qiltest.input_images import InputImage
from qiltest.quality import Examined, examine
from qiltest.reading.images import Pixels, load_image
from qiltest.reading.records import Reading
from qiltest.recipe import Recipe
from qiltest.runs.events import Generated, now
from qiltest.runs.history import HISTORY
from qiltest.runs.records import MadeOn
from qiltest.runs.store import Stored, usable
from qiltest.runs.writer import RunWriter
from qiltest.serving.generator import ServedGenerator
from qiltest.spans import record_of, span
from qiltest.suite.selection import Sample, Task
from qiltest.text.format import count


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
        recipes: Mapping[Sample, Recipe | QiltestError | None],
        reusable: MutableMapping[str, Stored],
        generator: Generator,
        readers: Readers,
        writer: RunWriter,
        device_name: str,
        options: Options,
        inputs: Inputs,
    ) -> None:
        """`recipes` has a recipe or an error per sample, `reusable` the stored images by recipe key.

        None: a later round of an edit, whose recipe is known once the round before is there.
        """
        self._tasks, self._reusable, self._inputs = tasks, reusable, inputs
        self._recipes = dict(recipes)
        #: images that are stored or being stored, whose outputs may be the input of a later round.
        self._outputs: dict[Sample, Future[Generated]] = {}
        self._generator, self._readers, self._writer = generator, readers, writer
        self._device_name, self._options = device_name, options
        self._latencies = LatencyStore(goldens=GoldenStore(root=options.golden_folder))
        self._loops = Loops(generator, timed_by(options), self._latency_golden)
        self._workers = generator if isinstance(generator, WorkersGenerator) else None
        #: one stores images, in order, and as many as there are reading processes read them.
        self._stores, self._readings = executor(min(1, readers.at_once)), executor(readers.at_once)
        self._ahead: dict[Sample, PendingImage | Exception] = {}
        #: images that workers make, by their place in the order of tests.
        self._coming: dict[int, Future[PendingImage]] = {}
        self._samples = tuple(tasks)
        self._numbers = {sample: number for number, sample in enumerate(tasks)}
        self._timed: dict[Cohort, int] = {}
        #: why the model generates no image at all; it is not read again for the next one.
        self._unusable: ModelError | None = None

    def begin(self) -> None:
        """Have workers, if there are any, generate what is not stored."""
        if self._workers is not None:
            self._workers.begin(self._arrived)
            self._order(sample for sample in self._tasks if self._is_wanted(sample))

    def take(self, sample: Sample) -> PendingImage:
        """Return a sample's image: reused, prefetched, made by a worker, or generated now.

        Raises the image's error; ModelError, and from then on for every image, where the model cannot be used, and
        WorkersLostError where no worker is left.
        """
        image = self._take(sample)
        self._outputs[sample] = image.generated
        return image

    def _take(self, sample: Sample) -> PendingImage:
        recipe = self._recipe(sample)
        stored = self._reusable.pop(recipe.key(), None)
        if stored is not None and usable(stored):
            return self._reuse(sample, stored)
        if self._workers is not None:
            return self._from_worker(sample, self._workers)
        image = self._ahead.pop(sample, None) or self._generate(sample)
        if isinstance(image, Exception):
            raise image
        return image

    def prefetch(self, sample: Sample) -> None:
        """Generate the next image after a sample, if images are read in a process of their own meanwhile."""
        idle = self._ahead or self._workers is not None or not self._readers.at_once
        following = None if idle else self._following(sample)
        if following is None:
            return
        try:
            self._ahead[following] = self._generate(following)
        except Exception as error:  # noqa: BLE001  raised by that image's own test
            self._ahead[following] = error

    def working(self) -> tuple[str, ...]:
        """Return what each worker does, a line each; nothing without workers."""
        return () if self._workers is None else tuple(map(self._at_work, self._workers.working()))

    def _at_work(self, one: Working) -> str:
        if one.image is None:
            return f"worker {one.worker}  {'starts' if one.starts else 'has no image'}"
        step = f"  step {one.done}/{one.of}" if one.of else ""
        return f"worker {one.worker}  {self._samples[one.image].id}{step}"

    def close(self) -> None:
        """End workers; finish storing images; cancel readings that have not begun."""
        if self._workers is not None:
            self._workers.close()
        self._stores.shutdown()
        self._readings.shutdown(cancel_futures=True)

    def _recipe(self, sample: Sample) -> Recipe:
        recipe = self._recipes[sample]
        if recipe is None:
            recipe = self._recipes[sample] = self._later(sample)
        if isinstance(recipe, QiltestError):
            raise recipe
        assert recipe is not None
        return recipe

    def _later(self, sample: Sample) -> Recipe | QiltestError | None:
        """Return the recipe of a later round of an edit: its first input is the round before's output."""
        before = replace(sample, round=sample.round - 1)
        try:
            if before not in self._outputs:
                if before not in self._tasks:
                    raise RecipeError(
                        f"round {before.round} of this edit is not part of the session: there is no input image",
                        where=sample.id,
                        remedy="select all rounds of the case: leave out -k, --deselect and --qil-shard",
                    )
                self._outputs[before] = self.take(before).generated
            generated = self._outputs[before].result()
            output = InputImage.of(self._writer.image(generated.sha256).absolute())
            return recipe_of(self._generator, self._tasks[sample], self._inputs, output=output)
        except QiltestError as error:
            return error

    def _following(self, sample: Sample) -> Sample | None:
        return next(filter(self._is_wanted, self._samples[self._numbers[sample] + 1 :]), None)

    def _is_wanted(self, sample: Sample) -> bool:
        """Whether an image must be generated: there is none in the store, and its case and recipe are good."""
        recipe = self._recipes[sample]
        if recipe is None or isinstance(recipe, QiltestError) or self._tasks[sample].case.doubts:
            return False
        return recipe.key() not in self._reusable

    def _order(self, samples: Iterable[Sample]) -> None:
        recipes = {self._numbers[sample]: self._recipe(sample) for sample in samples}
        self._coming |= {number: Future() for number in recipes}
        if self._workers is not None:
            self._workers.order(recipes, self._known(recipes))

    def _known(self, numbers: Iterable[int]) -> dict[int, float]:
        """Return how long images took in earlier runs; nothing where some are new, as estimates have another scale."""
        known = known_seconds(self._options.runs_folder / HISTORY)
        kinds = {number: kind_of(self._samples[number]) for number in numbers}
        return {number: known[kind] for number, kind in kinds.items()} if {*kinds.values()} <= known.keys() else {}

    def _from_worker(self, sample: Sample, workers: WorkersGenerator) -> PendingImage:
        number = self._numbers[sample]
        if number not in self._coming:  # its stored image was damaged
            self._order([sample])
        workers.wanted(number)
        try:
            return self._coming[number].result()
        finally:
            workers.taken(number)

    def _arrived(self, number: int, arrival: Arrival | BaseException) -> None:
        """Store and read what a worker made, in a thread of the pool."""
        coming = self._coming[number]
        if isinstance(arrival, BaseException):
            coming.set_exception(arrival)
            return
        sample = self._samples[number]
        made = arrival.denoising
        if arrival.made_on.host == gethostname():  # another host has another clock
            record_of(made.spans, f"worker {arrival.made_on.worker}")
        try:
            generated = self._stores.submit(
                self._store,
                sample,
                arrival.image,
                (*arrival.notes, *made.notes),
                made.disturbed,
                len(made.loops),
                beside=arrival.beside,
                made_on=arrival.made_on,
            )
            health = self._health(arrival.image.png)
            reading = self._reading(sample, generated)
        except RuntimeError as error:  # the session ended meanwhile, and stores nothing more
            coming.set_exception(error)
            return
        coming.set_result(
            PendingImage(loops=made.loops, generated=generated, reading=reading, health=health, device=made.device)
        )

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
        cohort = self._cohort(recipe)
        known = self._timed.get(cohort, 0)
        made = self._loops.make(recipe, known=known)
        self._timed[cohort] = known + len(made.loops) + made.spared
        decoded = made.decoded
        generated = self._stores.submit(self._store, sample, decoded, made.notes, made.disturbed, len(made.loops))
        health = self._health(decoded.png if isinstance(decoded, Generation) else decoded.pixels)
        reading = self._reading(sample, generated)
        return PendingImage(loops=made.loops, generated=generated, reading=reading, health=health, device=made.device)

    def _take_up(self, sample: Sample, found: Found) -> PendingImage:
        """Store an image that was made elsewhere, of which nothing is timed."""
        generated = self._stores.submit(self._store_found, sample, found)
        health, reading = self._health(found.pixels), self._reading(sample, generated)
        return PendingImage(loops=(), generated=generated, reading=reading, health=health)

    def _cohort(self, recipe: Recipe, timing: Timing | None = None, beside: int = 0) -> Cohort:
        model = self._generator.model
        return cohort_of(recipe, model=model, device=self._device_name, timing=timing, beside=beside)

    def _latency_golden(self, cohort: Cohort) -> LatencyGolden | None:
        """Return a cohort's golden; None for one that is recorded anew, or cannot be read, which the judgement says."""
        if self._options.update is Update.ALL:
            return None
        try:
            return self._latencies.load(cohort)
        except GoldenError:
            return None

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
        return self._stores.submit(_examined, image)

    def _store(
        self,
        sample: Sample,
        made: Decoded | Generation,
        notes: tuple[str, ...],
        disturbed: float,
        loops: int,
        *,
        beside: int = 0,
        made_on: MadeOn | None = None,
    ) -> Generated:
        with span("write PNG", sample.id):
            generation = made if isinstance(made, Generation) else finish(made)
        recipe = generation.recipe
        _check(generation, recipe)
        generated = Generated(
            at=now(),
            sample=sample,
            recipe=recipe,
            key=recipe.key(),
            sha256=self._writer.put(generation.png),
            timing=replace(generation.timing, disturbed=disturbed, loops=loops),
            latents=generation.latents,
            cohort=self._cohort(recipe, generation.timing, beside),
            notes=notes,
            made_on=made_on,
            inputs=self._before(sample),
        )
        self._writer.append(generated)
        return generated

    def _before(self, sample: Sample) -> tuple[str, ...]:
        """Store the input images of an edit's first round, with which every round is compared."""
        return self._inputs.store(self._inputs.of(self._tasks[sample]))

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
            inputs=self._before(sample),
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
            inputs=self._before(sample),
        )
        self._writer.append(generated)
        return generated

    def _told(self, recipe: Recipe) -> float | None:
        return self._generator.told_seconds(recipe) if isinstance(self._generator, FindsImages) else None


def recipe_of(
    generator: Generator, task: Task, inputs: Inputs, *, output: InputImage | None = None
) -> Recipe | QiltestError | None:
    """Return the recipe of a sample, or why it has none; None for a later round of an edit without `output`.

    `output` is the image of the round before.
    """
    case = task.case
    try:
        if case.edit is not None:
            if task.round > 1 and output is None:
                return None
            if isinstance(generator, ServedGenerator):
                raise RecipeError(
                    "edit cases cannot be asked of a server yet",
                    where=case.id,
                    remedy="generate in this process, or judge images made by it with --qil-images",
                )
            first, *others = inputs.of(task)
            case = replace(case, inputs=(output or first, *others))
        if isinstance(generator, FindsImages):
            return generator.recipe_of(replace(task, case=case))
        return generator.recipe(case, task.size, task.variant, task.seed)
    except TextAloneError:  # the generator knows no suite, and this one's variants are for some models alone
        return text_alone(case.id, len(case.inputs), editing_models(inputs.suite.variants))
    except QiltestError as error:
        return error


def _examined(image: Path | bytes | Pixels) -> Examined:
    with span("measure image"):
        return examine(load_image(image) if isinstance(image, Path | bytes) else image)


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
