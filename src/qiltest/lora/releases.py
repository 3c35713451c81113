"""Say what a LoRA file is by the catalogue, and refuse by name one that is made for something else than its variant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.errors import RecipeError
from qiltest.lora.bases import qwen_image
from qiltest.lora.catalogue import Kind, Recognised, Release, Schedule, Task, catalogue, hinted_words, recognise
from qiltest.lora.report import LoraFinding, Severity
from qiltest.suite.variants import SchedulerKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qiltest.lora.bases import Base
    from qiltest.lora.report import LoraReport
    from qiltest.suite.variants import Variant

_EDIT = re.compile(r"(?<![a-z])edit(ing)?(?![a-z])")
_STEPS = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])")
_EDITION = re.compile(r"(?<!\d)(2509|2511|2512)(?!\d)")
#: a larger number before "steps" is one of training.
_FEW = 16
_SCHEDULES = {
    Schedule.LIGHTNING: "shift 3",
    Schedule.DYNAMIC: "a dynamic shift without terminal",
    Schedule.SIGMAS: "a fixed list of sigmas",
}


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Why a file does not belong in a variant."""

    what: str
    remedy: str
    #: False where only its name says so.
    certain: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def mismatch(*, sha256: str, source: str, like: Variant, base: str | None) -> Mismatch | None:
    """Return why a file of the catalogue does not belong in `like`; None where it does, or is not in the catalogue.

    `base` is the model's base, for a variant that names none; None: unknown.
    """
    found = recognise(sha256=sha256, source=source)
    wanted = like.base_model or base
    differences = list(_differences(found.release, like, wanted)) if found else []
    if found is None or not differences:
        return None
    what = f"{_is(found)}, a {found.release.purpose}; variant {like.name} {' and '.join(differences)}"
    return Mismatch(what=what, remedy=_remedy(found.release, like, wanted), certain=found.certain)


def refuse_other_release(*, sha256: str, source: str, like: Variant, base: str | None) -> None:
    """Raise RecipeError where a file is certainly a release that does not belong in `like`."""
    other = mismatch(sha256=sha256, source=source, like=like, base=base)
    if other is not None and other.certain:
        raise RecipeError(other.what, where=source, remedy=other.remedy)


def release_findings(
    report: LoraReport, source: str, base: Base, *, like: Variant | None = None, model_base: str | None = None
) -> tuple[LoraFinding, ...]:
    """Return what the catalogue says against a file: an error where it is certain, else notes.

    `source` is the file as it was named, `like` the variant that it is to be generated as, if any.
    """
    found = recognise(sha256=report.sha256, source=source)
    if like is not None:
        other = mismatch(sha256=report.sha256, source=source, like=like, base=model_base)
        if other is not None and other.certain:
            return (LoraFinding(severity=Severity.ERROR, code="other-release", text=str(other)),)
        hints = [str(other)] if other else list(hints_against(source, report.metadata, like, model_base))
        return _notes([*hints, *_about(found, report, base)])
    return _notes(list(_about(found, report, base)))


def hints_against(source: str, metadata: dict[str, str], like: Variant, base: str | None) -> Iterator[str]:
    """Yield what the words of a file's name and metadata speak of that `like` is not."""
    words, wanted = hinted_words(source, metadata), like.base_model or base
    said = []
    if _EDIT.search(words) and not _edits(like, wanted):
        said.append(("editing", "generates from text alone"))
    steps = {int(number) for number in _STEPS.findall(words) if int(number) <= _FEW}
    if steps and like.steps not in steps:
        said.append((f"{min(steps)} steps", f"takes {like.steps}"))
    editions = _EDITION.findall(words)
    if wanted is not None and editions and not any(edition in wanted for edition in editions):
        said.append((editions[0], f"is for {wanted}"))
    for what, instead in said:
        yield f"its name or metadata speak of {what}, variant {like.name} {instead} (a hint: the name may be wrong)"


def _notes(texts: list[str]) -> tuple[LoraFinding, ...]:
    return tuple(LoraFinding(severity=Severity.WARNING, code="release", text=text) for text in texts)


def _about(found: Recognised | None, report: LoraReport, base: Base) -> Iterator[str]:
    """Yield what is to be known of a file whatever the variant."""
    if found is not None and found.release.base_weights is not None:
        yield f"{_is(found)}, which was distilled on {found.release.base_weights} weights, not on bfloat16"
    if found is not None and found.other_bytes:
        yield f"it has the name of {found.title} and another SHA-256 ({found.file.sha256}): another release, or changed"
    if not (found and found.certain) and report.fits and base.modules == qwen_image().modules:
        known = qwen_image()
        yield (
            f"{', '.join((known.name, *known.also))} have the same modules and shapes: only a known SHA-256 tells "
            "their LoRAs apart, and the catalogue does not have this file's"
        )


def _is(found: Recognised) -> str:
    if found.certain:
        return f"this is {found.title} by {found.by}"
    why = "its SHA-256 is not that release's" if found.other_bytes else "the catalogue has no SHA-256 of it"
    return f"by its name, a hint ({why}), this is {found.title}"


def _differences(release: Release, like: Variant, wanted: str | None) -> Iterator[str]:
    if release.kind is Kind.MERGED:
        yield "takes a LoRA"
    if Task.TEXT_TO_IMAGE not in release.tasks and not _edits(like, wanted):
        yield "generates from text alone"
    if wanted is not None and wanted.lower() != release.base_model.lower():
        yield f"is for {wanted}"
    if like.steps != release.steps:
        yield f"takes {like.steps} steps"
    if like.true_cfg_scale != release.true_cfg_scale:
        yield f"has CFG {like.true_cfg_scale:g} (not {release.true_cfg_scale:g})"
    if not _has_schedule(like, release):
        yield f'has scheduler "{like.scheduler}" (not {_SCHEDULES[release.scheduler]})'


def _edits(like: Variant, wanted: str | None) -> bool:
    """Return whether a variant is one of an editing model, by its base model, else by its family's name."""
    base = None if wanted is None else catalogue().base(wanted)
    return Task.EDIT in base.tasks if base is not None else "-edit" in (like.family or "")


def _has_schedule(like: Variant, release: Release) -> bool:
    """Return whether a variant generates with the sigmas that a release was distilled with."""
    if release.scheduler is Schedule.SIGMAS:
        return like.sigmas == tuple(release.sigmas or ())
    if like.sigmas:
        return False
    if release.scheduler is Schedule.DYNAMIC:
        return like.scheduler_settings == (("shift_terminal", None),)
    return like.scheduler is SchedulerKind.LIGHTNING


def _remedy(release: Release, like: Variant, wanted: str | None) -> str:
    if release.kind is Kind.MERGED:
        return "it is a whole model, not a LoRA"
    base = wanted or release.base_model
    fitting = [
        other.files[0].file
        for other in catalogue().releases
        if other.kind is Kind.LORA and other.base_weights is None and not list(_differences(other, like, base))
    ]
    return f"take a LoRA for {base} in {like.steps} steps" + (f", such as {fitting[-1]}" if fitting else "")
