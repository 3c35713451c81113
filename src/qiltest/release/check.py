"""The release check, for `qiltest check` and `pytest --qil-lora FILE --qil-like VARIANT`.

Both generate the candidate and the variant it should replace, over the selected cases and seeds. An image passes if it
was scored; goldens are not used. The run ends with the release verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qiltest.comparison.records import Comparisons
from qiltest.engine.context import open_run, selected_tasks
from qiltest.engine.ending import Ending
from qiltest.engine.loop import Progress, run_all
from qiltest.engine.options import Options, ReleaseRequest
from qiltest.engine.readers import OpenReader
from qiltest.errors import RecipeError
from qiltest.generation.records import Generator
from qiltest.generation.sources import ModelSource, resolve_model
from qiltest.recipe import Size
from qiltest.release.candidate import CandidateInspection, candidate_variant, try_candidate
from qiltest.report.comparison.wording import About, Tried
from qiltest.runs.records import Run
from qiltest.suite.cases import Case, Resolution
from qiltest.suite.load import Suite
from qiltest.suite.selection import UNKNOWN, refuse_other_base
from qiltest.suite.variants import is_candidate
from qiltest.text.escape import one_line

PAGE = "comparison.html"


def admit(suite: Suite, release: ReleaseRequest, model: str, *, base: str | None = None) -> Suite:
    """Return the suite with the candidates as variants. Raises DeviceError, RecipeError and CaseError.

    `base` is the base model that the model is; None: recognised.
    """
    source, like = _source(model, base), suite.variant(release.like)
    refuse_other_base(like, source.base or UNKNOWN, suite)
    candidates = (
        candidate_variant(trial.lora, like, source, strength=trial.strength, name=trial.name)
        for trial in release.trials
    )
    return replace(suite, variants=(*suite.variants, *candidates))


def try_release(
    suite: Suite, release: ReleaseRequest, model: str, *, base: str | None = None, allow_partial: bool = False
) -> dict[str, CandidateInspection]:
    """Inspect the candidates of an admitted suite and return what was found, by their variants' names.

    Raises RecipeError if the LoRA to be replaced is missing.
    """
    like, source = suite.variant(release.like), _source(model, base)
    known = [variant for variant in suite.variants if not is_candidate(variant.name)]
    return {
        trial.name: try_candidate(candidate, like, source, (*known, candidate), allow_partial=allow_partial)
        for trial in release.trials
        for candidate in (suite.variant(trial.name),)
    }


def resized(suite: Suite, sizes: Sequence[Size]) -> Suite:
    """Return the suite with each case at these sizes alone: one of the case's own as it is, any other as it is named.

    A size that is not a case's own is asked of the embedded model too, which takes 64 to 512 pixels.
    """
    cases, edits = (
        tuple(replace(case, resolutions=_resolutions(case, sizes)) for case in some)
        for some in (suite.cases, suite.edits)
    )
    return replace(suite, cases=cases, edits=edits)


def _resolutions(case: Case, sizes: Sequence[Size]) -> tuple[Resolution, ...]:
    own = {resolution.size: resolution for resolution in case.resolutions}
    return tuple(own.get(size) or Resolution(size=size, tiny=size) for size in dict.fromkeys(sizes))


def _source(model: str, base: str | None) -> ModelSource:
    source = resolve_model(model, base=base)
    if source.is_random:
        raise RecipeError(
            "random weights write no text to compare",
            where=f"--qil-model={model}",
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
    return run_all(context, progress)


def about_release(
    release: ReleaseRequest, inspections: Mapping[str, CandidateInspection], run: Run, suite: Suite
) -> About:
    """Return what a verdict speaks of: how many of the suite's cases of the same tasks, and what of each."""
    tasks = {case.task for case in run.cases}
    found = ((trial, inspections[trial.name]) for trial in release.trials)
    return About(
        like=release.like,
        model=run.model,
        tried={trial.name: Tried(label=trial.label, sha256=one.sha256, notes=one.notes) for trial, one in found},
        cases=tuple(dict.fromkeys(sample.case for sample in run.planned)),
        of=sum(case.task in tasks for case in suite.every),
        sizes=tuple(dict.fromkeys(str(sample.size) for sample in run.planned)),
        seeds=tuple(dict.fromkeys(sample.seed for sample in run.planned)),
        images=sum(sample.variant == release.like for sample in run.planned),
    )


def write_release_page(found: Comparisons, run: Run, release: ReleaseRequest, about: About) -> Path:
    """Write the comparison page into the run's folder and return its path. Raises StoreError."""
    from qiltest.report.comparison.page import write_page

    path = run.path / PAGE
    write_page(found, run, run, path, variant=release.like, problems=run.problems, about=about)
    return path


def verdict_lines(
    found: Comparisons, inspections: Iterable[CandidateInspection], about: About, *, width: int, colour: bool
) -> Iterator[str]:
    """Yield the release verdict as terminal lines."""
    from qiltest.report.terminal.comparison import print_comparisons
    from qiltest.report.terminal.table import printed

    yield ""
    for inspection in inspections:
        yield from (f"note: {one_line(str(inspection.path))}: {note}" for note in inspection.notes)
    yield from printed(lambda console: print_comparisons(console, found, about=about), width=width, colour=colour)
