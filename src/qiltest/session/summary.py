"""The end of a session on the terminal: the table, what is wrong, and where everything is."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from rich.console import Console

from qiltest.engine.ending import write_reports
from qiltest.errors import QiltestError
from qiltest.report.ci import ci_lines
from qiltest.report.terminal.table import terminal_table
from qiltest.runs.records import Run
from qiltest.session.session import SuiteSession


def summary_lines(session: SuiteSession, *, width: int, colour: bool) -> Iterator[str]:
    """Yield the lines; none for a session that generated nothing and has nothing to say."""
    run = session.run
    if run is not None:
        yield ""
        yield from _table(run, width=width, colour=colour)
        yield from _told(run)
    yield from (f"qiltest: {line}" for line in session.said)
    yield from (f"qiltest: recorded {path}" for path in session.recorded)
    yield from (f"qiltest: {line}" for problem in session.problems for line in problem.splitlines())
    if run is not None:
        speeds = tuple(_speeds(run, session.matrix_rate))  # before the reports, which show them
        yield f"qiltest: run {run.path}"
        yield from (f"qiltest: {line}" for line in write_reports(run))
        yield from speeds
        yield from ci_lines(run)
        yield from _release(session, run, width=width, colour=colour)
    if session.interrupted:
        yield "qiltest: this run is not complete; the same command goes on from here"


def _table(run: Run, *, width: int, colour: bool) -> Iterator[str]:
    console = Console(file=StringIO(), width=width, force_terminal=colour, no_color=not colour, highlight=False)
    with console.capture() as captured:
        console.print(terminal_table(run))
    yield from captured.get().rstrip("\n").split("\n")


def _told(run: Run) -> Iterator[str]:
    reused: dict[str, int] = {}
    for result in run.results:
        if result.reused_from:
            reused[result.reused_from] = reused.get(result.reused_from, 0) + 1
    for source, count in reused.items():
        yield f"qiltest: {count} images were taken, with their latency, from run {source} (--qil-fresh generates again)"
    known = sum(1 for result in run.results if result.read_in)
    if known:
        yield f"qiltest: {known} of them were not read again: this reader, of these weights, read them before"
    goldens = sum(1 for result in run.results if result.golden_recorded)
    if goldens:
        yield f"qiltest: {goldens} goldens were written; look at them (`git diff`) before you commit them"


def _release(session: SuiteSession, run: Run, *, width: int, colour: bool) -> Iterator[str]:
    found, release = session.comparisons, session.options.release
    if found is None or release is None:
        return
    from qiltest.release.check import verdict_lines, write_release_page

    try:
        yield f"qiltest: comparison {write_release_page(found, run, release)}"
    except (QiltestError, OSError) as error:
        yield f"qiltest: the page of the comparison could not be written: {error}"
    yield from verdict_lines(found, run, session.inspection, width=width, colour=colour)


def _speeds(run: Run, matrix_rate: float | None) -> Iterator[str]:
    """Keep the speeds of random weights as JSON, from where the Markdown report takes them; yield their table."""
    if matrix_rate is None:
        return
    from qiltest.lora import qwen_image
    from qiltest.report.speeds import speed_lines, speeds_of, write_speeds

    speeds = speeds_of(run, qwen_image(), matrix_rate)
    yield from ("", *speed_lines(speeds))
    try:
        yield f"qiltest: speeds {write_speeds(speeds, run.path)}"
    except OSError as error:
        yield f"qiltest: the speeds could not be written: {error}"
