"""What the tests of a session share while they draw: generator, readers, run, goldens."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

from qiltest import __version__
from qiltest.engine.environment import DeviceState, cohort_of, device_name, gpu_state, versions
from qiltest.engine.options import Options, Update
from qiltest.engine.producer import Easel, draws_ahead
from qiltest.engine.workers import Beside, Foreground, ReadingProcess
from qiltest.errors import QiltestError, ReaderError
from qiltest.gate.golden import GoldenStore
from qiltest.gate.latency import Cohort, LatencyStore
from qiltest.gate.verdict import Verdict
from qiltest.generation.records import Generator, MeasuresRate
from qiltest.reading.records import Reader, Reading
from qiltest.reading.registry import DEFAULT_READER, open_reader
from qiltest.recipe import Recipe
from qiltest.runs.events import SCHEMA, Ended, Event, Failed, Started, now
from qiltest.runs.records import RunState
from qiltest.runs.store import RunStore, Stored, StoredReading, readings_of
from qiltest.runs.writer import RunWriter
from qiltest.suite.cases import Case
from qiltest.suite.selection import Point, Task

OpenReader = Callable[[str], Reader]


@dataclass(kw_only=True)
class Work:
    """State of a session that has begun to draw. `begin` makes it."""

    options: Options
    tasks: Mapping[Point, Task]
    generator: Generator
    open_reader: OpenReader
    writer: RunWriter
    goldens: GoldenStore
    #: what to draw, or why it cannot be drawn; made for all points before the first picture.
    recipes: dict[Point, Recipe | QiltestError]
    reusable: dict[str, Stored]
    device_name: str
    readers: dict[str, Reader]
    #: what is wrong with the store, for a person.
    problems: list[str]
    #: seconds of every denoise loop by cohort, for the goldens of latency.
    seconds: dict[Cohort, list[float]] = field(default_factory=dict)
    #: cohorts whose latency did not hold.
    slower: set[Cohort] = field(default_factory=set)
    done: set[Point] = field(default_factory=set)
    #: the device's measured matrix rate, operations a second, where the model's weights are random; else None.
    matrix_rate: float | None = None
    #: pictures are drawn ahead: what the background writes and what a test writes take turns.
    _turn: threading.Lock = field(default_factory=threading.Lock)
    #: what was read before, by the folder of the run.
    _known: dict[Path, Mapping[tuple[str, str], StoredReading]] = field(default_factory=dict)
    #: where a GPU draws with a reader of ours: readers in a process of their own.
    process: ReadingProcess | None = None

    @cached_property
    def easel(self) -> Easel:
        """What draws. On a GPU the CPU reads beside it; on a CPU each thing has its turn."""
        if not draws_ahead(self.generator):
            return Easel(self, stores=Foreground(), readings=Foreground(), read=self._read)
        return Easel(self, stores=Beside(), readings=Beside(cancel=True), read=self._read)

    def device_state(self) -> tuple[DeviceState, ...]:
        """Return clocks and temperature of the GPU that draws; nothing where there is none or it does not say."""
        number = (self.options.device or "").partition(":")[2]
        return () if not draws_ahead(self.generator) else gpu_state(int(number or 0))

    def _read(self, point: Point, picture: Path) -> Reading:
        case = self.tasks[point].case
        if self.process is None:
            return self.reader(case).read(picture)
        return self.process.read(self._reader_name(case), picture)

    def stored_reading(self, point: Point, stored: Stored) -> StoredReading | None:
        """Return what the point's reader saw in a stored picture before; None where that very reader did not read it.

        A reader is the same where name, engine, version, settings and the hash of its weights are.
        """
        if stored.run not in self._known:
            self._known[stored.run] = readings_of(stored.run)
        known = self._known[stored.run]
        if not any(sha256 == stored.drawn.sha256 for sha256, _ in known):
            return None
        try:
            reader = self.reader(self.tasks[point].case)
        except ReaderError:
            return None  # told when the picture is read
        return known.get((stored.drawn.sha256, reader.info.fingerprint))

    def restarted_over(self, picture: Path) -> bool:
        """Say whether the process of the readers died over a picture and was started anew."""
        return self.process is not None and picture in self.process.restarted

    def _reader_name(self, case: Case) -> str:
        return case.reader or self.options.reader or DEFAULT_READER

    def reader(self, case: Case) -> Reader:
        """Return the case's reader, loaded once. Raises ReaderError."""
        name = self._reader_name(case)
        if name not in self.readers:
            self.readers[name] = self.open_reader(name)
        return self.readers[name]

    def cohort(self, recipe: Recipe) -> Cohort:
        """Return the latency cohort of a picture drawn now."""
        return cohort_of(recipe, model=self.generator.model, device=self.device_name)

    def append(self, event: Event) -> None:
        """Write an event of the run. Raises StoreWriteError."""
        with self._turn:
            self.writer.append(event)

    def rest(self) -> None:
        """End what is at work in the background; what was drawn is stored."""
        self.easel.close()
        if self.process is not None:
            self.process.close()

    def crashed(self, point: Point, what: str) -> None:
        """Record that a test ended by something that is not a verdict, unless its own error is there already."""
        if point not in self.done:
            self.done.add(point)
            self.append(Failed(at=now(), point=point, error=what))

    def accept_command(self, node: str, verdict: Verdict) -> str:
        """Return the command that accepts the very picture that was seen."""
        update = Update.MISSING if verdict is Verdict.NEW else Update.CHANGED
        marks = ["-m", "gpu"] if self.options.gpu else []
        words = ["pytest", *marks, node, *self.options.given, "--qil-reuse", f"--qil-update={update}"]
        return shlex.join(words)

    def finish(self, exit_status: int, problems: Sequence[str]) -> None:
        """Record latencies where asked and write the run's last line."""
        complete = self.done >= set(self.tasks)
        state = RunState.FINISHED if complete else RunState.INTERRUPTED
        self.append(Ended(at=now(), state=state, exit_status=exit_status, problems=tuple(problems)))
        self.writer.close()

    def record_latencies(self) -> list[str]:
        """Write latency goldens as `--qil-update` says and return what was written, in words."""
        update, store = self.options.update, LatencyStore(goldens=self.goldens)
        if update is None or not self.options.gpu:
            return []
        written = []
        for cohort, seconds in self.seconds.items():
            missing = not store.path(cohort).exists()
            wanted = missing if update is Update.MISSING else (cohort in self.slower and not missing)
            if wanted or update is Update.ALL:
                written.append(str(store.save(cohort, seconds)))
        return written


