"""The plan: all that another program must know to generate the suite's images, and how it is to name the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from qiltest.errors import DeviceError, ModelError, RecipeError
from qiltest.generation.border import read_object
from qiltest.generation.families import FAMILIES, Family, family_named
from qiltest.generation.lora_faults import check_hash, check_inspection
from qiltest.generation.schedule import as_tuple, config_of, expected_sigmas
from qiltest.generation.sources import (
    RANDOM,
    ModelSource,
    base_of,
    base_of_model,
    base_option,
    resolve_lora,
    resolve_model,
)
from qiltest.generation.tasks import editing_models, tasks_of
from qiltest.generation.variant_faults import check_inputs, check_variant
from qiltest.lora.catalogue import recognise
from qiltest.lora.inspection import inspect_lora
from qiltest.lora.safetensors_file import BrokenFileError, lora_sha256, open_safetensors
from qiltest.recipe import Scalar, Size
from qiltest.suite.selection import Task
from qiltest.suite.variants import LoraSource, ModelBase, ModelKind, SchedulerKind, Variant

#: class of the schedulers of all variants.
_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
_WEIGHTS = ".safetensors"
#: longest prompts in tokens, as qiltest's own generator has it.
LONGEST = {ModelKind.REAL: 512, ModelKind.TINY: 1024}
#: ending of the file names of the plan; other formats are read too.
SUFFIX = ".png"

SchedulerConfig = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, kw_only=True)
class PlannedLora:
    """The LoRA of an image."""

    #: as in `variants.toml`: a file, `repo::file` or `embedded::name`.
    source: str
    #: name of the file.
    file: str
    #: None where neither the file is here nor anything names its hash.
    sha256: str | None
    #: added to the base's weights, or kept beside them.
    merged: bool


@dataclass(frozen=True, kw_only=True)
class PlannedImage:
    """One image to generate. `width` and `height` in pixels; `sigmas` from 1 downwards, without the final 0."""

    sample: str
    #: wished name of the image's file.
    file: str
    case: str
    #: the case's own resolution, by which the sample is named.
    size: str
    variant: str
    seed: int
    #: with the variant's suffix.
    prompt: str
    #: None: no guidance.
    negative_prompt: str | None
    width: int
    height: int
    steps: int
    true_cfg_scale: float
    lora: PlannedLora | None
    #: which scheduler of `variants.toml` it is.
    scheduler: str
    #: the scheduler's settings; None where they are the model's own and its folder is not here.
    scheduler_config: dict[str, Scalar] | None
    sigmas: tuple[float, ...] | None
    #: the settings that the variant changes of the model's own; {} for none.
    scheduler_settings: dict[str, Scalar]
    #: what the pipeline is given as its `sigmas`, before the scheduler's shift; () for its own.
    given_sigmas: tuple[float, ...]
    #: tokens of the prompt beyond which it is cut; 0: the pipeline cuts none.
    max_sequence_length: int
    #: of an edit: where its input images come from, in order; left out of the plan of a text-to-image case.
    inputs: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class PlannedModel:
    """The model that the images are to be of, as far as it is known without loading anything."""

    name: str
    kind: ModelKind
    #: None where it is not on this machine.
    source: ModelSource | None
    #: settings of its own scheduler; None where they are not known.
    scheduler: SchedulerConfig | None
    #: which base model it is, where somebody said so.
    insisted: str | None = None
    #: models that edit images, for the remedy where it does not; (): all that are known.
    editing: tuple[str, ...] = ()

    @cached_property
    def base(self) -> ModelBase:
        """The base model that it is, as far as that is known."""
        return base_of_model(self.name, insisted=self.insisted)

    @property
    def known_family(self) -> Family | None:
        """The family that would generate with it; None where nothing names one."""
        return self.source.family if self.source is not None else family_named(self.base.family or "")

    @property
    def family(self) -> Family:
        """The family that would generate with it; the first where nothing names one."""
        return self.known_family or FAMILIES[0]

    def check(self, task: Task) -> None:
        """Raise RecipeError where no model of its family generates the task: what a session refuses, too."""
        check_variant(task.variant, self.base)
        inputs = 0 if task.case.edit is None else len(task.case.edit.inputs)
        if self.known_family is not None:
            check_inputs(task.case.id, inputs, self.known_family, editing=self.editing)
        elif task.case.task not in tasks_of(self.name):
            raise RecipeError(
                f"it is a case of the task {task.case.task}, and nothing says that {self.name} does it",
                where=f"case {task.case.id}",
                remedy="name the base model that it is with --qil-base, or choose another model: "
                f"{', '.join(self.editing or editing_models())}",
            )


def planned_model(
    name: str, *, kind: ModelKind, base: str | None = None, variants: Iterable[Variant] = ()
) -> PlannedModel:
    """Look a model up without loading it. `base` says which base model it is (None: recognised).

    `variants` are the suite's: where the model does not edit, an error names those that they are for.

    Raises ModelError and DeviceError for a folder that is no whole model; weights that are not here are no error.
    """
    source = None
    try:
        source = resolve_model(name, base=base)
    except ModelError:
        raise
    except DeviceError:  # an id whose weights are not here: its images are made elsewhere
        known = base_of_model(name, insisted=base).id
        own = dict(FAMILIES[0].scheduler) if known == FAMILIES[0].release else None
        if known is None and "/" not in name:
            raise
    else:
        own = dict(source.family.scheduler) if source.folder is None else _own_scheduler(source)
    config = None if own is None else _config(own)
    editing = editing_models(variants)
    return PlannedModel(name=name, kind=kind, source=source, scheduler=config, insisted=base, editing=editing)


def plan(tasks: Iterable[Task], model: PlannedModel) -> tuple[PlannedImage, ...]:
    """Return the images to generate, in the order of `tasks`.

    Raises RecipeError for what the model cannot generate (`PlannedModel.check`), for a LoRA file that is here and is
    none of the model or the variant, for one that is nowhere, and for a scheduler config of lists.
    """
    loras: dict[str, PlannedLora | None] = {}
    images = []
    for task in tasks:
        variant = task.variant
        model.check(task)
        if variant.name not in loras:
            loras[variant.name] = _lora(variant, model)
        images.append(_planned(task, model, loras[variant.name]))
    return tuple(images)


def file_of(sample: str) -> str:
    """Return the wished file name of a sample."""
    return f"{sample}{SUFFIX}"


def schedule(task: Task, model: PlannedModel) -> tuple[SchedulerConfig | None, tuple[float, ...] | None]:
    """Return the scheduler's settings and the sigmas of an image, None each where they are not known."""
    variant = task.variant
    if model.scheduler is None and variant.scheduler is not SchedulerKind.LIGHTNING:
        return None, None
    own = {name: value for name, value in model.scheduler or () if name != "class"}
    config = _config(config_of(variant, own))
    tokens = model.family.tokens(expected_size(task, model))
    return config, expected_sigmas(config, steps=variant.steps, image_tokens=tokens, given=given_sigmas(variant, model))


