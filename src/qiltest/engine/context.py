"""Open a run and hold what its samples share: generator, readers, run store, goldens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from qiltest import __version__
from qiltest.elsewhere.records import FindsImages
from qiltest.engine.edits import Before
from qiltest.engine.environment import commit_of, device_state, versions
from qiltest.engine.inputs import Inputs
from qiltest.engine.notes import run_notes
from qiltest.engine.options import Options
from qiltest.engine.parallel.generator import WorkersGenerator
from qiltest.engine.parallel.opening import cores
from qiltest.engine.producer import ImageProducer, recipe_of
from qiltest.engine.readers import OpenReader, Readers
from qiltest.errors import QiltestError, ReaderError
from qiltest.gate.golden import GoldenStore
from qiltest.gate.latency import Cohort
from qiltest.generation.records import Generator
from qiltest.quality import gating
from qiltest.reading.records import Reader
from qiltest.recipe import Prompt, Recipe
from qiltest.runs.events import Failed, Started, now
from qiltest.runs.lines import SCHEMA
from qiltest.runs.records import CaseResult, Shards
from qiltest.runs.store import RunStore
from qiltest.runs.writer import RunWriter
from qiltest.serving.generator import ServedGenerator
from qiltest.spans import Timeline, span
from qiltest.suite.cases import Case
from qiltest.suite.load import Suite
from qiltest.suite.selection import Sample, Task, select

#: workers on the CPU whose images one process reads.
WORKERS_READ = 4


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """A run that is being written, from `open_run` to `qiltest.engine.ending.finish_run`."""

    options: Options
    suite: Suite
    tasks: Mapping[Sample, Task]
    generator: Generator
    readers: Readers
    producer: ImageProducer
    inputs: Inputs
    writer: RunWriter
    goldens: GoldenStore
    #: True for every case, resolution, default variant and seed of the suite.
    full: bool
    #: the part that the run is of a shared session; None for a whole one.
    shards: Shards | None
    #: what is wrong with the store.
    problems: tuple[str, ...]
    #: measured matrix operations per second of the device, with random weights; else None.
    matrix_rate: float | None
    #: where the session's time goes.
    timeline: Timeline
    #: seconds of every denoise loop by cohort, for latency goldens.
    seconds: dict[Cohort, list[float]] = field(default_factory=dict)
    #: cohorts whose latency did not pass.
    slower: set[Cohort] = field(default_factory=set)
    #: goldens that the update may not write although the image passes, and why.
    unrecorded: list[str] = field(default_factory=list)
    #: samples that have a verdict or an error.
    done: set[Sample] = field(default_factory=set)
    #: input images of edits, read once: by their SHA-256 in the run and the case's id.
    read_inputs: dict[tuple[str, str], Before] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True where every sample has its verdict or error."""
        return self.done >= set(self.tasks)

    def passes(self, result: CaseResult) -> bool:
        """Return whether a sample's test passes.

        In a release check an image passes if it was scored, because variants are compared with each other at the end.
        """
        scored = self.options.release is not None and result.score is not None
        return result.passes or (scored and not self.faulty(result))

    def faulty(self, result: CaseResult) -> bool:
        """Return whether image quality fails the sample: noise, a grid, or a blank image."""
        limits = self.tasks[result.sample].case.limits
        return result.health is not None and limits.health_gates and bool(gating(result.health))

    def before(self, case: Case, sha256: str) -> Before:
        """Return an edit's input image as the run stores it, with its reading. Raises ReaderError."""
        key = (sha256, case.id)
        if key not in self.read_inputs:
            self.read_inputs[key] = Before.of(self.writer.image(sha256), partial(self.readers.read, case))
        return self.read_inputs[key]

    @property
    def notices(self) -> tuple[str, ...]:
        """What happened to reading processes and workers, a sentence each."""
        workers = self.generator.notices if isinstance(self.generator, WorkersGenerator) else ()
        return (*self.readers.notices, *workers)

    def working(self) -> tuple[str, ...]:
        """Return what each worker does, a line each; nothing without workers."""
        return self.producer.working()

    def stop(self) -> None:
        """Stop background work; generated images are stored first."""
        self.producer.close()
        self.readers.close()

    def crashed(self, sample: Sample, error: BaseException) -> None:
        """Record an error that ended a sample's test, unless the sample has a verdict or error."""
        if sample not in self.done:
            self.done.add(sample)
            what = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
            self.writer.append(Failed(at=now(), sample=sample, error=what))


def selected_tasks(suite: Suite, options: Options) -> dict[Sample, Task]:
    """Return what the options select, grouped by variant. Raises CaseError."""
    tasks = select(
        suite,
        kind=options.kind,
        cases=options.cases,
        variants=options.variants,
        sizes=[str(size) for size in options.sizes],
        seeds=options.seeds,
        seed_count=options.seed_count,
        base=options.model_base,
        able=options.able,
    )
    variants = dict.fromkeys(task.variant for task in tasks)
    return {task.sample: task for variant in variants for task in tasks if task.variant == variant}


