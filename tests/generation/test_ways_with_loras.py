"""Ways that keep weights away from their modules, or in float8, take a merged LoRA and none beside the weights."""

import functools

import pytest

from qiltest.errors import RecipeError
from qiltest.generation import Settings, open_generator
from qiltest.suite.variants import ModelKind

from .conftest import BASE, EIGHT, FOUR, SIZE, case

APART = [{"offload": "sequential"}, {"offload": "group"}, {"fp8": True}]


@pytest.mark.parametrize("options", APART, ids=str)
def test_a_lora_beside_the_weights_is_refused_before_anything_is_loaded(fresh, options):
    generator = fresh(**options, merge=False)
    with pytest.raises(RecipeError, match="a LoRA beside the weights cannot be combined with --qil-") as caught:
        generator.recipe(case(), SIZE, EIGHT, 42)
    assert "--qil-merge=yes" in str(caught.value)
    assert "_pipeline" not in vars(generator)


@pytest.mark.parametrize("options", [*APART, {"offload": "model"}], ids=str)
def test_a_merged_lora_is_taken(fresh, options):
    assert fresh(**options, merge=True).recipe(case(), SIZE, EIGHT, 42).lora.merged


@pytest.mark.parametrize("options", APART, ids=str)
def test_the_base_alone_has_a_recipe(fresh, options):
    assert fresh(**options, merge=False).recipe(case(), SIZE, BASE, 42).lora is None


def latents(generator, variant):
    return generator.denoise(generator.recipe(case(), SIZE, variant, 42)).latents_sha256


def all_variants(generator):
    return [latents(generator, variant) for variant in (BASE, EIGHT, FOUR, BASE)]


@pytest.fixture(scope="module")
def plainly(folder):
    """What is generated without offloading, with and without float8."""
    return functools.cache(
        lambda fp8: all_variants(open_generator(str(folder), Settings(fp8=fp8, merge=True), kind=ModelKind.TINY))
    )


@pytest.mark.parametrize("way", ["none", "model", "group"])
@pytest.mark.parametrize("fp8", [False, True])
def test_all_variants_are_generated_in_each_way_and_the_base_comes_back(fresh, plainly, way, fp8):
    found = all_variants(fresh(offload=way, fp8=fp8, merge=True))
    assert found == plainly(fp8)
    assert found[0] == found[3]
    assert len(set(found)) == 3
