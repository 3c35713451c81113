"""The state of one pytest session: what is asked for, what was collected, and the work once it has begun."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qiltest.comparison.records import Comparisons
from qiltest.engine.context import OpenReader, Work, begin
from qiltest.engine.options import Options
from qiltest.engine.selection import default_points, select_tasks
from qiltest.errors import DeviceError, QiltestError
from qiltest.gate.missing import golden_of, judge_missing
from qiltest.gate.unused import unused_goldens
from qiltest.generation.records import Generator
from qiltest.runs.events import Judged, now
from qiltest.runs.load import load_run
from qiltest.runs.records import Point, Run, RunState
from qiltest.session import guards
from qiltest.session.case_run import Benchmark, CaseRun
from qiltest.session.clock import LoopClock
from qiltest.session.junit import add_properties, verdict_of
from qiltest.session.progress import progress_bar
from qiltest.suite.load import Suite, load_suite
from qiltest.suite.selection import Task

if TYPE_CHECKING:
    from qiltest.release.candidate import Trial

FIXTURE = "qil_case_run"
#: for a picture of the real model: its loading is not counted, and the base draws it in about half a minute.
GPU_TIMEOUT_SECONDS = 1800


class SuiteSession:
    """Holds a session's state; hooks and fixtures delegate here."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.progress = progress_bar(config)
        self.problems: list[str] = []
        self.recorded: list[str] = []
        self.run: Run | None = None
        #: with --qil-lora: what was found out about the file, and the paired verdict.
        self.trial: Trial | None = None
        self.comparisons: Comparisons | None = None
        self._suite: Suite | None = None
        self._tasks: dict[Point, Task] = {}
        self._selected: dict[Point, Task] = {}
        self._collected = 0
        self._outcomes: dict[str, str] = {}
        #: tests that ended without a verdict, and how.
        self._unjudged: dict[Point, str] = {}
        self._work: Work | None = None
        self._clock = LoopClock()
        #: why no run could be begun; the second test is told what the first was.
        self._refused: QiltestError | None = None

    # collection

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Give a test that asks for `qil_case_run` one item a picture. Raises pytest.Collector.CollectError."""
        try:
            tasks = self._all_tasks()
        except QiltestError as error:
            raise pytest.Collector.CollectError(f"qiltest: {error}") from None
        metafunc.parametrize(
            FIXTURE, [pytest.param(point, id=point.id, marks=self._marks()) for point in tasks], indirect=True
        )

    def order(self, items: list[pytest.Item]) -> None:
        """Let the tests of the suite take each other's places so that each variant is switched to once."""
        places = [place for place, item in enumerate(items) if point_of_item(item) is not None]
        variants = list(dict.fromkeys(task.variant.name for task in self._tasks.values()))
        ordered = sorted((items[place] for place in places), key=lambda item: variants.index(_point(item).variant))
        for place, item in zip(places, ordered, strict=True):
            items[place] = item

    def collected(self, items: Sequence[pytest.Item]) -> None:
        """Count tests of the suite before any is deselected."""
        self._collected = sum(1 for item in items if point_of_item(item) is not None)

    def selected(self, items: Sequence[pytest.Item]) -> None:
        """Take note of the tests that will run. Raises pytest.UsageError where they could only pass on nothing."""
        mine = [item for item in items if point_of_item(item) is not None]
        if self.options.gpu and (self._collected or self._is_suite_folder()):
            guards.refuse_no_selection(mine, collected=self._collected)
        if mine:
            guards.refuse_without_benchmark(self.config)
        self._selected = {_point(item): self._tasks[_point(item)] for item in mine}
        self.progress.begin(len(mine))

    def remaining(self, items: Sequence[pytest.Item]) -> None:
        """Take note of what other plugins, such as `--lf`, have deselected after `selected`."""
        left = {point_of_item(item) for item in items}
        self._selected = {point: task for point, task in self._selected.items() if point in left}
        if self._selected and not self.config.option.collectonly:
            self._try_release()

    def _try_release(self) -> None:
        """End the session before anything is drawn where a LoRA file on trial cannot be what it should."""
        release = self.options.release
        if release is None:
            return
        from qiltest.release.candidate import refusal_lines  # here and below: reads files that no other session does
        from qiltest.release.session import try_release

        try:
            self.trial = try_release(self._loaded(), release, self.options.model)
        except QiltestError as error:
            raise pytest.UsageError(f"qiltest: {error}") from None
        if self.trial.refusals:
            told = "\n".join(refusal_lines(self.trial, release.like))
            pytest.exit(f"qiltest: {told}", returncode=pytest.ExitCode.TESTS_FAILED)

    def headline(self) -> Iterator[str]:
        """Yield the line that says what will be drawn with what."""
        if self._selected:
            options = self.options
            device = options.device or "the model's own device"
            yield f"qiltest: {len(self._selected)} pictures, model {options.model} on {device}"

    # the tests

    def case_run(self, request: pytest.FixtureRequest, generator: Generator, open_reader: OpenReader) -> CaseRun:
        """Return what a test works with; the first call opens the run."""
        guards.refuse_on_worker(self.config)
        point: Point = request.param
        # from here on, because the first test loads the model and encodes all prompts
        self.progress.show(point.id)
        return CaseRun(
            work=self._begun(generator, open_reader),
            task=self._tasks[point],
            point=point,
            node=self._node_from_here(str(request.node.nodeid)),
            benchmark=_benchmark(request),
            clock=self._clock,
        )

    def unusable(self, error: QiltestError) -> None:
        """End, or fail the test, where the model or the reader cannot be had at all."""
        if self.options.gpu and isinstance(error, DeviceError):
            pytest.exit(f"qiltest: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
        pytest.fail(f"qiltest: {error}", pytrace=False)

    def reported(self, item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
        """Take note of a test's outcome, and of an end that was no verdict."""
        point = point_of_item(item)
        if point is None:
            return
        if report.when == "call" or report.outcome != "passed":
            # before pytest itself writes on
            self.progress.hide(verdict_of(item, report))
            self._outcomes[item.nodeid] = report.outcome
            add_properties(item, report)
        if report.skipped:
            self._unjudged[point] = f"its test was skipped: {_skip_reason(report)}"
        elif report.when == "setup" and report.failed:
            self._unjudged[point] = f"its test ended before it drew: {_first_line(error)}"
        elif report.when == "call":
            self._unjudged[point] = "its test called neither qil_case_run.judge() nor check()"
        if self._work is not None and report.failed and error is not None:
            self._work.crashed(point, f"{type(error).__name__}: {str(error).strip() or 'no message'}")

    # the end

    def finish(self, exit_status: int, *, stopped: bool) -> int:
        """Close the run and return the session's exit status, which is not 0 where nothing was shown.

        `stopped` says that tests were left out by `-x` or the like, so that the same command goes on from here.
        """
        if guards.all_skipped(self._outcomes):
            self.problems.append(
                f"all {len(self._outcomes)} report cases were skipped, so nothing was tested\n"
                f"  -> run with -rs to see why, and mend or remove what skips them"
            )
        if self._work is not None:
            ran_through = not stopped and exit_status in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
            self._finish_work(self._work, exit_status, ran_through=ran_through)
        return self._status(exit_status)

    def _status(self, exit_status: int) -> int:
        """Return the exit status, 0 only where nothing is wrong and a file on trial may ship."""
        ships = self.comparisons is None or self.comparisons.holds
        return exit_status if exit_status or (ships and not self.problems) else int(pytest.ExitCode.TESTS_FAILED)

    def _finish_work(self, work: Work, exit_status: int, *, ran_through: bool) -> None:
        work.rest()
        self.problems.extend(work.problems)
        try:
            if ran_through:
                self._tell_missing(work)
            complete = work.done >= set(work.tasks)
            if complete and self._is_full():
                self.problems.extend(unused_goldens(work.goldens, work.generator.model, self._loaded()))
            self.recorded = work.record_latencies()
            if self.options.release is not None:
                from qiltest.release.session import conclude

                self.comparisons = conclude(load_run(work.writer.folder), self.options.release)
            work.finish(self._status(exit_status), self.problems)
            self.run = load_run(work.writer.folder)
        except QiltestError as error:
            self.problems.append(f"the run could not be closed: {error}")
        work.writer.close()

    def _tell_missing(self, work: Work) -> None:
        """Give the verdict MISSING to every picture that a session which ran through has none for."""
        missing = {
            point: self._unjudged.get(point, "its test did not run") for point in work.tasks if point not in work.done
        }
        for point, why in missing.items():
            golden = golden_of(work.goldens, work.generator.model, point)
            judgement = judge_missing(why, golden)
            work.append(
                Judged(
                    at=now(),
                    point=point,
                    reading=None,
                    score=None,
                    judgement=judgement,
                    latency=None,
                    golden=golden,
                    golden_recorded=False,
                )
            )
            work.done.add(point)
        if missing:
            self.problems.append(_missing_words(missing))

    @property
    def silent(self) -> bool:
        """True where the session has nothing to say at its end."""
        return self.run is None and not self.problems

    @property
    def said(self) -> list[str]:
        """What befell the reading process: infrastructure is retried once, and that is said."""
        return [] if self._work is None or self._work.process is None else self._work.process.said

    @property
    def matrix_rate(self) -> float | None:
        """The device's measured matrix rate, operations a second, where weights are random; else None."""
        return None if self._work is None else self._work.matrix_rate

    @property
    def interrupted(self) -> bool:
        """True where the same command goes on from this run."""
        return self.run is not None and self.run.state is not RunState.FINISHED

    @property
    def run_folder(self) -> Path | None:
        """Folder of this session's run."""
        return None if self._work is None else self._work.writer.folder

    # inside

    def _begun(self, generator: Generator, open_reader: OpenReader) -> Work:
        if self._refused is not None:
            self.unusable(self._refused)
        if self._work is None:
            try:
                self._work = begin(
                    options=self.options,
                    tasks=self._selected,
                    full=self._is_full(),
                    generator=generator,
                    open_reader=open_reader,
                    command=("pytest", *self.config.invocation_params.args),
                )
            except QiltestError as error:
                self._refused = error
                self.unusable(error)
        assert self._work is not None
        return self._work

    def _node_from_here(self, node: str) -> str:
        """Return a node id as it is written where pytest was called, which need not be its root."""
        path, separator, name = node.partition("::")
        return os.path.relpath(self.config.rootpath / path, self.config.invocation_params.dir) + separator + name

    def _loaded(self) -> Suite:
        if self._suite is None:
            suite, release = load_suite(self.options.cases_folder, keep_doubtful=True), self.options.release
            if release is not None:
                from qiltest.release.session import admit

                suite = admit(suite, release, self.options.model)
            self._suite = suite
        return self._suite

    def _all_tasks(self) -> Mapping[Point, Task]:
        if not self._tasks:
            self._tasks = select_tasks(self._loaded(), self.options)
        return self._tasks

    def _is_full(self) -> bool:
        return set(self._selected) >= default_points(self._loaded(), self.options)

    def _is_suite_folder(self) -> bool:
        return (self.options.cases_folder / "variants.toml").is_file()

    def _marks(self) -> list[pytest.MarkDecorator]:
        marks = [
            pytest.mark.report_case,
            pytest.mark.benchmark(timer=self._clock.read),
            # a picture that was taken from the store has its latency there: the benchmark is rightly not used
            pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"),
        ]
        if self.options.gpu or not self.options.is_tiny:
            marks += [pytest.mark.gpu, pytest.mark.timeout(GPU_TIMEOUT_SECONDS, func_only=True)]
        return marks


def point_of_item(item: pytest.Item) -> Point | None:
    """Return the point that an item draws, None for a test that is not of the suite."""
    callspec = getattr(item, "callspec", None)
    point = None if callspec is None else callspec.params.get(FIXTURE)
    return point if isinstance(point, Point) else None


def _point(item: pytest.Item) -> Point:
    point = point_of_item(item)
    assert point is not None
    return point


def _skip_reason(report: pytest.TestReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
    return str(told).removeprefix("Skipped: ") or "no reason given"


def _first_line(error: BaseException | None) -> str:
    told = str(error).strip() or type(error).__name__
    return told.splitlines()[0]


def _missing_words(missing: Mapping[Point, str]) -> str:
    pictures = f"{len(missing)} picture is" if len(missing) == 1 else f"{len(missing)} pictures are"
    named = "".join(f"\n     {point.id}: {why}" for point, why in missing.items())
    return (
        f"{pictures} MISSING, expected and never judged:{named}\n"
        f"  -> mend what keeps the tests from judging, or leave these pictures out with --qil-case, --qil-variant or -k"
    )


def _benchmark(request: pytest.FixtureRequest) -> Benchmark:
    benchmark: Benchmark = request.getfixturevalue("benchmark")
    return benchmark
