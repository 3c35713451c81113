"""`--qil-lora FILE --qil-like VARIANT`: a session that asks whether a LoRA file may replace a release.

Both are drawn over the selected cases and seeds. A test of such a session holds where its picture was drawn, read and
scored, because neither is held against a golden but each with the other; the session ends with the paired verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

from rich.console import Console

from qiltest.comparison.records import Comparisons
from qiltest.engine.options import Release
from qiltest.errors import RecipeError
from qiltest.generation.sources import ModelSource, resolve_model
from qiltest.release.candidate import Trial, candidate_variant, refuse_name, try_candidate
from qiltest.runs.records import Run
from qiltest.suite.load import Suite
from qiltest.suite.variants import CANDIDATE
from qiltest.text.escape import one_line

PAGE = "comparison.html"


def admit(suite: Suite, release: Release, model: str) -> Suite:
    """Return the suite with the candidate as a variant. Raises DeviceError, RecipeError and CaseError."""
    refuse_name(suite.variants)
    candidate = candidate_variant(release.lora, suite.variant(release.like), _source(model))
    return replace(suite, variants=(*suite.variants, candidate))


def try_release(suite: Suite, release: Release, model: str) -> Trial:
    """Inspect the candidate of an admitted suite. Raises RecipeError where the LoRA that it replaces is not here."""
    return try_candidate(suite.variant(CANDIDATE), suite.variant(release.like), _source(model), suite.variants)


def _source(model: str) -> ModelSource:
    source = resolve_model(model)
    if source.is_random:
        raise RecipeError(
            "random weights write no text, so nothing could be compared",
            where="--qil-model=random",
            remedy="choose tiny, a folder or a Hugging Face id",
        )
    return source


def conclude(run: Run, release: Release) -> Comparisons:
    """Compare the candidate with what it replaces. Raises StoreError where one of them was not drawn at all."""
    from qiltest.comparison.compare import compare_runs  # scipy, which no other session needs

    return compare_runs(run, run, variant=release.like, with_variant=CANDIDATE, margin=release.margin)


def write_release_page(found: Comparisons, run: Run, release: Release) -> Path:
    """Write the page with the pictures that decided into the run's folder and return its path. Raises OSError."""
    from qiltest.report.comparison.page import write_page

    path = run.path / PAGE
    write_page(found, run, run, path, variant=release.like, with_variant=CANDIDATE, problems=run.problems)
    return path


def verdict_lines(found: Comparisons, run: Run, trial: Trial | None, *, width: int, colour: bool) -> Iterator[str]:
    """Yield the comparison as it stands at the end of a session."""
    from qiltest.report.terminal.comparison import print_comparisons

    yield ""
    if trial is not None:
        yield from (f"note: {one_line(str(trial.path))}: {note}" for note in trial.notes)
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        no_color=not colour,
        markup=False,
        highlight=False,
        emoji=False,
    )
    with console.capture() as captured:
        print_comparisons(console, found)
    yield from captured.get().rstrip("\n").split("\n")