def given_sigmas(variant: Variant, model: PlannedModel) -> tuple[float, ...]:
    """Return the sigmas that the pipeline is given before the shift; (): its own."""
    own = () if model.source is None or variant.scheduler is SchedulerKind.LIGHTNING else model.source.sample_sigmas
    return variant.sigmas or own


def _planned(task: Task, model: PlannedModel, lora: PlannedLora | None) -> PlannedImage:
    variant, size = task.variant, expected_size(task, model)
    config, sigmas = schedule(task, model)
    return PlannedImage(
        sample=task.sample.id,
        file=file_of(task.sample.id),
        case=task.case.id,
        size=str(task.sample.size),
        variant=variant.name,
        seed=task.seed,
        prompt=task.prompt,
        negative_prompt=negative_prompt(variant),
        width=size.width,
        height=size.height,
        steps=variant.steps,
        true_cfg_scale=variant.true_cfg_scale,
        lora=lora,
        scheduler=str(variant.scheduler),
        scheduler_config=None if config is None else dict(config),
        sigmas=sigmas,
        scheduler_settings=dict(variant.scheduler_settings),
        given_sigmas=given_sigmas(variant, model),
        max_sequence_length=LONGEST[model.kind] if model.family.longest_prompt else 0,
        inputs=tuple(_inputs(task)),
    )


