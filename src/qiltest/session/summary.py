"""The end of a session on the terminal: table, problems, reports and the release verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from qiltest.report.ci import ci_lines, refusal_lines
from qiltest.report.published import published_lines
from qiltest.report.since_when import terminal_lines
from qiltest.report.strokes import stroke_lines
from qiltest.report.terminal.table import not_checked_line, print_run, printed
from qiltest.runs.made_on import made_on_lines
from qiltest.runs.records import Run, RunState
from qiltest.runs.store import Reuse
from qiltest.session.session import SuiteSession
from qiltest.text.format import count

#: images whose past the summary tells.
_MOST = 10


def summary_lines(session: SuiteSession, *, width: int, colour: bool) -> Iterator[str]:
    """Yield the lines."""
    ending, context = session.ending, session.context
    run = ending.run
    if run is not None and context is not None:
        yield ""
        yield from printed(lambda console: print_run(console, run), width=width, colour=colour)
        known = (
            *not_checked_line(run),
            *stroke_lines(run),
            *terminal_lines(run, most=_MOST),
            *published_lines(run),
            *_reused(run),
        )
        yield from (f"qiltest: {line}" for line in (*known, *made_on_lines(run)))
        yield from (f"qiltest: note: {line}" for note in run.notes for line in note.splitlines())
    yield from (f"qiltest: {line}" for line in ending.notices)
    yield from (f"qiltest: wrote {path}" for path in ending.recorded)
    told = session.refusals.told  # by pytest itself
    problems = [problem for problem in ending.problems if problem not in told]
    yield from (f"qiltest: {line}" for problem in problems for line in problem.splitlines())
    if run is None:
        yield from job_lines(session)
        return
    yield f"qiltest: run {run.path}"
    yield from (f"qiltest: {line}" for line in ending.reports)
    yield from ("", *ending.speeds) if ending.speeds else ()
    yield from job_lines(session)
    yield from _release(session, run, width=width, colour=colour)
    if run.state is not RunState.FINISHED:
        how = " without --qil-fresh" if session.options.reuse is Reuse.NEVER else ""
        if session.options.server is not None:
            how = " with --qil-reuse, if the server is still the same,"
        yield f"qiltest: run interrupted: repeat the command{how} to resume"


def job_lines(session: SuiteSession) -> Iterator[str]:
    """Write the job's page, and yield the lines of its log, where the session runs in a job."""
    session.untold = False
    ending = session.ending
    if ending.run is not None:
        yield from ci_lines(ending.run)
    else:
        yield from refusal_lines("\n".join([*session.refusals.told, *ending.problems]))


def _reused(run: Run) -> Iterator[str]:
    """Yield what was reused, and how many goldens were written."""
    for source, number in Counter(result.reused_from for result in run.results if result.reused_from).items():
        yield f"reused {count(number, 'image')} with latency from run {source} (--qil-fresh generates again)"
    known = sum(bool(result.read_in) for result in run.results)
    if known:
        yield f"reused {count(known, 'OCR result')} (same reader and weights)"
    goldens = sum(result.golden_recorded for result in run.results)
    if goldens:
        yield f"wrote {count(goldens, 'golden')}; check with `git diff` before you commit"


def _release(session: SuiteSession, run: Run, *, width: int, colour: bool) -> Iterator[str]:
    found, inspection = session.ending.comparisons, session.inspection
    if found is None or inspection is None:
        return
    from qiltest.release.check import verdict_lines

    yield from verdict_lines(found, (inspection,), session.about(run), width=width, colour=colour)
