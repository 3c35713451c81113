"""Reports of a run: one offline HTML file, Markdown, JSON, the page of a CI job, and text for a terminal."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qiltest.files import write_atomically
from qiltest.report.choice import MOST_IMAGES
from qiltest.report.ci import job_summary, workflow_commands
from qiltest.report.html.page import render_html
from qiltest.report.json_report import MOST_IN_JSON, render_json, report_json
from qiltest.report.markdown import render_markdown
from qiltest.report.view import RunView, view
from qiltest.runs.records import Run

__all__ = ["job_summary", "report_json", "workflow_commands", "write_html", "write_json", "write_markdown"]


def _write(
    render: Callable[[RunView, Path], str],
    most: int,
    run: Run,
    path: Path,
    *,
    previous: Run | None = None,
    golden_folder: Path | None = None,
) -> None:
    """Write the report of a run to `path`; images are linked relative to it.

    `previous` is the run to compare with, else the goldens; small copies of their images lie in `golden_folder`. Raises
    OSError (then `path` is what it was), and StoreError where the run's speeds cannot be read.
    """
    page = view(run, previous, most=most, golden_folder=golden_folder)
    write_atomically(path, render(page, path.parent).encode("utf-8"))


write_html, write_markdown = (partial(_write, form, MOST_IMAGES) for form in (render_html, render_markdown))
write_json = partial(_write, render_json, MOST_IN_JSON)