def open_run(
    *,
    options: Options,
    suite: Suite,
    tasks: Mapping[Sample, Task],
    generator: Generator,
    open_reader: OpenReader,
    command: Sequence[str],
    whole: Sequence[Sample] = (),
    timeline: Timeline | None = None,
) -> RunContext:
    """Check recipes, open the run and encode prompts; without workers nothing is generated yet.

    `whole` is what all runners of a shared session generate, where `tasks` is a part of it. `timeline` is the session's
    from its command on; None: it begins here.
    Raises ReaderError where the reader cannot be loaded and StoreError where no run can be written.
    """
    timeline = timeline or Timeline()
    with ExitStack() as on_error:
        store = RunStore(root=options.runs_folder)
        with span("look for stored images"):
            offer = store.offer(options.reuse)
        # where none is stored, some must be generated; else the recipes will tell
        generator.look_ahead([task.variant for task in tasks.values()], load=not offer.images)
        readers = Readers(open_reader, default=options.reader, at_once=_read_at_once(generator, options))
        on_error.callback(readers.close)
        with span("open reader"):
            reader = readers.default()
        refused = _refused(readers, tasks.values()) if generator.judges_text else {}
        writer = store.create()
        inputs = Inputs(suite, options, writer)
        with span("build recipes"):
            recipes = {
                sample: refused.get(task.case.id) or recipe_of(generator, task, inputs)
                for sample, task in tasks.items()
            }
        good = [recipe for recipe in recipes.values() if isinstance(recipe, Recipe)]
        device = good[0].device if good else options.device or "cpu"
        found = generator if isinstance(generator, FindsImages) else None
        wanted = [recipe for recipe in good if recipe.key() not in offer.images]
        generator.look_ahead((), load=bool(wanted))
        producer = ImageProducer(
            tasks=tasks,
            recipes=recipes,
            reusable=dict(offer.images),
            generator=generator,
            readers=readers,
            writer=writer,
            device_name=device,
            options=options,
            inputs=inputs,
        )
        suites = {task.sample for task in select(suite, kind=options.kind, base=options.model_base, able=options.able)}
        context = RunContext(
            options=options,
            suite=suite,
            tasks=tasks,
            generator=generator,
            readers=readers,
            producer=producer,
            inputs=inputs,
            writer=writer,
            goldens=GoldenStore(root=options.golden_folder),
            full=set(tasks) >= suites,
            shards=_shards(options, whole, full=set(whole) >= suites),
            problems=(*offer.problems, *(found.problems if found else ())),
            matrix_rate=None if generator.judges_text else generator.matrix_rate(),
            timeline=timeline,
        )
        notes = tuple(run_notes(options.model_base, {task.variant.name: task.variant for task in tasks.values()}, good))
        if found is not None:
            notes = (*notes, *found.notes)
        if isinstance(generator, ServedGenerator):
            notes = (*notes, *generator.notes)
            generator.expect(wanted)
        writer.append(_started(context, device, reader, command, notes))
        with span("prepare prompts"):
            generator.prepare(_prompts(wanted))
        producer.begin()
        on_error.pop_all()
    return context


def _shards(options: Options, whole: Sequence[Sample], *, full: bool) -> Shards | None:
    if options.shard is None:
        return None
    number, of = options.shard
    return Shards(numbers=(number,), of=of, whole=tuple(whole), full=full)


def _read_at_once(generator: Generator, options: Options) -> int:
    """Return how many images are read while others are generated; 0 where the CPU of this process generates.

    The embedded model is read in about the time in which it is generated, so one process cannot follow many workers.
    """
    if options.readers is not None:
        return options.readers
    if not isinstance(generator, WorkersGenerator):
        return int(not generator.on_cpu)
    # not `generator.on_cpu`, which waits for a worker: the reader is opened meanwhile
    on_cpu = (options.device or "cuda").startswith("cpu")
    return max(1, min(generator.workers, len(cores())) // WORKERS_READ) if on_cpu else 1


def _started(
    context: RunContext, device: str, reader: Reader, command: Sequence[str], notes: tuple[str, ...]
) -> Started:
    tasks, options = context.tasks, context.options
    # a server's GPU is not this machine's
    on_gpu = options.server is None and (options.gpu or (options.device or "").startswith("cuda"))
    return Started(
        schema=SCHEMA,
        run=context.writer.id,
        at=now(),
        command=tuple(command),
        qiltest_version=__version__,
        model=context.generator.model,
        device=device,
        device_name=device,
        versions=versions(),
        reader=reader.info,
        cases=tuple(dict.fromkeys(task.case for task in tasks.values())),
        variants=tuple(dict.fromkeys(task.variant for task in tasks.values())),
        planned=tuple(tasks),
        full=context.full,
        shards=context.shards,
        notes=notes,
        purpose=options.purpose,
        commit=commit_of(options.cases_folder),
        driver="".join(state.driver for state in device_state(options.device)) if on_gpu else "",
        kind=options.kind,
    )


def _refused(readers: Readers, tasks: Iterable[Task]) -> dict[str, QiltestError]:
    """Return the errors of cases that their reader cannot read, by id: nothing is generated for them."""
    refused: dict[str, QiltestError] = {}
    for case in {task.case.id: task.case for task in tasks}.values():
        try:
            readers.require_readable(case)
        except ReaderError as error:
            refused[case.id] = error
    return refused


def _prompts(recipes: Iterable[Recipe]) -> list[Prompt]:
    """Return the recipes' prompts and negative prompts without duplicates."""
    return list(dict.fromkeys(prompt for recipe in recipes for prompt in recipe.prompts))
