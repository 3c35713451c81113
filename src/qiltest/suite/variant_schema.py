"""The schema of `variants.toml`, one table per variant, and how they become `Variant`s."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from qiltest.recipe import Scalar
from qiltest.suite.problems import FileModel, Location, Mistake, check_shape, show, spell
from qiltest.suite.variants import (
    CONVERSIONS,
    EMBEDDED_NAMES,
    LoraSource,
    ModelKind,
    SchedulerKind,
    Variant,
    is_candidate,
)

NAME_PATTERN = "[a-z0-9][a-z0-9.-]{0,63}"
_EMBEDDED = re.compile(rf"embedded::{NAME_PATTERN}")
_REAL_FILE = re.compile(r"(?!embedded::)[^\s:][^\n:]*(::[^\n:]+)?\.safetensors")
#: an id on the hub, which may also be a folder's relative path, or another path.
_BASE = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]|\.{0,2}/|~")
_BASES = "owner/name on the hub, such as Qwen/Qwen-Image, or a folder's path"
#: LoRA files whose few steps were distilled on the shift-3 scheduler.
_DISTILLED = re.compile(r"embedded::|lightning", re.IGNORECASE)
_SOURCES = {
    ModelKind.REAL: (_REAL_FILE, "a file.safetensors, or owner/name::file.safetensors on the Hugging Face hub"),
    ModelKind.TINY: (re.compile(f"{_EMBEDDED.pattern}|{_REAL_FILE.pattern}"), "embedded::name, or a file.safetensors"),
}


_SCHEDULERS = 'model, lightning, or a table of settings such as { shift_terminal = "none" }'
_NONE = "none"


#: settings without an effect, by whether the shift is computed from the size of the image.
_OF_SHIFTING = {
    True: ("shift",),
    False: ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len", "time_shift_type"),
}


class SchedulerTable(FileModel):
    """`[name.scheduler]`: settings of diffusers' class that are not the model's own. TOML has no null: "none" is it.

    Left out are those by which an image could not be made again (`stochastic_sampling` draws noise of no seed) and
    those that the model was trained with.
    """

    class_: Annotated[
        Literal["FlowMatchEulerDiscreteScheduler"] | None,
        Field(alias="class", description="FlowMatchEulerDiscreteScheduler, the one that takes the pipelines' sigmas"),
    ] = None
    shift: Annotated[float | None, Field(gt=0, description="a number above 0")] = None
    use_dynamic_shifting: Annotated[bool | None, Field(description="true or false")] = None
    base_shift: Annotated[float | None, Field(description="a finite number")] = None
    max_shift: Annotated[float | None, Field(description="a finite number")] = None
    base_image_seq_len: Annotated[int | None, Field(gt=0, description="a whole number above 0")] = None
    max_image_seq_len: Annotated[int | None, Field(gt=0, description="a whole number above 0")] = None
    shift_terminal: Annotated[
        float | Literal["none"] | None, Field(description='a number between 0 and 1, or "none"')
    ] = None
    time_shift_type: Annotated[Literal["exponential", "linear"] | None, Field(description="exponential or linear")] = (
        None
    )
    use_karras_sigmas: Annotated[bool | None, Field(description="true or false")] = None
    use_exponential_sigmas: Annotated[bool | None, Field(description="true or false")] = None
    use_beta_sigmas: Annotated[bool | None, Field(description="true or false")] = None

    @property
    def settings(self) -> tuple[tuple[str, Scalar], ...]:
        """What the table sets, sorted by name."""
        given = self.model_dump(exclude_unset=True, exclude={"class_"})
        return tuple(sorted((name, None if value == _NONE else value) for name, value in given.items()))


class LoraTable(FileModel):
    """`[name.loras.real]` or `[name.loras.tiny]`."""

    source: Annotated[str, Field(min_length=1, description="a file, repo::file or embedded::name")]
    sha256: Annotated[
        str | None, Field(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case")
    ] = None


class LorasTable(FileModel):
    """`[name.loras]`."""

    real: Annotated[LoraTable | None, Field(description="a table with source and sha256")] = None
    tiny: Annotated[LoraTable | None, Field(description="a table with source and sha256")] = None


class VariantTable(FileModel):
    """`[name]`."""

    title: Annotated[str, Field(min_length=1, description="a string that is not empty")]
    steps: Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")]
    true_cfg_scale: Annotated[float, Field(ge=1, description="a finite number, 1 or more")]
    negative_prompt: Annotated[str | None, Field(description='a string; the vendor\'s is " "')] = None
    scheduler: Annotated[SchedulerKind, Field(strict=False, description=_SCHEDULERS)]
    sigmas: Annotated[
        list[Annotated[float, Field(gt=0, le=1)]],
        Field(min_length=1, max_length=1000, description="numbers that fall from 1, without the final 0"),
    ] = Field(default_factory=list)
    guidance_scale: Annotated[float | None, Field(ge=0, description="a finite number, 0 or more")] = None
    family: Annotated[str | None, Field(pattern=f"^{NAME_PATTERN}$", description='such as "qwen-image-2.1"')] = None
    prompt_suffix: Annotated[
        dict[Annotated[str, Field(pattern="^[a-z]{2}$")], str],
        Field(description='strings by language, such as { en = ", Ultra HD" }'),
    ] = Field(default_factory=dict)
    loras: Annotated[LorasTable, Field(description="tables real and tiny")] = LorasTable()
    merged: Annotated[bool, Field(description="true or false")] = False
    group: Annotated[str, Field(pattern=f"^({NAME_PATTERN})?$", description=NAME_PATTERN)] = ""
    base_model: Annotated[
        str | None, Field(min_length=1, description="owner/name on the hub, a folder, or tiny-edit")
    ] = None
    default: Annotated[bool, Field(description="true or false")] = True
    note: Annotated[str, Field(description="a string")] = ""


def parse_variants(raw: Mapping[str, Any], path: Path) -> tuple[tuple[Variant, ...], list[Mistake]]:
    """Return the variants in the file's order, and all mistakes."""
    variants, mistakes = [], []
    for name, table in raw.items():
        found = list(_check(name, table, path))
        if not found:
            scheduler = table["scheduler"]
            settings = SchedulerTable.model_validate(scheduler).settings if isinstance(scheduler, Mapping) else ()
            variants.append(_variant(name, VariantTable.model_validate(_plain(table)), settings))
        mistakes += found
    mistakes += _groups(variants, path)
    if not raw:
        mistakes = [Mistake(path=path, key="", seen="no variant found", allowed="at least one table, such as [base]")]
    return tuple(variants), mistakes


