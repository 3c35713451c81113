"""A LoRA file on trial: what is in it, held against the release that it is to replace, before anything is generated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from qiltest.errors import CaseError, RecipeError
from qiltest.generation.sources import ModelSource, base_of, resolve_lora
from qiltest.hashing import file_sha256
from qiltest.lora.bases import Base
from qiltest.lora.inspection import inspect_lora
from qiltest.lora.likeness import Likeness, compare
from qiltest.lora.report import LoraReport
from qiltest.suite.variants import CANDIDATE, LoraSource, Variant
from qiltest.text.escape import one_line


@dataclass(frozen=True, kw_only=True)
class CandidateInspection:
    """What was found out about a candidate without generating."""

    path: Path
    sha256: str
    #: None where the file is no whole safetensors file.
    report: LoraReport | None
    #: the file beside the LoRA that it replaces; None where that one is not here, or there is none.
    likeness: Likeness | None
    #: why it is not generated, each in words; empty where it may be.
    refusals: tuple[str, ...]
    #: what is unusual, each in words.
    notes: tuple[str, ...]


def candidate_variant(file: str, like: Variant, model: ModelSource) -> Variant:
    """Return the variant of `file`, in all else as `like`. Raises RecipeError where there is no such file.

    Its hash stands in the variant, so that a file that changes while it is generated is an error.
    """
    path = resolve_lora(file, model=model)
    lora = LoraSource(source=str(path), sha256=file_sha256(path))
    others = tuple((kind, source) for kind, source in like.loras if kind != model.kind.value)
    return replace(
        like,
        name=CANDIDATE,
        title=f"{path.name} as {like.name}",
        loras=(*others, (model.kind.value, lora)),
        default=False,
        note=f"on trial: replaces {like.name}",
    )


def try_candidate(
    candidate: Variant, like: Variant, model: ModelSource, variants: Iterable[Variant]
) -> CandidateInspection:
    """Inspect the candidate's file and hold it against that of `like`; nothing is loaded or generated.

    A file that is broken, does not fit the model, has no effect, belongs to another variant, or is not of the kind of
    what it replaces (modules left out, twice or half as strong) has refusals.
    """
    lora = candidate.lora(model.kind)
    assert lora is not None
    assert lora.sha256 is not None
    path, base = Path(lora.source), base_of(model)
    known = tuple(pinned(variant, model) for variant in variants)
    try:
        report = inspect_lora(path, base=base, variants=known)
    except RecipeError as error:
        return CandidateInspection(
            path=path, sha256=lora.sha256, report=None, likeness=None, refusals=(error.what,), notes=()
        )
    likeness = _likeness(report, like, base, model) if report.passes else None
    refusals = [*report.errors, *wrong_variant(report, like, known)]
    notes = list(report.warnings)
    if likeness is not None:
        refusals += likeness.errors
        notes += likeness.warnings
        notes += [f"the file is the one that {like.name} uses now"] if likeness.sha256 == report.sha256 else []
    return CandidateInspection(
        path=path,
        sha256=lora.sha256,
        report=report,
        likeness=likeness,
        refusals=tuple(refusals),
        notes=tuple(notes),
    )


def refusal_lines(inspection: CandidateInspection, like: str) -> Iterator[str]:
    """Yield what a release engineer is told of a file that is not generated."""
    yield f"DO NOT SHIP: {one_line(str(inspection.path))} cannot replace {like}; nothing was generated"
    yield from (f"  ERROR  {refusal}" for refusal in inspection.refusals)
    yield f"  -> `qiltest lora {one_line(str(inspection.path))} --like {like}` shows all that is in the file"


def pinned(variant: Variant, model: ModelSource) -> Variant:
    """Return a variant with the hashes of those of its LoRA files that are part of the embedded model."""
    return replace(variant, loras=tuple((kind, _pin(lora, model)) for kind, lora in variant.loras))


def _pin(lora: LoraSource, model: ModelSource) -> LoraSource:
    if lora.sha256 is not None or not lora.source.startswith("embedded::") or not model.is_tiny:
        return lora
    try:
        return replace(lora, sha256=file_sha256(resolve_lora(lora.source, model=model)))
    except RecipeError:
        return lora


def wrong_variant(report: LoraReport, like: Variant, variants: Iterable[Variant]) -> Iterator[str]:
    """Yield why a file that is another variant's own is not tried as this one (8 steps distilled, 4 generated)."""
    for variant in variants if like.name not in report.variants else ():
        if variant.name in report.variants and (variant.steps, variant.scheduler) != (like.steps, like.scheduler):
            yield (
                f"this is the file of variant {variant.name}, which generates in {variant.steps} steps; "
                f"{like.name} generates in {like.steps}"
            )


def _likeness(report: LoraReport, like: Variant, base: Base, model: ModelSource) -> Likeness | None:
    lora = like.lora(model.kind)
    if lora is None or (model.is_random and "::" in lora.source):
        return None
    reference = resolve_lora(lora.source, model=model)
    return compare(report.path, reference, base, reference_sha256=file_sha256(reference))


def refuse_name(variants: Iterable[Variant]) -> None:
    """Raise CaseError where a variant of the suite has the candidate's name."""
    if any(variant.name == CANDIDATE for variant in variants):
        raise CaseError(
            f"a variant is called {CANDIDATE!r}, which is the name of a LoRA file on trial",
            where="variants.toml",
            remedy="call it otherwise",
        )
