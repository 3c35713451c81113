"""The end of a run: verdicts that are missing, goldens nobody uses, latencies, the paired verdict, the reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qiltest.comparison.records import Comparisons
from qiltest.engine.context import RunContext
from qiltest.engine.options import ReleaseRequest, Update
from qiltest.errors import QiltestError
from qiltest.gate.golden import unused_goldens
from qiltest.gate.latency import LatencyStore
from qiltest.gate.verdict import golden_of, judge_missing
from qiltest.runs.events import Ended, Judged, now
from qiltest.runs.load import load_run
from qiltest.runs.records import Run, RunState
from qiltest.suite.selection import Sample
from qiltest.suite.variants import CANDIDATE

HTML, MARKDOWN = "report.html", "report.md"


@dataclass(kw_only=True)
class Ending:
    """What came of a run."""

    #: pytest's exit code, or 0 where every sample passed, 1 where one did not and 2 where the run was interrupted.
    exit_status: int
    #: what is wrong with the run beyond its samples, for a person.
    problems: list[str] = field(default_factory=list)
    #: None where the run could not be closed.
    run: Run | None = None
    #: latency goldens that were written.
    recorded: list[str] = field(default_factory=list)
    #: the paired verdict on a LoRA file on trial.
    comparisons: Comparisons | None = None

    @property
    def status(self) -> int:
        """The exit status: 0 only where nothing is wrong and a file on trial may ship."""
        ships = self.comparisons is None or self.comparisons.passes
        return self.exit_status or int(not ships or bool(self.problems))


def finish_run(
    context: RunContext, *, exit_status: int, problems: Sequence[str] = (), unjudged: Mapping[Sample, str] | None
) -> Ending:
    """Close a run and return what came of it.

    `unjudged` says of a run that ran through what became of the points that have no verdict; None for one that was
    stopped, which leaves them to the same command.
    """
    context.stop()
    ending = Ending(exit_status=exit_status, problems=[*problems, *context.problems])
    try:
        if unjudged is not None:
            ending.problems += _add_missing(context, unjudged)
        if context.complete and context.full:
            ending.problems += unused_goldens(context.goldens, context.generator.model, context.suite)
        ending.recorded = _record_latencies(context)
        if context.options.release is not None:
            ending.comparisons = _compare(load_run(context.writer.folder), context.options.release)
        state = RunState.FINISHED if context.complete else RunState.INTERRUPTED
        told = tuple(ending.problems)
        context.writer.append(Ended(at=now(), state=state, exit_status=ending.status, problems=told))
        ending.run = load_run(context.writer.folder)
    except QiltestError as error:
        ending.problems.append(f"the run could not be closed: {error}")
    context.writer.close()
    return ending


def write_reports(run: Run) -> Iterator[str]:
    """Add a run to its folder's history, write its reports, and yield what was written or could not be."""
    # the report's code is loaded when there is something to show
    from qiltest.report import write_html, write_markdown
    from qiltest.runs.history import record

    try:
        record(run)
    except OSError as error:
        yield f"the run could not be added to the history of {run.path.parent}: {error}"
    for write, name in ((write_html, HTML), (write_markdown, MARKDOWN)):
        path = run.path / name
        try:
            write(run, path)
        except (QiltestError, OSError) as error:
            yield f"the report {path} could not be written: {error}"
        else:
            yield f"report {path}"


def _add_missing(context: RunContext, unjudged: Mapping[Sample, str]) -> Iterator[str]:
    """Give the verdict MISSING to every sample that a run which ran through has none for, and say so."""
    left = [sample for sample in context.tasks if sample not in context.done]
    missing = {sample: unjudged.get(sample, "its test did not run") for sample in left}
    for sample, why in missing.items():
        golden = golden_of(context.goldens, context.generator.model, sample)
        context.writer.append(
            Judged(
                at=now(),
                sample=sample,
                reading=None,
                score=None,
                judgement=judge_missing(why, golden),
                latency=None,
                golden=golden,
                golden_recorded=False,
            )
        )
        context.done.add(sample)
    if missing:
        images = f"{len(missing)} image is" if len(missing) == 1 else f"{len(missing)} images are"
        named = "".join(f"\n     {sample.id}: {why}" for sample, why in missing.items())
        yield (
            f"{images} MISSING, expected and never judged:{named}\n"
            "  -> fix what keeps the tests from judging, or leave these images out with --qil-case, --qil-variant "
            "or -k"
        )


def _record_latencies(context: RunContext) -> list[str]:
    """Write latency goldens as `--qil-update` says and return the files written."""
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


def _compare(run: Run, release: ReleaseRequest) -> Comparisons:
    """Compare the candidate with what it replaces. Raises StoreError where one of them was not generated at all."""
    from qiltest.comparison.compare import compare_runs  # scipy, which no other run needs

    return compare_runs(run, run, variant=release.like, with_variant=CANDIDATE, margin=release.margin)
