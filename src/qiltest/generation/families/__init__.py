"""Families of models: each that one diffusers pipeline class serves is one file here, and listed once below."""

from collections.abc import Iterable

from qiltest.errors import CaseError
from qiltest.generation.families.family import Family
from qiltest.generation.families.qwen_image import QwenImage
from qiltest.generation.families.qwen_image_21 import QwenImage21
from qiltest.generation.families.qwen_image_edit import QwenImageEdit, QwenImageEditPlus, edit_size
from qiltest.suite.problems import suggest
from qiltest.suite.variants import Variant

#: the first is the one that is meant where nothing names another.
FAMILIES: tuple[Family, ...] = (QwenImage(), QwenImage21(), QwenImageEdit(), QwenImageEditPlus())


def family_of(pipeline: object) -> Family | None:
    """Return the family of a pipeline's class name (`_class_name` of `model_index.json`), None for an unknown one."""
    return next((family for family in FAMILIES if family.pipeline == pipeline), None)


def family_named(name: str) -> Family | None:
    """Return the family of this name, None for an unknown one."""
    return next((family for family in FAMILIES if family.name == name), None)


def check_families(variants: Iterable[Variant]) -> None:
    """Raise CaseError for a variant of a family that is none: it would be left out as one of another model's."""
    names = [family.name for family in FAMILIES]
    for variant in variants:
        if variant.family is not None and variant.family not in names:
            raise CaseError(
                f"variant {variant.name} is for {variant.family}, which is no family{suggest(variant.family, names)}",
                where="variants.toml",
                remedy=f"set family to one of {', '.join(names)}",
            )


__all__ = ["FAMILIES", "Family", "check_families", "edit_size", "family_named", "family_of"]
