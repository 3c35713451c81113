"""The page of a CI job on GitHub: a job summary in Markdown, and annotations (workflow commands)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from qiltest.report.headline import NOTHING
from qiltest.report.image_view import ImageView
from qiltest.report.markdown import render_head, render_published, spans
from qiltest.report.view import RunView, view
from qiltest.runs.records import CaseResult, Run
from qiltest.runs.status import Status, status_of
from qiltest.text.escape import command_data, command_property, printable_line
from qiltest.text.escape import markdown as md
from qiltest.text.format import count

#: GitHub refuses a step summary above 1 MiB as a whole; the rest is left for other steps' lines.
MAX_SUMMARY_BYTES = (1 << 20) - (16 << 10)
#: GitHub shows at most ten annotations of a kind per step, and drops the others silently.
MAX_ANNOTATIONS = 10
#: rows of what changed; the table of images that do not pass follows and has them all.
MAX_CHANGES = 20
#: characters of an annotation's message.
_SHOWN = 500
#: rows of failing images that may fit.
_MOST = 10_000
_TABLE = """
## Worst first

| verdict | image | edits | limit | expected | read |
|---|---|---|---|---|---|"""


def ci_lines(run: Run) -> Iterator[str]:
    """Append the job summary to its file and yield the workflow commands; neither outside GitHub Actions.

    Texts from images and models are escaped, so that none can act as a command.
    """
    if _on_github():
        yield from workflow_commands(run)
    yield from _add_to_summary(lambda: job_summary(run))


def refusal_lines(why: str) -> Iterator[str]:
    """Do the same for a session that was refused and has no run."""
    if _on_github():
        yield _problem_command(why)
    yield from _add_to_summary(lambda: f"# {Status.ERROR.value}: {NOTHING}\n\n> {md(why)}\n")


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _add_to_summary(text: Callable[[], str]) -> Iterator[str]:
    """Append to the job summary, if there is one, and yield why that is not possible."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(text())
        except OSError as error:
            yield printable_line(f"qiltest: the job summary {path} could not be written: {error.strerror or error}")


def job_summary(run: Run, *, previous: Run | None = None) -> str:
    """Return the job summary: verdict, what changed, then the images that do not pass, worst first.

    It is less than 1 MiB of UTF-8; the last line counts the images that do not fit.
    """
    page = view(run, previous, most=_MOST)
    out: list[str] = []
    size = 0
    left = sum(status is not Status.PASS for status in map(status_of, run.results))
    for line, is_row in _lines(page):
        size += len(line.encode("utf-8")) + 1
        if size > MAX_SUMMARY_BYTES:
            out.append(f"\nand {count(left, 'more image')} that did not fit; see the report.")
            break
        left -= is_row
        out.append(line)
    return "\n".join(out) + "\n"


def workflow_commands(run: Run, *, previous: Run | None = None) -> tuple[str, ...]:
    """Return at most ten workflow commands: the run's problems, then images, worst first; the last counts the rest."""
    page = view(run, previous, most=_MOST)
    commands = [_problem_command(problem) for problem in run.problems]
    commands += [_command(cell, page) for cell in page.worst_first if _annotated(cell.result)]
    if len(commands) > MAX_ANNOTATIONS:
        rest = len(run.problems) + sum(map(_annotated, run.results)) - MAX_ANNOTATIONS + 1
        what = "more image" if len(run.problems) < MAX_ANNOTATIONS else "more problem"
        commands[MAX_ANNOTATIONS - 1 :] = [f"::error title=qiltest::and {count(rest, what)}; see the report"]
    return tuple(commands)


def _annotated(result: CaseResult) -> bool:
    """Return whether an image does not pass; one that became a golden in this run was looked at."""
    return status_of(result) not in {Status.PASS, Status.WAITING} and not result.golden_recorded


def _problem_command(problem: str) -> str:
    return f"::error title=qiltest::{command_data(problem[:_SHOWN])}"


def _failing(page: RunView) -> list[ImageView]:
    return [cell for cell in page.worst_first if cell.status is not Status.PASS]


def _lines(page: RunView) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it is the row of an image."""
    yield from ((line, False) for line in render_head(page, most=MAX_CHANGES).splitlines())
    failing = _failing(page)
    if failing:
        yield from ((line, False) for line in _TABLE.splitlines())
    yield from ((_row(cell), True) for cell in failing)
    yield from ((line, False) for line in render_published(page).splitlines())


def _row(cell: ImageView) -> str:
    judgement = cell.result.judgement
    limit = "–" if judgement is None or judgement.limit is None else str(judgement.limit)
    edits = "–" if cell.score is None else str(cell.score.distance)
    new = [text for text in cell.wrong if not text.since.accepted]
    expected, read = ("", md(cell.why))
    if new:
        expected, read = spans(new[0].sides.expected), spans(new[0].sides.read) or "*nothing*"
        read += f"<br>and {count(len(new) - 1, 'more text')}" if len(new) > 1 else ""
        accepted = len(cell.wrong) - len(new)
        read += f"<br>{count(accepted, 'error')} as in the golden" if accepted else ""
    return f"| {cell.status.value} | {md(cell.result.id)} | {edits} | {limit} | {expected} | {read} |"


def _command(cell: ImageView, page: RunView) -> str:
    path = next((case.case.path for case in page.cases if case.case.id == cell.result.sample.case), "")
    properties = [f"file={command_property(_relative(path))}"] if path else []
    properties.append(f"title={command_property(f'qiltest {cell.status.value}: {cell.result.id}')}")
    message = ". ".join(dict.fromkeys(filter(None, (cell.why, *cell.reasons[:1]))))
    return f"::error {','.join(properties)}::{command_data(message[:_SHOWN])}"


def _relative(path: str) -> str:
    """Return a path relative to the working folder, as GitHub wants it, if it is inside."""
    here = Path.cwd()
    return Path(path).relative_to(here).as_posix() if Path(path).is_relative_to(here) else path