def _groups(variants: list[Variant], path: Path) -> Iterator[Mistake]:
    """Yield groups that have a variant's name: `--qil-variant` could mean either."""
    names = {variant.name for variant in variants} | {"all"}
    for variant in variants:
        if variant.group in names:
            seen = f"{show(variant.group)} is also the name of a variant"
            yield Mistake(path=path, key=spell((variant.name, "group")), seen=seen, allowed="another name")


def _check(name: str, raw: object, path: Path) -> Iterator[Mistake]:
    key = spell((name,))
    if re.fullmatch(NAME_PATTERN, name) is None:
        yield Mistake(path=path, key=key, seen=f"{show(name)} is not a valid variant name", allowed=NAME_PATTERN)
    if is_candidate(name):
        seen = "this name is reserved for candidate LoRA files (qiltest check)"
        yield Mistake(path=path, key=key, seen=seen, allowed="another name")
    if not isinstance(raw, Mapping):
        yield Mistake(path=path, key=key, seen=f"{show(raw)} is not allowed", allowed="one table per variant")
        return
    shape = check_shape(VariantTable, _plain(raw), path, (name,))
    yield from shape if isinstance(shape, list) else ()
    if isinstance(raw.get("scheduler"), Mapping):
        found = check_shape(SchedulerTable, raw["scheduler"], path, (name, "scheduler"))
        yield from found if isinstance(found, list) else ()
    rules = (*_guidance(raw), *_lora(raw), *_merging(raw), *_base_model(raw), *_schedule(raw))
    for location, seen, allowed in rules:
        yield Mistake(path=path, key=spell((name, *location)), seen=seen, allowed=allowed)


def _plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a variant's table with its scheduler as one word; a table of settings has a shape of its own."""
    table = isinstance(raw.get("scheduler"), Mapping)
    return {**raw, "scheduler": SchedulerKind.SETTINGS.value} if table else dict(raw)