def _inputs(task: Task) -> Iterator[dict[str, str]]:
    """Yield each input image of an edit, as the case names it; a later round's first is the image before."""
    for number, source in enumerate(() if task.case.edit is None else task.case.edit.inputs):
        if task.round > 1 and number == 0:
            yield {"sample": replace(task.sample, round=task.round - 1).id}
        elif source.file is not None:
            known = {"file": source.file.path, "sha256": source.file.sha256 or "", "get": source.file.get}
            yield {name: value for name, value in known.items() if value}
        else:
            yield {"sample": str(source)}


def negative_prompt(variant: Variant) -> str | None:
    """Return the negative prompt of a variant; None without guidance, where it has no effect."""
    return variant.negative_prompt if variant.true_cfg_scale > 1 else None


def _lora(variant: Variant, model: PlannedModel) -> PlannedLora | None:
    lora = variant.lora(model.kind)
    if lora is None:
        return None
    name = PurePosixPath(lora.source.rpartition("::")[2].replace("\\", "/")).name
    name = name if name.endswith(_WEIGHTS) else name + _WEIGHTS  # `embedded::4step`
    sha256 = _sha256(lora, variant, model)
    return PlannedLora(source=lora.source, file=name, sha256=lora.sha256 or sha256, merged=variant.merged)


def _sha256(lora: LoraSource, variant: Variant, model: PlannedModel) -> str | None:
    """Return the hash of a LoRA file that is here, else the one that the catalogue has of its place on the hub.

    Raises RecipeError for a file that is here and that no session would generate the variant with, for a path where no
    file is, and for an embedded LoRA that does not exist: only what is on the hub may be elsewhere.
    """
    owner = model.source or ModelSource(name=RANDOM, kind=model.kind, folder=None, revision=RANDOM)
    try:
        path = resolve_lora(lora.source, model=owner)
    except DeviceError:  # the file is on the hub, and not here
        known = recognise(sha256="", source=lora.source)
        return known.file.sha256 if known is not None and known.certain else None
    try:
        sha256 = _inspected(path, model.source)
    except BrokenFileError as error:  # wrong use here, where no verdict on the file was asked for
        raise RecipeError(error.what, where=error.where, remedy=error.remedy) from error
    check_hash(sha256, lora, variant, model.base.id)
    return sha256


def _inspected(path: Path, model: ModelSource | None) -> str:
    """Return a LoRA file's hash. Raises RecipeError where it is broken, or none of the model (None: not here)."""
    if model is None:
        open_safetensors(path)
        return lora_sha256(path)
    report = inspect_lora(path, base=base_of(model))
    # who generates elsewhere may have reasons of their own for a part of a LoRA
    check_inspection(report, base=base_option(model), allow_partial=True)
    return report.sha256


def _own_scheduler(source: ModelSource) -> dict[str, Scalar] | None:
    assert source.folder is not None
    found = read_object(source.folder / "scheduler" / "scheduler_config.json")
    return found or None


def _config(config: Mapping[str, Scalar]) -> SchedulerConfig:
    return as_tuple(config, _SCHEDULER)


def expected_size(task: Task, model: PlannedModel) -> Size:
    """Return the size that a task's image must have: what the model's pipeline would generate."""
    return task.size.effective(model.family.size_multiple)
