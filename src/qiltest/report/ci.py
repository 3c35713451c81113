"""What a session leaves for a CI's page: annotations on standard output, and the job summary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qiltest.report import job_summary, workflow_commands
from qiltest.runs.records import Run


def ci_lines(run: Run) -> Iterator[str]:
    """Yield what GitHub Actions takes from the output, and append the job summary to its file; elsewhere nothing.

    The report's functions escape what comes from pictures and models, so that a text cannot act as a command.
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
