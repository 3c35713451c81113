"""Inspect a candidate LoRA file, and compare it with the one it should replace, before anything is generated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from qiltest.errors import RecipeError
from qiltest.generation.lora_faults import inspect_command
from qiltest.generation.sources import ModelSource, base_of, base_option, resolve_lora
from qiltest.lora.bases import Base
from qiltest.lora.findings import LEFT_OUT
from qiltest.lora.inspection import header_refuses, inspect_lora
from qiltest.lora.likeness import IDENTICAL, Likeness, compare
from qiltest.lora.releases import release_findings
from qiltest.lora.report import LoraFinding, LoraReport, Severity
from qiltest.lora.safetensors_file import BrokenFileError, lora_sha256
from qiltest.suite.variants import CANDIDATE, LoraSource, Variant
from qiltest.text.escape import one_line
from qiltest.text.format import at_strength


@dataclass(frozen=True, kw_only=True)
class CandidateInspection:
    """The inspection of a candidate."""

    path: Path
    #: shows the whole inspection.
    command: str
    #: None where the header alone refuses the file: it is not hashed.
    sha256: str | None
    #: None where the file is not a valid safetensors file.
    report: LoraReport | None = None
    #: the comparison with the LoRA it replaces; None where that one does not exist.
    likeness: Likeness | None = None
    #: why it is not generated, a sentence each.
    refusals: tuple[str, ...] = ()
    #: what is unusual, a sentence each.
    notes: tuple[str, ...] = ()
    #: refused for blocks that it leaves out, which an option allows.
    partial: bool = False
    #: factor on its delta, of a strength sweep.
    strength: float = 1.0

    @property
    def same(self) -> bool:
        """True where the file adds exactly what the replaced one adds: there is nothing to generate."""
        likeness = self.likeness
        if self.refusals or likeness is None or self.strength != 1:
            return False
        return likeness.identical or likeness.sha256 == self.sha256


def candidate_variant(
    file: str, like: Variant, model: ModelSource, *, strength: float = 1.0, name: str = CANDIDATE
) -> Variant:
    """Return `like` with `file`, at a strength, as its LoRA. Raises RecipeError where there is no such file.

    The variant has the file's hash, so that a file that changes meanwhile is an error. One that its header refuses
    has none: gigabytes that nobody will generate with are not read.
    """
    path = resolve_lora(file, model=model)
    sha256 = None if header_refuses(path, base_of(model)) else lora_sha256(path)
    lora = LoraSource(source=str(path), sha256=sha256, strength=strength)
    others = tuple((kind, source) for kind, source in like.loras if kind != model.kind.value)
    return replace(
        like,
        name=name,
        title=f"{at_strength(path.name, strength)} as {like.name}",
        loras=(*others, (model.kind.value, lora)),
        default=False,
        note=f"candidate to replace {like.name}",
    )


def try_candidate(
    candidate: Variant,
    like: Variant,
    model: ModelSource,
    variants: Iterable[Variant],
    *,
    allow_partial: bool = False,
) -> CandidateInspection:
    """Inspect the candidate's file and compare it with that of `like`.

    A file is refused if it is broken, does not fit the model, has no effect (unless `allow_partial`: in some blocks),
    belongs to another variant, or is the replaced one with another alpha or the sign turned. Whatever else differs,
    such as the modules covered or the strength, is a note: images decide.
    """
    lora = candidate.lora(model.kind)
    assert lora is not None
    path, base = Path(lora.source), base_of(model)
    known = tuple(pinned(variant, model) for variant in variants)
    try:
        report = inspect_lora(path, base=base, variants=known, hashed=lora.sha256 is not None)
    except BrokenFileError as error:
        return CandidateInspection(
            path=path,
            command=inspect_command(path, base_option(model)),
            sha256=lora.sha256,
            refusals=(error.what,),
            strength=lora.strength,
        )
    allowed = {LEFT_OUT} if allow_partial else set()
    faults = tuple(finding for finding in report.findings if finding.severity is Severity.ERROR)
    refused = tuple(finding for finding in faults if finding.code not in allowed)
    known_release = release_findings(
        report, str(path), base, like=like, model_base=model.base.id if model.base else None
    )
    other = tuple(finding.text for finding in known_release if finding.severity is Severity.ERROR)
    likeness = None if refused or other else _likeness(report, like, base, model)
    # --like is an error where the replaced variant has no LoRA
    beside = None if like.lora(model.kind) is None else like.name
    return CandidateInspection(
        path=path,
        command=inspect_command(path, base_option(model), beside),
        sha256=lora.sha256,
        report=report,
        likeness=likeness,
        refusals=(
            *(finding.text for finding in refused),
            # the catalogue says more of a file than the variants' own hashes
            *(other or wrong_variant(report, like, known)),
            *(likeness.errors if likeness else ()),
        ),
        notes=(
            *(finding.text for finding in faults if finding.code in allowed),
            *_own_warnings(report, like, base, model),
            *(finding.text for finding in known_release if finding.severity is Severity.WARNING),
            *(note.text for note in (likeness.findings if likeness else ()) if _is_note(note)),
        ),
        partial=bool(refused) and all(finding.code == LEFT_OUT for finding in refused),
        strength=lora.strength,
    )


def _own_warnings(report: LoraReport, like: Variant, base: Base, model: ModelSource) -> Iterator[str]:
    """Yield what is unusual of a file, but nothing that is said of the replaced one too."""
    known: tuple[str, ...] = ()
    reference = _reference(like, model) if report.warnings else None
    if reference is not None:
        with suppress(BrokenFileError):
            known = inspect_lora(reference, base=base, hashed=False).warnings
    yield from (warning for warning in report.warnings if warning not in known)


def _reference(like: Variant, model: ModelSource) -> Path | None:
    """Return the file that the variant uses; None where it has none. Raises RecipeError where it is missing."""
    lora = like.lora(model.kind)
    if lora is None or (model.is_random and "::" in lora.source):
        return None
    return resolve_lora(lora.source, model=model)


def _is_note(finding: LoraFinding) -> bool:
    """Return whether a finding of a comparison is a note; that nothing differs is a verdict."""
    return finding.severity is Severity.WARNING and finding.code != IDENTICAL


def refusal_lines(inspection: CandidateInspection, like: str, *, alone: bool = True) -> Iterator[str]:
    """Yield the verdict on a refused file, with its reasons; not `alone`: others are generated all the same."""
    nothing = "nothing was generated" if alone else "nothing is generated with it"
    yield f"DO NOT SHIP: {one_line(str(inspection.path))} cannot replace {like}; {nothing}"
    yield from (f"  ERROR  {refusal}" for refusal in inspection.refusals)
    if inspection.partial:
        yield "  -> --allow-partial-lora (pytest: --qil-allow-partial-lora) generates with it all the same"
    yield f"  -> `{one_line(inspection.command)}` shows the whole inspection"


def same_line(inspection: CandidateInspection, like: str, *, alone: bool = True) -> str:
    """Return the verdict on a file that adds exactly what it is to replace; `alone` as for `refusal_lines`."""
    likeness = inspection.likeness
    equal = likeness is not None and likeness.sha256 == inspection.sha256
    what = (
        f"this is the file that {like} already uses"
        if equal
        else f"its deltas are those of the file that {like} already uses, bit for bit"
    )
    nothing = "nothing was generated" if alone else "nothing is generated with it"
    return f"SHIP: {one_line(str(inspection.path))}: {what}; {nothing}"


def pinned(variant: Variant, model: ModelSource) -> Variant:
    """Return a variant with the hashes of an embedded model's LoRA files; one of another model as it is."""
    if model.base is not None and model.base.takes(variant) is False:
        return variant
    return replace(variant, loras=tuple((kind, _pin(lora, model)) for kind, lora in variant.loras))


def _pin(lora: LoraSource, model: ModelSource) -> LoraSource:
    if lora.sha256 is not None or not lora.source.startswith("embedded::") or not model.is_tiny:
        return lora
    try:
        return replace(lora, sha256=lora_sha256(resolve_lora(lora.source, model=model)))
    except RecipeError:
        return lora


def wrong_variant(report: LoraReport, like: Variant, variants: Iterable[Variant]) -> Iterator[str]:
    """Yield why a file that belongs to another variant does not fit this one, such as 8-step weights for 4 steps."""
    for variant in variants if like.name not in report.variants else ():
        if variant.name in report.variants and (variant.steps, variant.scheduler) != (like.steps, like.scheduler):
            yield (
                f"this is the file of variant {variant.name}, which takes {variant.steps} steps; "
                f"{like.name} takes {like.steps}"
            )
            return  # other variants of the same file would say the same


def _likeness(report: LoraReport, like: Variant, base: Base, model: ModelSource) -> Likeness | None:
    reference = _reference(like, model)
    if reference is None:
        return None
    return compare(report.path, reference, base, reference_sha256=lora_sha256(reference))
