"""A LoRA at a strength: its delta times a factor, beside the weights and merged into them; 1 is as without."""

from dataclasses import replace

import pytest
import torch

from qiltest.recipe import Recipe

from .conftest import EIGHT, SIZE, case


def at(strength, *, merged=False):
    kind, lora = EIGHT.loras[0]
    return replace(EIGHT, merged=merged, loras=((kind, replace(lora, strength=strength)),))


def draw(generator, variant):
    return generator.denoise(generator.recipe(case(), SIZE, variant, 42)).latents


def delta(generator, variant):
    """What the LoRA adds to the output of a module beside the weights."""
    draw(generator, variant)
    module = next(m for m in generator._pipeline.transformer.modules() if hasattr(m, "lora_A"))
    inputs = torch.ones(1, module.base_layer.weight.shape[1])
    return module(inputs) - module.base_layer(inputs)


def test_half_the_strength_is_half_the_delta_and_1_is_the_file_as_it_is(fresh):
    generator = fresh()
    whole = delta(generator, EIGHT)
    torch.testing.assert_close(delta(generator, at(0.5)), 0.5 * whole)
    assert torch.equal(delta(generator, at(1.0)), whole)
    assert torch.equal(delta(generator, EIGHT), whole)


def test_merged_and_beside_the_weights_give_the_same_image_at_each_strength(fresh):
    generator = fresh()
    drawn = {(s, m): draw(generator, at(s, merged=m)) for s in (1.0, 0.5) for m in (False, True)}
    torch.testing.assert_close(drawn[0.5, True], drawn[0.5, False], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(drawn[0.5, False], drawn[1.0, False], rtol=1e-3, atol=1e-3)
    assert torch.equal(draw(generator, at(1.0, merged=True)), drawn[1.0, True])


def test_a_strength_is_part_of_the_recipe_and_1_leaves_the_key_as_it_was(recipe):
    whole, half = recipe(EIGHT), recipe(at(0.5))
    assert recipe(at(1.0)).key() == whole.key()
    assert half.key() != whole.key()
    assert (half.facts()["lora.strength"], "lora.strength" in whole.facts()) == (0.5, False)
    assert '"strength"' not in whole.canonical()
    assert Recipe.from_json(half.canonical()).lora.strength == 0.5
    assert Recipe.from_json(whole.canonical()).lora.strength == 1.0


def test_a_strength_that_is_not_finite_is_refused(recipe):
    from qiltest.errors import RecipeError

    with pytest.raises(RecipeError, match=r"lora\.strength is nan"):
        recipe(at(float("nan")))
