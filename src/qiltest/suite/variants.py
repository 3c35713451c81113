"""Variants: how an image is generated, as in `cases/variants.toml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from qiltest.recipe import Guided, Scalar

#: name of the variant that a LoRA file under test is generated as (`--qil-lora`, `qiltest check`).
CANDIDATE = "candidate"
#: settings of a scheduler that each replace its sigmas by others; diffusers takes one of them at most.
CONVERSIONS = ("use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas")
#: the embedded models, for text to image and for editing.
EMBEDDED_NAMES = ("tiny", "tiny-edit")
_CANDIDATES = re.compile(rf"{CANDIDATE}(-[0-9]+)?")


def is_candidate(name: str) -> bool:
    """Return whether a variant is a LoRA file under test: `candidate`, or of several `candidate-1`, `candidate-2`."""
    return _CANDIDATES.fullmatch(name) is not None


class SchedulerKind(StrEnum):
    """Where a variant's scheduler settings are from: the first two are those of the report."""

    #: the model's own scheduler config (for Qwen-Image: dynamic shift 0.5 to 0.9, terminal 0.02).
    MODEL = "model"
    #: shift 3 for every size: base_shift = max_shift = log 3, exponential, no terminal.
    LIGHTNING = "lightning"
    #: the model's own, with some of its settings changed (`Variant.scheduler_settings`): a table in `variants.toml`.
    SETTINGS = "settings"


class ModelKind(StrEnum):
    """Which kind of model generates: a LoRA of one does not fit the other."""

    REAL = "real"
    #: the embedded model.
    TINY = "tiny"


@dataclass(frozen=True, kw_only=True)
class LoraSource:
    """Where a LoRA comes from: a file, `repo::file` on the Hugging Face hub, or `embedded::name`."""

    source: str
    #: expected SHA-256 of the file, hexadecimal; None: recorded but not checked.
    sha256: str | None = None
    #: factor on the LoRA's delta; 1 is what the file says.
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ModelBase:
    """Which base model a session's model is."""

    #: as in `--qil-model`.
    model: str
    #: Hugging Face id of the base, or `tiny-edit`; None: unknown, as for the embedded text-to-image model, which stands
    #: in for Qwen-Image, and for a folder that nothing names.
    id: str | None = None
    #: what says so, such as "its model card".
    evidence: str = ""
    #: name of the family that generates with it; None: not known.
    family: str | None = None

    def of_family(self, variant: Variant) -> bool:
        """Return False for a variant of another family than the model's."""
        return variant.family is None or self.family is None or variant.family == self.family

    def takes(self, variant: Variant) -> bool | None:
        """Return whether a variant belongs to this base; None where that cannot be known."""
        if not self.of_family(variant):
            return False
        wanted = variant.base_model
        if wanted is None or wanted == self.model or (self.id is not None and wanted.lower() == self.id.lower()):
            return True
        return None if self.id is None and wanted not in EMBEDDED_NAMES else False


@dataclass(frozen=True, kw_only=True)
class Variant(Guided):
    """Base model, LoRA (or none), steps, true CFG scale, scheduler."""

    name: str
    title: str
    steps: int
    true_cfg_scale: float
    negative_prompt: str | None
    scheduler: SchedulerKind
    #: (name, value) of the scheduler's settings that are not the model's own, sorted; with `SchedulerKind.SETTINGS`.
    scheduler_settings: tuple[tuple[str, Scalar], ...] = ()
    #: what the pipeline is given as its `sigmas`, before the scheduler shifts them, from 1 downwards and without the
    #: final 0; (): the pipeline's own, evenly spaced or as the model's `sample_sigmas`.
    sigmas: tuple[float, ...] = ()
    #: of a guidance-distilled model; None: there is none.
    guidance_scale: float | None = None
    #: name of the family whose models it is for; None: any.
    family: str | None = None
    #: appended to the prompt, by language ("en", "zh"), as the vendor's script does.
    prompt_suffix: tuple[tuple[str, str], ...]
    #: LoRA per model kind: "real" and "tiny"; one that is absent cannot generate this variant (unless no LoRA at all).
    loras: tuple[tuple[str, LoraSource], ...] = ()
    #: add the LoRA to the base's weights, as the report's script does; False: load it beside them, as diffusers does.
    merged: bool = False
    #: name of a set of variants, which `--qil-variant` takes for all of them; "" for none.
    group: str = ""
    #: Hugging Face id, folder or embedded model that it belongs to; None: any.
    base_model: str | None = None
    #: generated without being named by `--qil-variant`.
    default: bool = True
    #: shown in the report.
    note: str = ""

    def lora(self, kind: ModelKind) -> LoraSource | None:
        """Return the LoRA for a kind of model, or None (`generates` says whether it needs one)."""
        return dict(self.loras).get(kind.value)

    def generates(self, kind: ModelKind) -> bool:
        """Return whether a model of this kind can generate the variant: a LoRA must be of that kind."""
        return not self.loras or self.lora(kind) is not None

    def prompt(self, text: str, language: str) -> str:
        """Return the prompt as the pipeline gets it: the case's own, and the suffix of its language."""
        return text + dict(self.prompt_suffix).get(language, "")