def _schedule(raw: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Yield a scheduler's settings that are none or contradict, and sigmas that are no schedule of the steps."""
    scheduler, sigmas, steps = raw.get("scheduler"), raw.get("sigmas"), raw.get("steps")
    if scheduler == SchedulerKind.SETTINGS:
        yield ("scheduler",), '"settings" is what a table of settings is called in reports', _SCHEDULERS
    if isinstance(scheduler, Mapping):
        if not scheduler.keys() - {"class"}:
            yield ("scheduler",), "a table without a setting", 'scheduler = "model", or a setting'
        yield from _settings(scheduler, sigmas)
    if not isinstance(sigmas, list) or not all(isinstance(sigma, int | float) for sigma in sigmas):
        return
    if isinstance(steps, int) and len(sigmas) != steps:
        yield ("sigmas",), f"{len(sigmas)} sigmas for {steps} steps", "one for each step, without the final 0"
    if any(first <= second for first, second in pairwise(sigmas)):
        yield ("sigmas",), "not falling", "numbers that fall from 1, each below the one before"
    if sigmas and 0 < sigmas[0] < 1:
        seen = f"{show(sigmas[0])} is the first: it means an image that is partly there, and the loop begins with noise"
        yield ("sigmas", 0), seen, "1 as the first"
    if scheduler == SchedulerKind.LIGHTNING:
        seen = 'with the scheduler "lightning", which shifts them: sigmas of a release are seldom meant so'
        yield ("sigmas",), seen, 'scheduler = "model", or a table of the settings that are meant'


def _settings(scheduler: Mapping[str, Any], sigmas: object) -> Iterator[tuple[Location, str, str]]:
    """Yield settings that diffusers refuses, that would divide by zero, or that have no effect beside the others."""
    terminal = scheduler.get("shift_terminal")
    if isinstance(terminal, float) and not 0 < terminal < 1:
        yield ("scheduler", "shift_terminal"), f"{show(terminal)} is not allowed", 'between 0 and 1, or "none"'
    conversions = [name for name in CONVERSIONS if scheduler.get(name) is True]
    if len(conversions) > 1:
        yield ("scheduler",), f"{' and '.join(conversions)}: each makes other sigmas", "one of them"
    if conversions and isinstance(sigmas, list) and len(sigmas) > 2:
        seen = f"with {conversions[0]}, which makes its own of the first and the last one"
        yield ("sigmas",), seen, f"no sigmas, or no {conversions[0]}"
    dynamic = scheduler.get("use_dynamic_shifting")
    for name in _OF_SHIFTING.get(dynamic, ()) if isinstance(dynamic, bool) else ():
        if name in scheduler:
            seen = f"has no effect with use_dynamic_shifting = {show(dynamic)}"
            yield ("scheduler", name), seen, f"no {name}"
    ends = scheduler.get("base_image_seq_len"), scheduler.get("max_image_seq_len")
    if None not in ends and ends[0] == ends[1]:
        seen = f"{show(ends[1])} is also base_image_seq_len: a line through one point has no slope"
        yield ("scheduler", "max_image_seq_len"), seen, "another number of tokens"


def _guidance(raw: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    scale, negative = raw.get("true_cfg_scale"), raw.get("negative_prompt")
    if not isinstance(scale, int | float):
        return
    if scale > 1 and negative is None:
        seen = f"missing, but true_cfg_scale is {scale}: the pipeline would skip guidance"
        yield ("negative_prompt",), seen, 'a string; the vendor\'s is " "'
    if scale == 1 and negative is not None:
        seen = "has no effect at true_cfg_scale 1"
        yield ("negative_prompt",), seen, "no negative_prompt, or true_cfg_scale above 1"


def _lora(raw: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    loras = raw.get("loras")
    loras = loras if isinstance(loras, Mapping) else {}
    if raw.get("scheduler") == SchedulerKind.LIGHTNING and not loras and not raw.get("note"):
        seen = '"lightning" without a LoRA: only Lightning LoRAs, or models that have one merged, were made for shift 3'
        allowed = 'scheduler = "model", a LoRA in loras.real or loras.tiny, or a note that names the merged model'
        yield ("scheduler",), seen, allowed
    yield from _unshifted(raw, loras)
    for kind, (pattern, allowed) in _SOURCES.items():
        table = loras.get(kind.value)
        source = table.get("source") if isinstance(table, Mapping) else None
        if isinstance(source, str) and source and pattern.fullmatch(source) is None:
            yield ("loras", kind.value, "source"), f"{show(source)} is not allowed", allowed


def _merging(raw: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    if raw.get("merged") is True and not raw.get("loras"):
        yield ("merged",), "true without a LoRA: there is nothing to merge", "no `merged`, or a LoRA in loras"


def _base_model(raw: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Yield a base that no model can be. Whether a hub's id is known, the run says: the catalogue is not complete."""
    base = raw.get("base_model")
    if isinstance(base, str) and base and base not in EMBEDDED_NAMES and _BASE.match(base) is None:
        yield ("base_model",), f"{show(base)} is neither an id on the hub nor a folder's path", _BASES


def _unshifted(raw: Mapping[str, Any], loras: Mapping[str, Any]) -> Iterator[tuple[Location, str, str]]:
    """Yield the most common mistake: a Lightning LoRA with the model's scheduler, which gives noise or blur."""
    sources = [table.get("source") for table in loras.values() if isinstance(table, Mapping)]
    distilled = [source for source in sources if isinstance(source, str) and _DISTILLED.search(source)]
    if raw.get("scheduler") == SchedulerKind.MODEL and distilled:
        seen = f'"model" with the Lightning LoRA {show(distilled[0])}, which was distilled with shift 3'
        yield ("scheduler",), seen, 'scheduler = "lightning"'


def _variant(name: str, table: VariantTable, settings: tuple[tuple[str, Scalar], ...]) -> Variant:
    loras = ((ModelKind.REAL, table.loras.real), (ModelKind.TINY, table.loras.tiny))
    converted: dict[str, Any] = {
        "prompt_suffix": tuple(sorted(table.prompt_suffix.items())),
        "sigmas": tuple(table.sigmas),
        "scheduler_settings": settings,
        "loras": tuple((kind.value, LoraSource(**vars(lora))) for kind, lora in loras if lora is not None),
    }
    return Variant(**{**vars(table), **converted}, name=name)
