"""Families of models: each that one diffusers pipeline class serves is one file here, and listed once below."""

from qiltest.generation.families.family import Family
from qiltest.generation.families.qwen_image import QwenImage
from qiltest.generation.families.qwen_image_21 import QwenImage21
from qiltest.generation.families.qwen_image_edit import QwenImageEdit, QwenImageEditPlus, edit_size

#: the first is the one that is meant where nothing names another.
FAMILIES: tuple[Family, ...] = (QwenImage(), QwenImage21(), QwenImageEdit(), QwenImageEditPlus())


def family_of(pipeline: object) -> Family | None:
    """Return the family of a pipeline's class name (`_class_name` of `model_index.json`), None for an unknown one."""
    return next((family for family in FAMILIES if family.pipeline == pipeline), None)


def family_named(name: str) -> Family | None:
    """Return the family of this name, None for an unknown one."""
    return next((family for family in FAMILIES if family.name == name), None)


__all__ = ["FAMILIES", "Family", "edit_size", "family_named", "family_of"]
