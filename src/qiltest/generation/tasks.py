"""Which tasks a model does: by its folder's pipeline class, or by its id. Needs no torch, and loads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from qiltest.files import expanded
from qiltest.generation.border import read_object
from qiltest.generation.families import family_named, family_of
from qiltest.generation.sources import EMBEDDED_MODELS, base_of_model, embedded_of
from qiltest.lora.catalogue import catalogue
from qiltest.suite.cases import TaskKind
from qiltest.suite.variants import ModelBase, ModelKind, Variant

TEXT_TO_IMAGE, EDIT = frozenset({TaskKind.TEXT_TO_IMAGE}), frozenset({TaskKind.EDIT})
#: the part of a pipeline's class, or of an id on the hub, that says that a model edits.
_EDITS = "edit"


def tasks_of(model: str, base: ModelBase | None = None) -> frozenset[TaskKind]:
    """Return the tasks of a model as `--qil-model` names it; of one that is not known, text-to-image.

    An editing model is one whose family takes images. Where neither its folder nor `base` says which family it is, its
    id does: `Qwen/Qwen-Image-Edit-2511`.
    """
    pipeline = _pipeline(model)
    family = family_of(pipeline) or family_named((base and base.family) or "")
    edits = family.most_inputs > 0 if family is not None else _EDITS in (pipeline or model.rpartition("/")[2]).lower()
    return EDIT if edits else TEXT_TO_IMAGE


def editing_models(variants: Iterable[Variant] = ()) -> tuple[str, ...]:
    """Return the models that edit images: those that the variants are for; all that are known, where they are for none.

    For a remedy: each is what `--qil-model` takes.
    """
    known = (*EMBEDDED_MODELS, *(base.id for base in catalogue().bases))
    return models_of(TaskKind.EDIT, variants) or tuple(name for name in known if tasks_of(name) == EDIT)


def models_of(task: TaskKind, variants: Iterable[Variant]) -> tuple[str, ...]:
    """Return the models of a task that the variants are for, as `--qil-model` takes them."""
    named: list[str] = []
    for variant in variants:
        if variant.base_model is not None and task not in tasks_of(variant.base_model):
            continue
        embedded = embedded_of(variant).name
        if variant.generates(ModelKind.TINY) and base_of_model(embedded).of_family(variant):
            named.append(embedded)
        named += [variant.base_model] if variant.base_model is not None else []
    return tuple(name for name in dict.fromkeys(named) if task in tasks_of(name))


def _pipeline(model: str) -> str:
    """Return the class that a folder's `model_index.json` names, "" where there is none."""
    with suppress(OSError):
        index = EMBEDDED_MODELS.get(model, expanded(model)) / "model_index.json"
        if index.is_file():
            return str(read_object(index).get("_class_name", ""))
    return ""
