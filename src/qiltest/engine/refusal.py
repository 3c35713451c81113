"""A session that ended before it began a run leaves one all the same: `latest` is it, and no earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qiltest import __version__
from qiltest.engine.ending import HTML, MARKDOWN, Ending
from qiltest.engine.environment import commit_of, versions
from qiltest.engine.options import Options
from qiltest.errors import QiltestError
from qiltest.reading.records import ReaderInfo
from qiltest.reading.registry import DEFAULT_READER
from qiltest.runs.events import Ended, Reported, Started, now
from qiltest.runs.lines import SCHEMA
from qiltest.runs.load import load_run
from qiltest.runs.records import Run, RunState
from qiltest.runs.store import RunStore
from qiltest.runs.writer import RunWriter
from qiltest.suite.selection import Sample, Task


def leave_run(
    options: Options,
    tasks: Mapping[Sample, Task],
    *,
    command: Sequence[str],
    exit_status: int,
    reasons: Sequence[str],
    problems: Sequence[str],
) -> Ending:
    """Write a run without images and its reports, and return the session's result.

    `tasks` are what was selected, as far as that came. `reasons` say why nothing was begun; `problems` are those of
    them that nobody has told yet. A run that cannot be written is one more problem.
    """
    ending = Ending(exit_status=exit_status, problems=list(problems))
    try:
        with RunStore(root=options.runs_folder).create() as writer:
            writer.append(_started(writer, options, tasks, command))
            status = ending.status
            writer.append(Ended(at=now(), state=RunState.FINISHED, exit_status=status, problems=tuple(reasons)))
            ending.run = load_run(writer.folder)
            _report(ending, ending.run)
            writer.append(Reported(at=now()))
    except (QiltestError, OSError) as error:
        ending.problems.append(f"the run of this refusal cannot be written: {error}")
    return ending


def _started(writer: RunWriter, options: Options, tasks: Mapping[Sample, Task], command: Sequence[str]) -> Started:
    device = options.device or ""
    return Started(
        schema=SCHEMA,
        run=writer.id,
        at=now(),
        command=tuple(command),
        qiltest_version=__version__,
        model=options.model,
        device=device,
        device_name=device,
        versions=versions(),
        # none was opened
        reader=ReaderInfo(name=options.reader or DEFAULT_READER, engine="", version="", weights_sha256=""),
        cases=tuple(dict.fromkeys(task.case for task in tasks.values())),
        variants=tuple(dict.fromkeys(task.variant for task in tasks.values())),
        planned=tuple(tasks),
        full=False,
        purpose=options.purpose,
        commit=commit_of(options.cases_folder),
    )


def _report(ending: Ending, run: Run) -> None:
    from qiltest.report import write_html, write_markdown  # slow to import

    for write, name in ((write_html, HTML), (write_markdown, MARKDOWN)):
        write(run, run.path / name)
        ending.reports.append(f"report {run.path / name}")
