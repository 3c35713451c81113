"""What `qiltest check` prints: inspection, run, what to do next, and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qiltest.arguments import MAX_SEED_COUNT
from qiltest.comparison.records import Comparisons, Release
from qiltest.runs.made_on import made_on_lines
from qiltest.runs.records import Run
from qiltest.text.format import at_strength, count

if TYPE_CHECKING:
    from qiltest.release.candidate import CandidateInspection
    from qiltest.report.comparison.wording import About


def inspection_lines(inspection: CandidateInspection, like: str, *, alone: bool = True) -> Iterator[str]:
    """Yield what is in a file, what is unusual, and the verdict where nothing needs to be generated.

    Not `alone`: other files are generated all the same.
    """
    from qiltest.lora.likeness import strength_words
    from qiltest.release.candidate import refusal_lines, same_line

    if inspection.report is not None:
        report = inspection.report
        ranks, scales = (", ".join(f"{value:g}" for value in values) for values in (report.ranks, report.scales))
        strength = "" if inspection.strength == 1 else f", at strength {inspection.strength:g}"
        yield f"lora   {inspection.path}, SHA-256 {inspection.sha256 or 'not computed'}{strength}"
        modules = f"{len(report.modules)} modules of {report.base}"
        yield f"       rank {ranks or '-'}, alpha / rank {scales or '-'}, {modules}"
    if inspection.likeness is not None and math.isfinite(inspection.likeness.strength):
        likeness = inspection.likeness
        yield f"       {strength_words(likeness.strength, like)}, cosine {likeness.cosine:.3f}"
    yield from (f"note   {note}" for note in inspection.notes)
    if inspection.refusals:
        yield from refusal_lines(inspection, like, alone=alone)
    elif inspection.same:
        yield same_line(inspection, like, alone=alone)


def run_lines(run: Run, page: Path) -> Iterator[str]:
    """Yield where run and page are, and what is unusual of the run."""
    generated, reused = _counts(run)
    yield f"run    {run.path}: {count(generated, 'image')} generated, {reused} reused"
    yield f"page   {page.resolve()}"
    yield from (f"       {line}" for line in made_on_lines(run))
    yield from (f"note   {note}" for note in run.notes)
    yield ""


def next_lines(found: Comparisons, margin: float) -> Iterator[str]:
    """Yield what to do where the data do not decide."""
    if found.verdict is not Release.CANNOT_TELL:
        return
    needed = [comparison.plan.seeds for comparison in found.comparisons if comparison.plan is not None]
    seeds = max((amount for amount in needed if amount is not None), default=None)
    if seeds is None or None in needed:
        yield f"  -> more seeds would probably not be enough for --margin {margin:g}; try a larger margin"
    elif seeds > MAX_SEED_COUNT:
        yield f"  -> about {seeds} seeds needed, at most {MAX_SEED_COUNT} are possible; a larger --margin needs fewer"
    else:
        yield f"  -> repeat the command with --seeds {seeds}; only the additional seeds are generated"


def decided_record(inspections: Mapping[str, CandidateInspection], like: str) -> dict[str, object]:
    """Return the record of a verdict for which nothing was generated."""
    same = any(inspection.same for inspection in inspections.values())
    loras = [_lora(inspection, like) for inspection in inspections.values()]
    return {
        "verdict": Release.SHIP if same else Release.DO_NOT_SHIP,
        "passes": same,
        "lora": loras[0],
        "loras": loras,
        "run": None,
        "page": None,
        "comparisons": [],
    }


def checked_record(
    inspections: Mapping[str, CandidateInspection],
    found: Comparisons,
    run: Run,
    problems: tuple[str, ...],
    page: Path,
    about: About,
) -> dict[str, object]:
    """Return the record of a verdict on images."""
    from qiltest.report.comparison.wording import verdict_words
    from qiltest.report.terminal.comparison import comparison_record

    plans = [comparison.plan for comparison in found.comparisons if comparison.plan is not None]
    generated, reused = _counts(run)
    loras = {name: _lora(inspection, about.like) for name, inspection in inspections.items()}
    return {
        **comparison_record(found, run, run, problems),
        "lora": next(iter(loras.values())),
        "loras": list(loras.values()),
        "ranking": [
            *_decided(inspections, Release.SHIP),
            *(
                {"candidate": about.tried[name].label, "sha256": about.tried[name].sha256, "verdict": verdict}
                for name, verdict in found.ranking
            ),
            *_decided(inspections, Release.DO_NOT_SHIP),
        ],
        "speaks_of": verdict_words(found, about),
        "cases": {"generated": about.cases, "of": about.of},
        "run": run.id,
        "page": str(page),
        "seeds": len({sample.seed for sample in run.planned}),
        "seeds_that_would_decide": plans[0].seeds if plans else None,
        "generated": generated,
        "from_store": reused,
    }


def _decided(inspections: Mapping[str, CandidateInspection], verdict: Release) -> Iterator[dict[str, object]]:
    """Yield the candidates of a verdict that inspection decided: the file in use already, and what it refuses."""
    for inspection in inspections.values():
        if inspection.refusals if verdict is Release.DO_NOT_SHIP else inspection.same:
            label = at_strength(inspection.path.name, inspection.strength)
            yield {"candidate": label, "sha256": inspection.sha256, "verdict": verdict}


def _counts(run: Run) -> tuple[int, int]:
    """Return how many images were generated and how many reused."""
    reused = sum(1 for result in run.results if result.reused_from)
    return sum(1 for result in run.results if result.image is not None) - reused, reused


def _lora(inspection: CandidateInspection, like: str) -> dict[str, object]:
    return {
        "path": str(inspection.path),
        "sha256": inspection.sha256,
        "strength": inspection.strength,
        "like": like,
        "same": inspection.same,
        "refusals": inspection.refusals,
        "notes": inspection.notes,
        "inspection": None if inspection.report is None else inspection.report.as_dict(),
        "likeness": None if inspection.likeness is None else inspection.likeness.as_dict(),
    }
