"""`--qil-offload=sequential` keeps weights on the meta device: a LoRA could be neither checked nor merged there."""

import pytest

from qiltest.errors import RecipeError

from .conftest import BASE, EIGHT, SIZE, case


@pytest.mark.parametrize("merge", [False, True])
def test_a_lora_is_refused_before_anything_is_loaded_and_the_remedy_is_named(fresh, merge):
    generator = fresh(offload="sequential", merge=merge)
    with pytest.raises(RecipeError, match="--qil-offload=sequential") as caught:
        generator.recipe(case(), SIZE, EIGHT, 42)
    assert "--qil-offload=model" in str(caught.value)
    assert "_pipeline" not in vars(generator)


def test_the_base_alone_has_a_recipe(fresh):
    assert fresh(offload="sequential").recipe(case(), SIZE, BASE, 42).lora is None


def test_offloading_one_part_at_a_time_takes_a_lora(fresh):
    assert fresh(offload="model").recipe(case(), SIZE, EIGHT, 42).lora is not None
