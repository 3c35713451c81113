"""What a session leaves on the page of a CI job: a job summary in Markdown, and annotations (workflow commands)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qiltest.report.image_view import ImageView
from qiltest.report.markdown import render_head, render_published, spans
from qiltest.report.view import RunView, view
from qiltest.runs.records import Run
from qiltest.runs.status import Status
from qiltest.text.escape import command_data, command_property
from qiltest.text.escape import markdown as md
from qiltest.text.format import count

#: GitHub refuses a step summary above 1 MiB, whole; some room is left for what others add.
MAX_SUMMARY_BYTES = (1 << 20) - (16 << 10)
#: GitHub shows ten annotations of a kind a step; what comes after is lost in silence.
MAX_ANNOTATIONS = 10
#: rows of what changed; the table of what does not pass follows and has them all.
MAX_CHANGES = 20
_LEVELS = {Status.FAIL: "error", Status.ERROR: "error", Status.MISSING: "error", Status.INCOMPARABLE: "error"}


def ci_lines(run: Run) -> Iterator[str]:
    """Yield what GitHub Actions takes from the output, and append the job summary to its file; elsewhere nothing.

    What comes from images and models is escaped, so that a text cannot act as a command.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        yield from workflow_commands(run)
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(job_summary(run))
        except OSError as error:
            yield f"qiltest: the job summary {path} could not be written: {error.strerror or error}"


def job_summary(run: Run, *, previous: Run | None = None) -> str:
    """Return the job summary: verdict, what changed, then the images that do not pass, worst first.

    Less than 1 MiB of UTF-8; what does not fit is counted in the last line.
    """
    page = view(run, previous)
    out: list[str] = []
    size = 0
    left = len(_wanting(page))
    for line, is_row in _lines(page):
        size += len(line.encode("utf-8")) + 1
        if size > MAX_SUMMARY_BYTES:
            out.append(f"\nand {count(left, 'more image')} that did not fit here; see the report.")
            break
        left -= is_row
        out.append(line)
    return "\n".join(out) + "\n"


def workflow_commands(run: Run, *, previous: Run | None = None) -> tuple[str, ...]:
    """Return at most ten workflow commands, worst first; the last says how many more there are."""
    page = view(run, previous)
    cells = [cell for cell in page.worst_first if cell.status in _LEVELS]
    shown = cells if len(cells) <= MAX_ANNOTATIONS else cells[: MAX_ANNOTATIONS - 1]
    commands = [_command(cell, page) for cell in shown]
    rest = len(cells) - len(shown)
    if rest:
        commands.append(f"::error title=qiltest::and {count(rest, 'more image')}; see the report")
    return tuple(commands)


def _wanting(page: RunView) -> list[ImageView]:
    return [cell for cell in page.worst_first if cell.status is not Status.PASS]


def _lines(page: RunView) -> Iterator[tuple[str, bool]]:
    """Yield lines, and whether each is the row of an image."""
    for line in render_head(page, most=MAX_CHANGES).splitlines():
        yield line, False
    wanting = _wanting(page)
    if wanting:
        for line in ("", "## Worst first", "", "| verdict | image | edits | limit | expected | read |"):
            yield line, False
        yield "|---|---|---|---|---|---|", False
    for cell in wanting:
        yield _row(cell), True
    for line in render_published(page).splitlines():
        yield line, False


def _row(cell: ImageView) -> str:
    judgement = cell.result.judgement
    limit = "–" if judgement is None or judgement.limit is None else str(judgement.limit)
    edits = "–" if cell.score is None else str(cell.score.distance)
    text = next(iter(cell.wrong), None)
    expected, read = ("", md(cell.why)) if text is None else (spans(text.expected), spans(text.read) or "*nothing*")
    more = len(cell.wrong) - 1
    read += f"<br>and {count(more, 'more text')}" if more > 0 else ""
    return f"| {cell.status.value} | {md(cell.result.id)} | {edits} | {limit} | {expected} | {read} |"


def _command(cell: ImageView, page: RunView) -> str:
    path = next((case.case.path for case in page.cases if case.case.id == cell.result.sample.case), "")
    properties = [f"file={command_property(_beside(path))}"] if path else []
    properties.append(f"title={command_property(f'qiltest {cell.status.value}: {cell.result.id}')}")
    message = ". ".join(dict.fromkeys(filter(None, (*cell.reasons[:1], cell.why))))
    return f"::{_LEVELS[cell.status]} {','.join(properties)}::{command_data(message[:500])}"


def _beside(path: str) -> str:
    """Return a path as CI wants it: relative to where the command runs, where it lies there."""
    here = Path.cwd()
    return Path(path).relative_to(here).as_posix() if Path(path).is_relative_to(here) else path