def begin(
    *,
    options: Options,
    tasks: Mapping[Point, Task],
    full: bool,
    generator: Generator,
    open_reader: OpenReader,
    command: Sequence[str],
) -> Work:
    """Check recipes, open the run and encode prompts; nothing is drawn yet.

    Raises ReaderError where the reader cannot be loaded and StoreError where no run can be written.
    """
    default = options.reader or DEFAULT_READER
    process = _reading_process(generator, open_reader)
    if process is not None:
        process.start(default)  # it loads while files are hashed, prompts encoded and the first picture drawn
    try:
        return _begin(
            options=options,
            tasks=tasks,
            full=full,
            generator=generator,
            open_reader=open_reader,
            command=command,
            process=process,
        )
    except BaseException:
        if process is not None:
            process.close()
        raise


def _reading_process(generator: Generator, asked: OpenReader) -> ReadingProcess | None:
    """Return a process for readers where the CPU is free to read; a reader of a conftest's own stays in this one."""
    return ReadingProcess(asked) if asked is open_reader and draws_ahead(generator) else None


def _begin(
    *,
    options: Options,
    tasks: Mapping[Point, Task],
    full: bool,
    generator: Generator,
    open_reader: OpenReader,
    command: Sequence[str],
    process: ReadingProcess | None,
) -> Work:
    default = options.reader or DEFAULT_READER
    reader = open_reader(default)
    recipes = {point: _recipe(generator, task) for point, task in tasks.items()}
    good = [recipe for recipe in recipes.values() if isinstance(recipe, Recipe)]
    device = good[0].device if good else options.device or "cpu"
    store = RunStore(root=options.runs_folder)
    offer = store.offer(options.reuse)
    writer = store.create()
    work = Work(
        options=options,
        tasks=tasks,
        generator=generator,
        open_reader=open_reader,
        writer=writer,
        goldens=GoldenStore(root=options.golden_folder),
        recipes=recipes,
        reusable=dict(offer.pictures),
        problems=list(offer.problems),
        device_name=device_name(generator, device),
        readers={default: reader},
        process=process,
        matrix_rate=generator.matrix_rate() if _is_random(generator) else None,
    )
    started = Started(
        schema=SCHEMA,
        run=writer.id,
        at=now(),
        command=tuple(command),
        qiltest_version=__version__,
        model=generator.model,
        device=device,
        device_name=work.device_name,
        versions=versions(),
        reader=reader.info,
        cases=tuple(dict.fromkeys(task.case for task in tasks.values())),
        variants=tuple(dict.fromkeys(task.variant for task in tasks.values())),
        planned=tuple(tasks),
        full=full,
    )
    work.append(started)
    generator.prepare(_prompts(recipe for recipe in good if recipe.key() not in offer.pictures))
    return work


def _is_random(generator: Generator) -> TypeGuard[MeasuresRate]:
    return not generator.judges_text and isinstance(generator, MeasuresRate)


def _recipe(generator: Generator, task: Task) -> Recipe | QiltestError:
    try:
        return generator.recipe(task.case, task.size, task.variant, task.seed)
    except QiltestError as error:
        return error


def _prompts(recipes: Iterable[Recipe]) -> list[str]:
    """Return every prompt and negative prompt of the recipes, each once."""
    prompts: dict[str, None] = {}
    for recipe in recipes:
        prompts[recipe.prompt] = None
        if recipe.true_cfg_scale > 1 and recipe.negative_prompt is not None:
            prompts[recipe.negative_prompt] = None
    return list(prompts)
