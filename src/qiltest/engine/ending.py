"""End a run: missing verdicts, unused goldens, latency goldens, the release verdict, the reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from qiltest.comparison.records import Comparisons
from qiltest.engine.context import RunContext
from qiltest.engine.options import Update
from qiltest.errors import GoldenError, QiltestError
from qiltest.gate.latency import LatencyStore
from qiltest.gate.unused import unused_goldens
from qiltest.runs.events import Ended, Judged, Reported, now
from qiltest.runs.load import load_run
from qiltest.runs.records import Run, RunState
from qiltest.runs.status import Status, status_of
from qiltest.serving import speed
from qiltest.serving.generator import ServedGenerator
from qiltest.serving.speed import ServedSpeeds
from qiltest.suite.selection import Sample
from qiltest.text.format import count

HTML, MARKDOWN = "report.html", "report.md"
_AGAIN = "free some space, or make the folder writable; then repeat the command, which generates no image again"
#: writes one more page of a run, and returns its path.
WritePage = Callable[[Comparisons, Run], Path]


@dataclass(kw_only=True)
class Ending:
    """The result of a run."""

    #: pytest's exit code, or 0: every sample passed, 1: one did not, 2: interrupted.
    exit_status: int
    #: what is wrong with the run apart from its samples.
    problems: list[str] = field(default_factory=list)
    #: what happened to reading processes and workers.
    notices: tuple[str, ...] = ()
    #: None where the run could not be closed.
    run: Run | None = None
    #: latency goldens that were written.
    recorded: list[str] = field(default_factory=list)
    #: the verdict on a candidate LoRA.
    comparisons: Comparisons | None = None
    #: the reports that were written, and the table of the speeds of random weights: lines for the terminal.
    reports: list[str] = field(default_factory=list)
    speeds: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status: 0 only where nothing is wrong and a candidate LoRA may ship."""
        ships = self.comparisons is None or self.comparisons.passes
        return self.exit_status or int(not ships or bool(self.problems))


def finish_run(
    context: RunContext,
    *,
    exit_status: int,
    problems: Sequence[str] = (),
    unjudged: Mapping[Sample, str] | None,
    failed: Collection[Sample] | None = None,
    expected: int | None = None,
    page: WritePage | None = None,
) -> Ending:
    """Close a run, write its reports and return its result.

    `unjudged` says why samples have no verdict; None for a run that was stopped and can be resumed. `failed` are the
    samples whose own test said that they do not pass; None where there are no tests. `expected` is the least number of
    judged images. `page` writes the comparison of a candidate LoRA. The run is finished once all are written: a report
    that cannot be written is a problem.
    """
    context.stop()
    ending = Ending(exit_status=exit_status, problems=[*problems, *context.problems, *context.unrecorded])
    ending.notices = context.notices
    try:
        if unjudged is not None:
            ending.problems += _add_missing(context, unjudged)
        run = load_run(context.writer.folder)
        ending.problems += _lost_verdicts(context, run, failed)
        ending.problems += _too_few(run, expected)
        if context.complete and (context.full or (context.shards is not None and context.shards.full)):
            ending.problems += unused_goldens(context.goldens, context.generator.model, context.suite)
        ending.recorded = _record_latencies(context)
        if (release := context.options.release) is not None:
            from qiltest.comparison.trials import compare_trials  # needs scipy, which is slow to import

            names = {trial.name: trial.label for trial in release.trials}
            ending.comparisons = compare_trials(
                run, like=release.like, names=names, margin=release.margin, by_size=release.by_size
            )
        state = RunState.FINISHED if context.complete else RunState.INTERRUPTED
        ended = Ended(at=now(), state=state, exit_status=ending.status, problems=tuple(ending.problems))
        context.writer.append(ended)
        ending.run = load_run(context.writer.folder)
        _report(context, ending, ending.run, page)
    except QiltestError as error:
        ending.problems.append(f"the run cannot be closed: {error}")
    # other sessions leave the run alone until here
    context.writer.close()
    return ending


def _report(context: RunContext, ending: Ending, run: Run, page: WritePage | None) -> None:
    """Write the run's reports and its line of the history, then its last line. Raises StoreError."""
    # slow imports, only needed when there is a run to show
    from qiltest.report import write_html, write_markdown
    from qiltest.runs.history import record

    faults: list[str] = []
    if context.matrix_rate is not None:
        with _told(f"the speeds of {run.path} cannot be written", faults):
            _write_speeds(ending, run, context.matrix_rate)  # before the reports, which show them
    with _told(f"the run cannot be added to the history of {run.path.parent}", faults):
        record(run)
    if isinstance(context.generator, ServedGenerator):
        with _told(f"the speeds of {run.path} cannot be written", faults):
            _write_served(ending, run, context.generator.speeds())
    for write, name in ((write_html, HTML), (write_markdown, MARKDOWN)):
        with _told(f"the report {run.path / name} cannot be written", faults):
            write(run, run.path / name, golden_folder=context.goldens.root)
            ending.reports.append(f"report {run.path / name}")
    if ending.comparisons is not None and page is not None:
        with _told(f"the comparison page of {run.path} cannot be written", faults):
            ending.reports.append(f"comparison {page(ending.comparisons, run)}")
    if not faults:
        context.writer.append(Reported(at=now()))
        return
    ending.problems += faults
    ending.run = replace(run, problems=(*run.problems, *faults), exit_status=ending.status)


