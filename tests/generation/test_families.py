"""The families: each says what is true of the installed diffusers and transformers."""

import inspect

import diffusers
import pytest
import transformers

from qiltest.generation.families import FAMILIES, Family, family_named, family_of
from qiltest.generation.schedule import as_tuple
from qiltest.lora.bases import Base

EACH = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


def test_each_has_a_name_and_a_pipeline_of_its_own_by_which_it_is_found():
    assert len({family.name for family in FAMILIES}) == len({family.pipeline for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert family_of(family.pipeline) is family_named(family.name) is family
    assert family_of("FluxPipeline") is family_named("flux") is family_of(None) is None


@EACH
def test_its_parts_are_those_that_the_pipeline_is_made_of(family: Family):
    parameters = inspect.signature(getattr(diffusers, family.pipeline)).parameters
    needed = {name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty}
    assert set(family.components) == needed
    for name in family.classes.values():
        assert hasattr(diffusers, name) or hasattr(transformers, name)
    assert family.vocabulary in family.components


@EACH
def test_its_scheduler_takes_its_config_as_it_is(family: Family):
    made = getattr(diffusers, family.classes["scheduler"]).from_config(dict(family.scheduler))
    own = dict(as_tuple(made.config, ""))
    assert {key: own[key] for key in family.scheduler} == dict(family.scheduler)


@EACH
def test_its_base_has_the_linear_modules_of_the_transformer_at_full_size(family: Family):
    """On the meta device: names and shapes cost no memory."""
    import torch
    from accelerate import init_empty_weights

    with init_empty_weights():
        transformer = getattr(diffusers, family.classes["transformer"])(**family.random_configs()["transformer"])
    assert all(parameter.is_meta for parameter in transformer.parameters())
    linear = {
        name: (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    base = family.base()
    assert isinstance(base, Base)
    assert base.modules == linear
    assert family.text_width(base) == linear["txt_in"][1] if "txt_in" in linear else family.text_width(base) > 0


@EACH
def test_its_pipeline_is_put_together_without_text_encoder_and_without_transformer(family: Family):
    pipeline = family.assemble()
    assert type(pipeline).__name__ == family.pipeline
    assert pipeline.transformer is pipeline.text_encoder is pipeline.vae is None
    assert "{}" in family.template()
