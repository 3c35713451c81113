"""Compare the tensors of a model's files with those of its classes, before 58 GB are read.

diffusers and transformers leave a weight that no file has random, and only warn. So the headers' names and shapes are
compared with a model that is built from the config without memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights

from qiltest.errors import ModelError
from qiltest.generation._errors import LIBRARIES_RAISE
from qiltest.generation.border import read_object
from qiltest.generation.families import Family
from qiltest.generation.sources import ModelSource
from qiltest.generation.whole import WEIGHTED, shown, weights_of

_LANGUAGE = re.compile(r"model\.(?!language_model\.|visual\.)")
#: settings that Qwen/Qwen-Image's config still has and no class takes any more; diffusers warns of each.
_LEFT_OVER = ("pooled_projection_dim",)
#: sentences that a refusal shows.
_MOST = 6


def check_keys(source: ModelSource) -> None:
    """Raise ModelError where a component would keep a random weight, or the files have one that it does not take."""
    if source.folder is None:
        return
    faults = [fault for component in WEIGHTED for fault in key_faults(source.folder, component, source.family)]
    if faults:
        raise ModelError(
            f"the model's weights are not those of its config: {'; '.join(faults[:_MOST])}",
            where=str(source.folder),
            remedy="compare the folder with its source, config.json too, and download what differs again",
        )


def key_faults(folder: Path, component: str, family: Family) -> Iterator[str]:
    """Yield what differs between the headers of a component's files and the model that its config describes."""
    try:
        wanted = _shapes(empty_part(family, component, folder))
    except LIBRARIES_RAISE as error:
        yield f"{component}: no model can be built from its config: {' '.join(str(error).split())[:200]}"
        return
    yield from _unequal_lengths(component, folder / component)
    found = {name: info.shape for name, info in weights_of(folder, component).tensors.items()}
    if component == "text_encoder":
        found = {current_name(name): shape for name, shape in found.items()}
        wanted = _without_unused(wanted, found, family.unused)
    both = found.keys() & wanted.keys()
    other = [f"{name} {found[name]} for {wanted[name]}" for name in sorted(both) if found[name] != wanted[name]]
    for names, what in (
        (sorted(wanted.keys() - found.keys()), "missing"),
        (sorted(found.keys() - wanted.keys()), "that the config has no place for"),
        (other, "of another shape"),
    ):
        if names:
            yield f"{component}: {len(names)} weights {what}: {shown(names)}"


def _unequal_lengths(component: str, folder: Path) -> Iterator[str]:
    """Yield settings whose lengths contradict each other, which a forward or the decoding would find too late."""
    config = read_object(folder / "config.json")
    if component == "vae":
        channels = config.get("z_dim", 16)
        for name in ("latents_mean", "latents_std"):
            values = config.get(name)
            if isinstance(values, list) and len(values) != channels:
                yield f"{component}: {name} has {len(values)} values for {channels} channels"
    axes = config.get("axes_dims_rope")
    head = config.get("attention_head_dim", 128)
    if component == "transformer" and isinstance(axes, list) and sum(axes) != head:
        yield f"{component}: axes_dims_rope {axes} sum up to {sum(axes)}, attention_head_dim is {head}"


def current_name(name: str) -> str:
    """Return a text encoder's key as today's transformers name it; 4.53 and earlier wrote shorter prefixes."""
    if name.startswith("visual."):
        return f"model.{name}"
    return _LANGUAGE.sub("model.language_model.", name, count=1) if _LANGUAGE.match(name) else name


def empty_part(family: Family, component: str, folder: Path) -> Any:  # noqa: ANN401  a model, untyped
    """Return the model of a component with weights on the meta device, by the config in the model's folder."""
    name, place = family.classes[component], folder / component
    if component == "text_encoder":
        kind = getattr(transformers, name)
        with init_empty_weights():
            return kind(kind.config_class.from_pretrained(place, local_files_only=True))
    kind = getattr(diffusers, name)
    found = kind.load_config(place, local_files_only=True)
    config = {key: value for key, value in dict(found).items() if key not in _LEFT_OVER}
    with init_empty_weights():
        return kind.from_config(config)


def _shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _without_unused(
    wanted: dict[str, tuple[int, ...]], found: dict[str, Any], unused: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    """Leave out parts that encode no prompt and that the files have nothing of; a tied head is never stored."""
    absent = [part for part in unused if not any(name.startswith(part) for name in found)]
    return {name: shape for name, shape in wanted.items() if not name.startswith(tuple(absent))} if absent else wanted