@contextmanager
def _told(what: str, faults: list[str]) -> Iterator[None]:
    """Add a fault, with its reason and remedy, where the block cannot write."""
    try:
        yield
    except OSError as error:
        faults.append(f"{what}: {error.strerror or error}\n  -> {_AGAIN}")
    except QiltestError as error:
        faults.append(f"{what}: {error}")


def _write_speeds(ending: Ending, run: Run, matrix_rate: float) -> None:
    """Write the speeds of random weights as JSON, for the Markdown report, and keep their table."""
    from qiltest.generation.sources import resolve_model
    from qiltest.report.speeds import speed_lines, speeds_of, write_speeds

    speeds = speeds_of(run, resolve_model(run.model).family, matrix_rate)
    ending.speeds = list(speed_lines(speeds))
    ending.reports.append(f"speeds {write_speeds(speeds, run.path)}")


def _write_served(ending: Ending, run: Run, speeds: ServedSpeeds) -> None:
    """Write how long a server's answers took, for the reports, and keep their table."""
    if speeds.rows:
        ending.speeds = list(speed.speed_lines(speeds))
        ending.reports.append(f"speeds {speed.write_speeds(speeds, run.path)}")


def _add_missing(context: RunContext, unjudged: Mapping[Sample, str]) -> Iterator[str]:
    """Give the verdict MISSING to every sample that has none, and yield a problem that lists them."""
    left = [sample for sample in context.tasks if sample not in context.done]
    missing = {sample: unjudged.get(sample, "its test did not run") for sample in left}
    for sample, why in missing.items():
        golden = None
        with suppress(GoldenError):  # that it cannot be read is not the problem here
            golden = context.goldens.load(context.generator.model, sample, context.tasks[sample].case)
        context.writer.append(Judged.missing(sample, why, golden))
        context.done.add(sample)
    if missing:
        named = "".join(f"\n     {sample.id}: {why}" for sample, why in missing.items())
        yield (
            f"{count(len(missing), 'image')} MISSING, planned but without a verdict:{named}\n"
            "  -> make the tests judge these images, or leave them out with --qil-case, --qil-variant or -k"
        )


def _lost_verdicts(context: RunContext, run: Run, failed: Collection[Sample] | None) -> Iterator[str]:
    """Yield problems that list the images that do not pass in the run, though nothing said so until now.

    The stored run decides: a test can lose its failure in a thread, an `except`, an xfail or a skip, and a file can be
    removed or damaged after it was judged.
    """
    if failed is None:
        return
    lost = [
        result
        for result in run.results
        if result.sample in context.done and result.sample not in failed and not context.passes(result)
    ]
    gone = [result for result in lost if result.image is None and result.error]
    if gone:
        named = "".join(f"\n     {result.id}: {result.error}" for result in gone)
        yield (
            f"{count(len(gone), 'image')} removed or changed after {'it was' if len(gone) == 1 else 'they were'} "
            f"stored:{named}\n"
            "  -> let nothing touch the folder of runs while a session runs; then repeat the command"
        )
    lost = [result for result in lost if result not in gone]
    if lost:
        named = "".join(f"\n     {result.id}: {status_of(result)}" for result in lost)
        yield (
            f"{count(len(lost), 'image')} did not pass although no test failed for it:{named}\n"
            "  -> let check() or judge() fail the test: no xfail or skip, no `except` around it, no thread"
        )


def _too_few(run: Run, expected: int | None) -> Iterator[str]:
    """Yield a problem where fewer images were judged than the session was asked for."""
    judged = sum(status_of(result) not in {Status.MISSING, Status.WAITING} for result in run.results)
    if expected is not None and judged < expected:
        yield too_few(judged, expected)


def too_few(judged: int, expected: int) -> str:
    """Return the problem of a session that judged fewer images than it was asked for."""
    return (
        f"{judged} of {count(expected, 'expected image')} judged\n"
        "  -> see above which tests did not run; --qil-expect=N says how many are meant to"
    )


def _record_latencies(context: RunContext) -> list[str]:
    """Write latency goldens according to `--qil-update` and return their paths."""
    update, store = context.options.update, LatencyStore(goldens=context.goldens)
    if update is None or not context.options.gpu:
        return []
    written = []
    for cohort, seconds in context.seconds.items():
        missing = not store.path(cohort).exists()
        wanted = missing if update is Update.MISSING else (cohort in context.slower and not missing)
        if wanted or update is Update.ALL:
            written.append(str(store.save(cohort, seconds)))
    return written
