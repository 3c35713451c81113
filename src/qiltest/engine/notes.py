"""What a run could not check of its model and LoRA files: notes, not problems."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from qiltest.generation.sources import is_embedded
from qiltest.lora.catalogue import catalogue
from qiltest.lora.releases import hints_against, mismatch
from qiltest.recipe import LoraRecipe, Recipe
from qiltest.suite.problems import suggest
from qiltest.suite.variants import ModelBase, Variant

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def run_notes(base: ModelBase, variants: Mapping[str, Variant], recipes: Iterable[Recipe]) -> Iterator[str]:
    """Yield a note where the model's base is unknown to variants that name one, and one for each doubtful LoRA file."""
    unknown = [name for name, variant in variants.items() if base.takes(variant) is None]
    wanted = [str(variants[name].base_model) for name in unknown]
    if unknown and not is_embedded(base.model):
        yield (
            f"base not checked: nothing tells which base model {base.model} is, but {', '.join(unknown)} "
            f"{'is' if len(unknown) == 1 else 'are'} for {' or '.join(dict.fromkeys(wanted))}; --qil-base=ID says it"
        )
    for name, variant in variants.items():
        wanted_base = variant.base_model or ""
        if _HUB_ID.fullmatch(wanted_base) and not base.takes(variant) and catalogue().base(wanted_base) is None:
            known = [known.id for known in catalogue().bases]
            yield (
                f"variant {name}: its base_model {wanted_base} is not in the catalogue{suggest(wanted_base, known)}; "
                "correct it in variants.toml, unless it is a model of your own"
            )
    loras = {recipe.variant: recipe.lora for recipe in recipes if recipe.lora is not None}
    for name, lora in loras.items():
        yield from (f"variant {name}: {hint}" for hint in _hints(variants[name], lora, base.id))


def _hints(variant: Variant, lora: LoraRecipe, base: str | None) -> Iterator[str]:
    other = mismatch(sha256=lora.sha256, source=lora.source, like=variant, base=base)
    yield from [str(other)] if other else hints_against(lora.source, {}, variant, base)
