"""The state of one pytest session: what is asked for, what was collected, and the run once it is open."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from qiltest.comparison.records import Comparisons
from qiltest.engine.context import RunContext, open_run, selected_tasks
from qiltest.engine.ending import Ending, finish_run
from qiltest.engine.options import Options
from qiltest.engine.readers import OpenReader
from qiltest.engine.sample import SampleRun
from qiltest.errors import DeviceError, QiltestError
from qiltest.generation.records import Generator
from qiltest.runs.records import Run, RunState
from qiltest.session import guards
from qiltest.session.case_run import Benchmark, CaseRun, LoopClock
from qiltest.session.junit import add_properties, verdict_of
from qiltest.session.progress import progress_bar
from qiltest.suite.load import Suite, load_suite
from qiltest.suite.selection import Sample, Task

if TYPE_CHECKING:
    from qiltest.release.candidate import CandidateInspection

FIXTURE = "qil_case_run"
#: for an image of the real model: its loading is not counted, and the base generates it in about half a minute.
GPU_TIMEOUT_SECONDS = 1800


class SuiteSession:
    """Holds a session's state; hooks and fixtures delegate here."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.progress = progress_bar(config)
        #: with --qil-lora: what was found out about the file.
        self.inspection: CandidateInspection | None = None
        self._suite: Suite | None = None
        self._tasks: dict[Sample, Task] = {}
        self._selected: dict[Sample, Task] = {}
        self._collected = 0
        self._outcomes: dict[str, str] = {}
        #: tests that ended without a verdict, and how.
        self._unjudged: dict[Sample, str] = {}
        self._context: RunContext | None = None
        self._ending = Ending(exit_status=0)
        self._clock = LoopClock()
        #: why no run could be begun; the second test is told what the first was.
        self._refused: QiltestError | None = None

    # collection

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Give a test that asks for `qil_case_run` one item an image. Raises pytest.Collector.CollectError."""
        try:
            tasks = self._all_tasks()
        except QiltestError as error:
            raise pytest.Collector.CollectError(f"qiltest: {error}") from None
        metafunc.parametrize(
            FIXTURE, [pytest.param(sample, id=sample.id, marks=self._marks()) for sample in tasks], indirect=True
        )

    def order(self, items: list[pytest.Item]) -> None:
        """Let the tests of the suite take each other's places so that each variant is switched to once."""
        places = [place for place, item in enumerate(items) if sample_of_item(item) is not None]
        variants = list(dict.fromkeys(task.variant.name for task in self._tasks.values()))
        ordered = sorted((items[place] for place in places), key=lambda item: variants.index(_sample(item).variant))
        for place, item in zip(places, ordered, strict=True):
            items[place] = item

    def collected(self, items: Sequence[pytest.Item]) -> None:
        """Count tests of the suite before any is deselected."""
        self._collected = sum(1 for item in items if sample_of_item(item) is not None)

    def selected(self, items: Sequence[pytest.Item]) -> None:
        """Take note of the tests that will run. Raises pytest.UsageError where they could only pass on nothing."""
        mine = [item for item in items if sample_of_item(item) is not None]
        if self.options.gpu and (self._collected or self._is_suite_folder()):
            guards.refuse_no_selection(mine, collected=self._collected)
        if mine:
            guards.refuse_without_benchmark(self.config)
        self._selected = {_sample(item): self._tasks[_sample(item)] for item in mine}
        self.progress.begin(len(mine))

    def remaining(self, items: Sequence[pytest.Item]) -> None:
        """Take note of what other plugins, such as `--lf`, have deselected after `selected`."""
        left = {sample_of_item(item) for item in items}
        self._selected = {sample: task for sample, task in self._selected.items() if sample in left}
        if self._selected and not self.config.option.collectonly:
            self._try_release()

    def _try_release(self) -> None:
        """End the session before anything is generated where a LoRA file on trial cannot be what it should."""
        release = self.options.release
        if release is None:
            return
        from qiltest.release.candidate import refusal_lines  # here and below: reads files that no other session does
        from qiltest.release.check import try_release

        try:
            self.inspection = try_release(self._loaded(), release, self.options.model)
        except QiltestError as error:
            raise pytest.UsageError(f"qiltest: {error}") from None
        if self.inspection.refusals:
            told = "\n".join(refusal_lines(self.inspection, release.like))
            pytest.exit(f"qiltest: {told}", returncode=pytest.ExitCode.TESTS_FAILED)

    def headline(self) -> Iterator[str]:
        """Yield the line that says what will be generated with what."""
        if self._selected:
            options = self.options
            device = options.device or "the model's own device"
            yield f"qiltest: {len(self._selected)} images, model {options.model} on {device}"

    # the tests

    def case_run(self, request: pytest.FixtureRequest, generator: Generator, open_reader: OpenReader) -> CaseRun:
        """Return what a test works with; the first call opens the run."""
        guards.refuse_on_worker(self.config)
        sample: Sample = request.param
        # from here on, because the first test loads the model and encodes all prompts
        self.progress.show(sample.id)
        return CaseRun(
            sample=SampleRun(self._begun(generator, open_reader), sample),
            options=self.options,
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
        sample = sample_of_item(item)
        if sample is None:
            return
        if report.when == "call" or report.outcome != "passed":
            # before pytest itself writes on
            self.progress.hide(verdict_of(item, report))
            self._outcomes[item.nodeid] = report.outcome
            add_properties(item, report)
        if report.skipped:
            self._unjudged[sample] = f"its test was skipped: {_skip_reason(report)}"
        elif report.when == "setup" and report.failed:
            self._unjudged[sample] = f"its test ended before it generated: {_first_line(error)}"
        elif report.when == "call":
            self._unjudged[sample] = "its test called neither qil_case_run.judge() nor check()"
        if self._context is not None and report.failed and error is not None:
            self._context.crashed(sample, error)

    # the end

    def finish(self, exit_status: int, *, stopped: bool) -> int:
        """Close the run and return the session's exit status, which is not 0 where nothing was shown.

        `stopped` says that tests were left out by `-x` or the like, so that the same command goes on from here.
        """
        problems = []
        if guards.all_skipped(self._outcomes):
            problems.append(
                f"all {len(self._outcomes)} report cases were skipped, so nothing was tested\n"
                f"  -> run with -rs to see why, and fix or remove what skips them"
            )
        if self._context is None:
            self._ending = Ending(exit_status=exit_status, problems=problems)
        else:
            ran_through = not stopped and exit_status in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
            unjudged = self._unjudged if ran_through else None
            self._ending = finish_run(self._context, exit_status=exit_status, problems=problems, unjudged=unjudged)
        return self._ending.status

    @property
    def problems(self) -> list[str]:
        """What is wrong with the session beyond its tests, for a person."""
        return self._ending.problems

    @property
    def recorded(self) -> list[str]:
        """Latency goldens that were written."""
        return self._ending.recorded

    @property
    def run(self) -> Run | None:
        """The session's run, once it is closed."""
        return self._ending.run

    @property
    def comparisons(self) -> Comparisons | None:
        """With --qil-lora: the paired verdict."""
        return self._ending.comparisons

    @property
    def silent(self) -> bool:
        """True where a session generated nothing and has nothing to say."""
        return self.run is None and not self.problems

    @property
    def said(self) -> list[str]:
        """What befell the reading process: infrastructure is retried once, and that is said."""
        return [] if self._context is None else self._context.readers.said

    @property
    def matrix_rate(self) -> float | None:
        """The device's measured matrix rate, operations per second, where weights are random; else None."""
        return None if self._context is None else self._context.matrix_rate

    @property
    def interrupted(self) -> bool:
        """True where the same command goes on from this run."""
        return self.run is not None and self.run.state is not RunState.FINISHED

    # inside

    def _begun(self, generator: Generator, open_reader: OpenReader) -> RunContext:
        if self._refused is not None:
            self.unusable(self._refused)
        if self._context is None:
            try:
                self._context = open_run(
                    options=self.options,
                    suite=self._loaded(),
                    tasks=self._selected,
                    generator=generator,
                    open_reader=open_reader,
                    command=("pytest", *self.config.invocation_params.args),
                )
            except QiltestError as error:
                self._refused = error
                self.unusable(error)
        assert self._context is not None
        return self._context

    def _node_from_here(self, node: str) -> str:
        """Return a node id as it is written where pytest was called, which need not be its root."""
        path, separator, name = node.partition("::")
        return os.path.relpath(self.config.rootpath / path, self.config.invocation_params.dir) + separator + name

    def _loaded(self) -> Suite:
        if self._suite is None:
            suite, release = load_suite(self.options.cases_folder, keep_doubtful=True), self.options.release
            if release is not None:
                from qiltest.release.check import admit

                suite = admit(suite, release, self.options.model)
            self._suite = suite
        return self._suite

    def _all_tasks(self) -> Mapping[Sample, Task]:
        if not self._tasks:
            self._tasks = selected_tasks(self._loaded(), self.options)
        return self._tasks

    def _is_suite_folder(self) -> bool:
        return (self.options.cases_folder / "variants.toml").is_file()

    def _marks(self) -> list[pytest.MarkDecorator]:
        marks = [
            pytest.mark.report_case,
            pytest.mark.benchmark(timer=self._clock.read),
            # an image that was taken from the store has its latency there: the benchmark is rightly not used
            pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"),
        ]
        if self.options.gpu or not self.options.is_tiny:
            marks += [pytest.mark.gpu, pytest.mark.timeout(GPU_TIMEOUT_SECONDS, func_only=True)]
        return marks


def sample_of_item(item: pytest.Item) -> Sample | None:
    """Return the point that an item generates, None for a test that is not of the suite."""
    callspec = getattr(item, "callspec", None)
    sample = None if callspec is None else callspec.params.get(FIXTURE)
    return sample if isinstance(sample, Sample) else None


def _sample(item: pytest.Item) -> Sample:
    sample = sample_of_item(item)
    assert sample is not None
    return sample


def _skip_reason(report: pytest.TestReport) -> str:
    told = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
    return str(told).removeprefix("Skipped: ") or "no reason given"


def _first_line(error: BaseException | None) -> str:
    told = str(error).strip() or type(error).__name__
    return told.splitlines()[0]


def _benchmark(request: pytest.FixtureRequest) -> Benchmark:
    benchmark: Benchmark = request.getfixturevalue("benchmark")
    return benchmark
