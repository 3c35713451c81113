"""The release check, for `qiltest check` and `pytest --qil-lora FILE --qil-like VARIANT`.

Both generate the candidate and the variant it should replace, over the selected cases and seeds. An image passes if it
was scored; goldens are not used. The run ends with the release verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from qiltest.comparison.records import Comparisons
from qiltest.engine.context import RunContext, open_run, selected_tasks
from qiltest.engine.ending import Ending, finish_run
from qiltest.engine.options import Options, ReleaseRequest
from qiltest.engine.readers import OpenReader
from qiltest.engine.sample import SampleRun
from qiltest.errors import ModelError, QiltestError, RecipeError
from qiltest.generation.records import Generator
from qiltest.generation.sources import ModelSource, resolve_model
from qiltest.release.candidate import CandidateInspection, candidate_variant, try_candidate
from qiltest.runs.images import StoreWriteError
from qiltest.runs.records import Run
from qiltest.runs.status import Status, status_of
from qiltest.suite.load import Suite
from qiltest.suite.selection import UNKNOWN, Sample, refuse_other_base
from qiltest.suite.variants import CANDIDATE
from qiltest.text.escape import one_line

PAGE = "comparison.html"
FAILED, INTERRUPTED = 1, 2


class Progress(Protocol):
    """Shows the progress of a run."""

    def begin(self, total: int) -> None:
        """Set the number of images."""

    def show(self, text: str) -> None:
        """Name the current image."""

    def hide(self, verdict: Status | None = None) -> None:
        """Count the current image."""


def admit(suite: Suite, release: ReleaseRequest, model: str, *, base: str | None = None) -> Suite:
    """Return the suite with the candidate as a variant. Raises DeviceError, RecipeError and CaseError.

    `base` is the base model that the model is; None: recognised.
    """
    source, like = _source(model, base), suite.variant(release.like)
    refuse_other_base(like, source.base or UNKNOWN, suite)
    candidate = candidate_variant(release.lora, like, source)
    return replace(suite, variants=(*suite.variants, candidate))


def try_release(
    suite: Suite, release: ReleaseRequest, model: str, *, base: str | None = None, allow_partial: bool = False
) -> CandidateInspection:
    """Inspect the candidate of an admitted suite. Raises RecipeError if the LoRA to be replaced is missing."""
    candidate, like = suite.variant(CANDIDATE), suite.variant(release.like)
    return try_candidate(candidate, like, _source(model, base), suite.variants, allow_partial=allow_partial)


def _source(model: str, base: str | None) -> ModelSource:
    source = resolve_model(model, base=base)
    if source.is_random:
        raise RecipeError(
            "random weights write no text to compare",
            where="--qil-model=random",
            remedy="choose tiny, a folder or a Hugging Face id",
        )
    return source


def check_release(
    options: Options,
    suite: Suite,
    *,
    generator: Generator,
    open_reader: OpenReader,
    command: Sequence[str],
    progress: Progress,
) -> Ending:
    """Generate, read and score the candidate of an admitted suite and what it replaces, and compare them.

    Raises CaseError for a selection that does not exist, ReaderError and StoreError where no run can be opened, and
    ModelError where the model is not whole or does not fit. Ctrl-C and a store that cannot be written end the run
    early; generated images are stored.
    """
    # by variant, because merging another LoRA reads the model's weights again
    tasks = dict(
        sorted(selected_tasks(suite, options).items(), key=lambda task: options.variants.index(task[0].variant))
    )
    progress.begin(len(tasks))
    context = open_run(
        options=options, suite=suite, tasks=tasks, generator=generator, open_reader=open_reader, command=command
    )
    status, problems, ran_through = 0, [], False
    try:
        for sample in tasks:
            status = max(status, _take(context, sample, progress))
        ran_through = True
    except KeyboardInterrupt:
        status = INTERRUPTED
    except StoreWriteError as error:
        status, problems = INTERRUPTED, [str(error)]
    except ModelError:
        context.stop()
        raise
    finally:
        progress.hide()
    unjudged: dict[Sample, str] | None = {} if ran_through else None
    expected = len(tasks) if ran_through else None
    return finish_run(context, exit_status=status, problems=problems, unjudged=unjudged, expected=expected)


def _take(context: RunContext, sample: Sample, progress: Progress) -> int:
    """Run one sample and return 0, or `FAILED` where it has no score."""
    one = SampleRun(context, sample)
    progress.show(sample.id)
    try:
        one.run()
    except (StoreWriteError, ModelError):
        raise
    except QiltestError:
        pass  # recorded in the run and listed in the comparison
    except Exception as error:  # noqa: BLE001  a crash ends one sample, as under pytest
        context.crashed(sample, error)
    progress.hide(Status.ERROR if one.result.verdict is None else status_of(one.result))
    return 0 if one.passes else FAILED


def write_release_page(found: Comparisons, run: Run, release: ReleaseRequest) -> Path:
    """Write the comparison page into the run's folder and return its path. Raises StoreError."""
    from qiltest.report.comparison.page import write_page

    path = run.path / PAGE
    write_page(found, run, run, path, variant=release.like, with_variant=CANDIDATE, problems=run.problems)
    return path


def verdict_lines(
    found: Comparisons, run: Run, inspection: CandidateInspection | None, *, width: int, colour: bool
) -> Iterator[str]:
    """Yield the release verdict as terminal lines."""
    from qiltest.report.terminal.comparison import print_comparisons
    from qiltest.report.terminal.table import printed

    yield ""
    if inspection is not None:
        yield from (f"note: {one_line(str(inspection.path))}: {note}" for note in inspection.notes)
    yield from printed(lambda console: print_comparisons(console, found), width=width, colour=colour)
