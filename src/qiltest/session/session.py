"""The state of one pytest session: options, collected tests, and the run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

import pytest

from qiltest.arguments import ALL
from qiltest.engine.context import RunContext, open_run, selected_tasks
from qiltest.engine.ending import Ending, finish_run, too_few
from qiltest.engine.options import Options
from qiltest.engine.readers import OpenReader
from qiltest.engine.refusal import leave_run
from qiltest.engine.sample import SampleRun
from qiltest.errors import DeviceError, ModelError, QiltestError
from qiltest.generation.families import check_families
from qiltest.generation.records import Generator
from qiltest.generation.tasks import models_of
from qiltest.serving.generator import ServedGenerator
from qiltest.session import guards
from qiltest.session.benchmark_table import hide_table
from qiltest.session.case_run import CaseRun, LoopClock
from qiltest.session.echo import quieten, shorten
from qiltest.session.generating import Generating, own_part
from qiltest.session.images import images_line, open_images, refuse_replaced
from qiltest.session.interrupts import Interrupts
from qiltest.session.junit import add_properties, reason_of, verdict_of
from qiltest.session.progress import progress_bar
from qiltest.session.refusals import Refusals, add_junit_errors
from qiltest.spans import Timeline, span
from qiltest.suite.load import Suite, load_suite
from qiltest.suite.selection import Sample, Task, left_out, without_inputs
from qiltest.text.escape import one_line, printable_line
from qiltest.text.format import count

if TYPE_CHECKING:
    from pathlib import Path

    from qiltest.comparison.records import Comparisons
    from qiltest.elsewhere.source import FolderSource
    from qiltest.release.candidate import CandidateInspection
    from qiltest.report.comparison.wording import About
    from qiltest.runs.records import Run

FIXTURE = "qil_case_run"
_NOT_SERVED = (
    "qiltest: a conftest replaces the fixture qil_generator, so that the server of --qil-server would not be asked\n"
    "  -> remove --qil-server, or that fixture"
)
#: per image of the real model, without loading it; the base takes about half a minute.
GPU_TIMEOUT_SECONDS = 1800


class SuiteSession:
    """The state of a session; the plugin's hooks and fixtures delegate here."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self.config = config
        self.options = options
        self.timeline = Timeline()
        self.progress = progress_bar(config)
        #: with --qil-lora: the inspection of the file.
        self.inspection: CandidateInspection | None = None
        #: with --qil-images: the folder's images.
        self.images: FolderSource | None = None
        self._suite: Suite | None = None
        self._tasks: dict[Sample, Task] = {}
        self._selected: dict[Sample, Task] = {}
        #: with --qil-shard: what all runners together generate.
        self._whole: tuple[Sample, ...] = ()
        self._collected = 0
        #: samples whose tests were collected, less those that pytest says were deselected.
        self._meant: set[Sample] = set()
        #: whether the suite's own tests could not be collected, which pytest reports.
        self._broken = False
        self._outcomes: dict[str, str] = {}
        #: samples whose test failed.
        self._failed: set[Sample] = set()
        #: why samples have no verdict.
        self._unjudged: dict[Sample, str] = {}
        self.context: RunContext | None = None
        #: the result of the run, once it is closed.
        self.ending = Ending(exit_status=0)
        self.generating = Generating(options)
        self._clock = LoopClock()
        self.interrupts = Interrupts()
        #: why no run could be opened, for each test.
        self._refused: QiltestError | None = None
        #: whether the session has a result that its job's page does not have yet.
        self.untold = False
        #: why the session ended early.
        self.refusals = Refusals()
        config.pluginmanager.register(self.refusals)

    # collection

    def parametrize(self, metafunc: pytest.Metafunc) -> None:
        """Give a test that uses `qil_case_run` one item per image. Raises pytest.Collector.CollectError."""
        try:
            self._tasks = self._tasks or selected_tasks(self._loaded(), self.options)
        except QiltestError as error:
            self._broken = True
            self.refusals.add(error, reported=True)
            raise pytest.Collector.CollectError(f"qiltest: {error}") from None
        metafunc.parametrize(
            FIXTURE, [pytest.param(sample, id=sample.id, marks=self._marks()) for sample in self._tasks], indirect=True
        )

    def order(self, items: list[pytest.Item]) -> None:
        """Sort the suite's tests, in their own places, so that each variant is loaded once."""
        places = [place for place, item in enumerate(items) if sample_of_item(item) is not None]
        variants = list(dict.fromkeys(task.variant.name for task in self._tasks.values()))
        ordered = sorted((items[place] for place in places), key=lambda item: variants.index(_sample(item).variant))
        for place, item in zip(places, ordered, strict=True):
            items[place] = item

    def collected(self, items: Sequence[pytest.Item]) -> None:
        """Count the suite's tests before any is deselected."""
        mine = [_sample(item) for item in items if sample_of_item(item) is not None]
        self._collected, self._meant = len(mine), set(mine)

    def deselected(self, items: Sequence[pytest.Item]) -> None:
        """Expect no verdict of tests that `-k`, `--deselect` or a plugin took away with a word."""
        self._meant -= {_sample(item) for item in items if sample_of_item(item) is not None}

    def selected(self, items: list[pytest.Item]) -> None:
        """Store the selected tests. Raises pytest.UsageError where they could not test anything."""
        mine = [item for item in items if sample_of_item(item) is not None]
        with self.refusals.of_usage():
            self._check_selection(mine)
        if self.options.shard is not None:
            self._whole = tuple(map(_sample, mine))
            with self.refusals.of_usage():
                part = own_part({sample: self._tasks[sample] for sample in self._whole}, self.options)
            others = [item for item in mine if _sample(item) not in part]
            items[:] = [item for item in items if item not in set(others)]
            self.config.hook.pytest_deselected(items=others)
            mine = [item for item in mine if _sample(item) in part]
        self._selected = {_sample(item): self._tasks[_sample(item)] for item in mine}
        self.progress.begin(len(mine))

    def _check_selection(self, mine: Sequence[pytest.Item]) -> None:
        if self.options.gpu and (self._collected or (self.options.cases_folder / "variants.toml").is_file()):
            guards.refuse_no_selection(mine, collected=self._collected)
        if self.options.release is not None and not self._broken:
            guards.refuse_no_release(mine)
        if mine:
            guards.refuse_without_benchmark(self.config)

    def remaining(self, items: Sequence[pytest.Item]) -> None:
        """Drop tests that other plugins, such as `--lf`, have deselected after `selected`."""
        hide_table(self.config, [item for item in items if sample_of_item(item) is None])
        left = {sample_of_item(item) for item in items}
        self._selected = {sample: task for sample, task in self._selected.items() if sample in left}
        if self._selected and not self.config.option.collectonly:
            self.generating.expect(task.variant for task in self._selected.values())
            with self.refusals.of_usage():
                self._try_release()
                if self.options.images is not None:
                    self.images = open_images(self.options.images, self.options, self._selected, self._loaded())

    def _try_release(self) -> None:
        """Inspect the candidate LoRA, and end the session before anything is generated where it is refused."""
        release = self.options.release
        if release is None:
            return
        from qiltest.release.candidate import refusal_lines, same_line
        from qiltest.release.check import try_release

        try:
            options = self.options
            (self.inspection,) = try_release(
                self._loaded(),
                release,
                options.model,
                base=options.base,
                allow_partial=options.allow_partial_lora,
            ).values()
        except QiltestError as error:
            raise pytest.UsageError(f"qiltest: {error}") from None
        if self.inspection.refusals:
            lines = "\n".join(refusal_lines(self.inspection, release.like))
            pytest.exit(f"qiltest: {lines}", returncode=pytest.ExitCode.TESTS_FAILED)
        if self.inspection.same:
            pytest.exit(f"qiltest: {same_line(self.inspection, release.like)}", returncode=pytest.ExitCode.OK)

    def headline(self) -> Iterator[str]:
        """Yield a line that says what will be generated."""
        if self._selected:
            options = self.options
            device = options.device or "the model's default device"
            line = f"qiltest: {count(len(self._selected), 'image')}, model {options.model} on {device}"
            if options.images is not None:
                line = images_line(options, len(self._selected))
            if options.server is not None:
                where = f"asked of {options.server.url} ({options.server.api})"
                line = f"qiltest: {count(len(self._selected), 'image')}, model {options.model}, {where}"
            yield printable_line(line)
        if self._tasks and (out := left_out(self._loaded(), cases=self.options.cases, able=self.options.able)):
            task = out[0].task
            does = " and ".join(sorted(self.options.able))
            what = f"{count(len(out), f'{task} case')} left out: {self.options.model} does {does}"
            models = " or ".join(f"--qil-model={name}" for name in models_of(task, self._loaded().variants))
            which = (
                f"{models} generates {'it' if len(out) == 1 else 'them'}"
                if models
                else f"choose a model that does {task}"
            )
            yield printable_line(f"qiltest: {what}; {which}")
        options = self.options
        if self._tasks and (
            out := without_inputs(self._loaded(), cases=options.cases, able=options.able, kind=options.kind)
        ):
            what = f"{count(len(out), f'{out[0].task} case')} left out: their input images are not part of the suite"
            yield printable_line(f"qiltest: {what}; name one with --qil-case, and it says how to get them")

    # the tests

    def case_run(self, request: pytest.FixtureRequest, generator: Generator, open_reader: OpenReader) -> CaseRun:
        """Return the fixture of a test; the first call opens the run."""
        guards.refuse_on_worker(self.config)
        try:
            self.generating.check(generator)
        except QiltestError as error:
            self.unusable(error)
        self.interrupts.begin()
        sample: Sample = request.param
        # before the run is opened, because the first test loads the model and encodes all prompts
        self.progress.show(sample.id)
        return CaseRun(
            sample=SampleRun(self._begun(generator, open_reader), sample),
            options=self.options,
            node=self._node_from_here(str(request.node.nodeid)),
            benchmark=request.getfixturevalue("benchmark"),
            clock=self._clock,
        )

    def unusable(self, error: QiltestError) -> NoReturn:
        """Fail the test where the model or reader is not usable; end the session where no test could generate.

        That is a model that is not whole or does not fit, and with `-m gpu` no device or no weights.
        """
        # `from None`: pytest would print the causes as further copies of the message
        if isinstance(error, ModelError) or (self.options.gpu and isinstance(error, DeviceError)):
            raise pytest.exit.Exception(f"qiltest: {error}", pytest.ExitCode.USAGE_ERROR) from None
        self.refusals.add(error, reported=True)
        raise pytest.fail.Exception(f"qiltest: {error}", pytrace=False) from None

    def reported(self, item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
        """Store a test's outcome, and its error if it ended without a verdict."""
        sample = sample_of_item(item)
        if sample is None:
            return
        quieten(report)
        shorten(report, error, reason_of(item) if report.when == "call" else "")
        if report.when == "call" or report.outcome != "passed":
            # before pytest continues its line
            self.progress.hide(verdict_of(item, report))
            self._outcomes[item.nodeid] = report.outcome
            add_properties(item, report)
        if report.failed:
            self._failed.add(sample)
        if report.skipped:
            self._unjudged[sample] = f"its test was skipped: {_skip_reason(report)}"
        elif report.when == "setup" and report.failed:
            self._unjudged[sample] = f"its test failed in setup: {_first_line(error)}"
        elif report.when == "call":
            self._unjudged[sample] = "its test did not call qil_case_run.judge() or check()"
        if self.context is not None and report.failed and error is not None:
            self.context.crashed(sample, error)

    # the end

    def finish(self, exit_status: int, *, stopped: bool) -> int:
        """Close the run and return the session's exit status, which is not 0 where nothing was tested.

        `stopped`: tests did not run because of `-x` or the like.
        """
        if set(self._outcomes.values()) == {"skipped"}:
            problems = [
                f"nothing was tested: all {len(self._outcomes)} report cases were skipped\n"
                f"  -> run with -rs to see why, and remove the skip"
            ]
        else:
            problems = list(self._nothing_begun(exit_status))
        if self.context is None:
            self.ending = self._refused_ending(exit_status, problems)
        else:
            ran_through = not stopped and exit_status in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
            unjudged = self._unjudged if ran_through else None
            self.ending = finish_run(
                self.context,
                exit_status=exit_status,
                problems=[*self.refusals.told, *problems],
                unjudged=unjudged,
                failed=self._failed,
                expected=self._expected() if ran_through else None,
                page=self._page,
            )
        self.untold = not self.silent
        add_junit_errors(self.config, self.refusals.silent_in_junit(self.ending.problems))
        return self.ending.status

    def _refused_ending(self, exit_status: int, problems: Sequence[str]) -> Ending:
        """Return the result of a session that began no run; one that was meant to leaves a run that says why not."""
        reasons = [*self.refusals.told, *problems]
        if not reasons and self._selected and exit_status != pytest.ExitCode.OK and not self.refusals.interrupted:
            why = next(iter(self._unjudged.values()), "pytest stopped before the first test: see its messages")
            reasons = [f"{count(len(self._selected), 'image')} selected, none begun: {why}"]
        if not reasons or guards.only_lists(self.config) or hasattr(self.config, "workerinput"):
            return Ending(exit_status=exit_status, problems=list(problems))
        return leave_run(
            self.options,
            self._selected,
            command=("pytest", *self.config.invocation_params.args),
            exit_status=exit_status,
            reasons=reasons,
            problems=problems,
        )

    def _page(self, found: Comparisons, run: Run) -> Path:
        """Write the comparison page of a candidate LoRA and return its path."""
        from qiltest.release.check import write_release_page

        assert self.options.release is not None
        return write_release_page(found, run, self.options.release, self.about(run))

    def about(self, run: Run) -> About:
        """Return what the verdict on a candidate LoRA speaks of."""
        from qiltest.release.check import about_release

        release, inspection = self.options.release, self.inspection
        assert release is not None
        assert inspection is not None
        return about_release(release, {release.trials[0].name: inspection}, run, self._loaded())

    def _expected(self) -> int | None:
        """Return how many images must be judged; None where nobody said."""
        expect = self.options.expect
        if expect is None:
            strict = self.options.gpu or self.options.release is not None or self.options.images is not None
            return len(self._meant) if strict else None
        if expect == ALL:
            return len(self._tasks) if self.options.shard is None else len(self._selected)
        return int(expect)

    def _nothing_begun(self, exit_status: int) -> Iterator[str]:
        """Yield a problem where a session was asked for images and generated none, though pytest is content."""
        content = {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
        if self.context is not None or exit_status not in content or guards.only_lists(self.config):
            return
        if self.inspection is not None and self.inspection.same:  # and that was said
            return
        if self._selected:
            yield (
                f"{count(len(self._selected), 'image')} selected, none begun\n"
                "  -> look for --collect-only or --setup-plan in addopts, and for a conftest that replaces "
                "qil_case_run or the running of tests"
            )
        elif self.options.expect is not None:
            yield too_few(0, self._expected() or 1)

    @property
    def lists_only(self) -> bool:
        """True where the command line itself asks for a list of tests."""
        return guards.only_lists(self.config)

    @property
    def silent(self) -> bool:
        """True where a session has no run, no problem and no refusal."""
        return self.ending.run is None and not self.ending.problems and not self.refusals.told

    @property
    def stopped_early(self) -> bool:
        """True where somebody pressed Ctrl-C before a run was opened, as while workers start."""
        return self.context is None and bool(self._selected) and self.refusals.interrupted

    # inside

    def _begun(self, generator: Generator, open_reader: OpenReader) -> RunContext:
        if self._refused is not None:
            self.unusable(self._refused)
        refuse_replaced(self.images, generator)
        if self.options.server is not None and not isinstance(generator, ServedGenerator):
            raise pytest.exit.Exception(_NOT_SERVED, pytest.ExitCode.USAGE_ERROR)
        if self.context is None:
            try:
                self.context = open_run(
                    options=self.options,
                    suite=self._loaded(),
                    tasks=self._selected,
                    generator=generator,
                    open_reader=open_reader,
                    command=("pytest", *self.config.invocation_params.args),
                    whole=self._whole,
                    timeline=self.timeline,
                )
            except QiltestError as error:
                self._refused = error
                self.unusable(error)
            self.progress.watch(self.context.working)
        return self.context

    def _node_from_here(self, node: str) -> str:
        """Return a node id relative to the folder in which pytest was called."""
        path, separator, name = node.partition("::")
        return os.path.relpath(self.config.rootpath / path, self.config.invocation_params.dir) + separator + name

    def _loaded(self) -> Suite:
        if self._suite is None:
            with span("read cases"):
                suite, release = load_suite(self.options.cases_folder, keep_doubtful=True), self.options.release
            check_families(suite.variants)
            if release is not None:
                from qiltest.release.check import admit

                suite = admit(suite, release, self.options.model, base=self.options.base)
            self._suite = suite
        return self._suite

    def _marks(self) -> list[pytest.MarkDecorator]:
        marks = [
            pytest.mark.report_case,
            pytest.mark.benchmark(timer=self._clock.read),
            # the latency of a reused image is in the store, so the benchmark is not used
            pytest.mark.filterwarnings("ignore:Benchmark fixture was not used"),
        ]
        if self.options.images is None and (self.options.gpu or not self.options.is_tiny):
            marks += [pytest.mark.gpu, pytest.mark.timeout(GPU_TIMEOUT_SECONDS, func_only=True)]
        return marks


def sample_of_item(item: pytest.Item) -> Sample | None:
    """Return the sample of an item, None for a test that is not of the suite."""
    callspec = getattr(item, "callspec", None)
    sample = None if callspec is None else callspec.params.get(FIXTURE)
    return sample if isinstance(sample, Sample) else None


def _sample(item: pytest.Item) -> Sample:
    sample = sample_of_item(item)
    assert sample is not None
    return sample


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
    return one_line(str(reason).removeprefix("Skipped: ")) or "no reason given"


def _first_line(error: BaseException | None) -> str:
    return one_line((str(error).strip() or type(error).__name__).splitlines()[0])
