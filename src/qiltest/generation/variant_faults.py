"""What no generator makes of a variant, a size, a seed or input images, whoever generates. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from qiltest.errors import RecipeError, TextAloneError
from qiltest.generation.families import Family
from qiltest.generation.tasks import editing_models
from qiltest.image_files import MOST_RATIO
from qiltest.recipe import SIZE_MULTIPLE, Size
from qiltest.suite.variants import ModelBase, SchedulerKind, Variant
from qiltest.text.format import count


def check_variant(variant: Variant, base: ModelBase | None) -> None:
    """Raise RecipeError where the variant contradicts itself or belongs to another base model."""
    for what, remedy in _faults(variant, base):
        raise RecipeError(what, where=f"variant {variant.name}", remedy=remedy)


def check_numbers(size: Size, seed: int) -> None:
    """Raise RecipeError for a size or a seed that no pipeline takes."""
    if min(size.width, size.height) < SIZE_MULTIPLE:
        raise RecipeError(f"size {size} is below {SIZE_MULTIPLE} pixels")
    if max(size.width, size.height) > MOST_RATIO * min(size.width, size.height):
        raise RecipeError(f"size {size} has one side more than {MOST_RATIO} times the other: no reader takes the image")
    if not 0 <= seed < 1 << 63:
        raise RecipeError(f"seed {seed} is not between 0 and 2^63 - 1")


def check_inputs(case: str, number: int, family: Family, *, editing: Sequence[str] = ()) -> None:
    """Raise RecipeError for a case (its id) with another number of input images than the family's pipeline takes.

    `editing` are the models that the remedy names; (): all that are known.
    """
    most = family.most_inputs
    if number and not most:
        raise text_alone(case, number, editing)
    if most and not 0 < number <= most:
        raise RecipeError(
            f"it has {count(number, 'input image')}, and {family.pipeline} takes 1{f' to {most}' if most > 1 else ''}",
            where=f"case {case}",
            remedy="choose an edit case, or a model that generates from text",
        )


def text_alone(case: str, number: int, editing: Sequence[str] = ()) -> TextAloneError:
    """Return the error for a case with input images under a model of text alone; `editing` as in `check_inputs`."""
    return TextAloneError(
        f"it has {count(number, 'input image')}, and the model generates from text alone",
        where=f"case {case}",
        remedy=f"choose an editing model: {', '.join(editing or editing_models())}; or other cases",
    )


def _faults(variant: Variant, base: ModelBase | None) -> Iterator[tuple[str, str]]:
    scale = variant.true_cfg_scale
    if variant.steps < 1:
        yield f"steps = {variant.steps}", "give at least 1"
    if not (math.isfinite(scale) and scale >= 1):
        yield f"true CFG {scale}", "give 1 (no guidance) or more"
    if scale > 1 and variant.negative_prompt is None:
        what = f"true CFG {scale} without a negative prompt generates without guidance"
        yield what, 'give negative_prompt, for example " "'
    if variant.guidance_scale is not None:
        what = f"guidance_scale {variant.guidance_scale}, which only a guidance-distilled model reads"
        yield what, "leave it out: none of Qwen's releases is one, and their guidance is true_cfg_scale"
    if variant.scheduler is SchedulerKind.LIGHTNING and scale > 1:
        what = "guidance is already distilled in; CFG > 1 over-saturates and doubles the cost"
        yield f"true CFG {scale} on the Lightning scheduler: {what}", "true_cfg_scale = 1"
    if base is not None and not base.of_family(variant):
        what = f"it is for the family {variant.family}, the model is of {base.family}"
        model = variant.base_model or f"a model of {variant.family}"
        yield what, f"choose {model}, or another variant"
    if base is not None and base.takes(variant) is False:
        what = f"it needs the base model {variant.base_model}, the model is {base.id} ({base.evidence})"
        yield what, f"--qil-model={variant.base_model}, or --qil-base={variant.base_model} if that is what it is"
