"""Recipes that a variant writes down: settings of the scheduler, sigmas, a family; what cannot be so is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from qiltest.errors import DeviceError, ModelError, RecipeError
from qiltest.generation import open_generator
from qiltest.generation.sources import resolve_model
from qiltest.input_images import InputImage
from qiltest.suite.variants import ModelKind, SchedulerKind

from .conftest import BASE, EIGHT, SIZE, case
from .test_same_as_the_pipeline import drawn_plainly, pixels

UNSHIFTED = (("shift_terminal", None), ("use_dynamic_shifting", False))


def test_settings_of_a_variant_change_the_models_own_scheduler_and_nothing_else(generator, plain):
    """The recipe of Qwen-Image-2.1-Lightning: the model's own dynamic shift, without its terminal."""
    settings = replace(BASE, scheduler=SchedulerKind.SETTINGS, scheduler_settings=(("shift_terminal", None),))
    asked, own = generator.recipe(case(), SIZE, settings, 1), generator.recipe(case(), SIZE, BASE, 1)
    assert set(own.scheduler) - set(asked.scheduler) == {("shift_terminal", 0.02)}
    assert set(asked.scheduler) - set(own.scheduler) == {("shift_terminal", None)}
    assert asked.sigmas[-1] > own.sigmas[-1] == pytest.approx(0.02)
    generated = generator.decode(generator.denoise(asked))
    before = plain.scheduler
    plain.scheduler = type(before).from_config(before.config, shift_terminal=None)
    try:
        assert np.array_equal(pixels(generated.png), drawn_plainly(plain, asked))
    finally:
        plain.scheduler = before


def test_sigmas_are_given_to_the_pipeline_and_only_the_scheduler_shifts_them(generator, plain):
    asked = generator.recipe(case(), SIZE, replace(BASE, sigmas=(1.0, 0.8, 0.3)), 1)
    assert asked.given_sigmas == (1.0, 0.8, 0.3)
    assert asked.sigmas != asked.given_sigmas
    assert asked.key() != generator.recipe(case(), SIZE, BASE, 1).key()
    generated = generator.decode(generator.denoise(asked))
    assert np.array_equal(pixels(generated.png), drawn_plainly(plain, asked, sigmas=[1.0, 0.8, 0.3]))


def test_a_fixed_list_is_used_as_it_is_where_the_scheduler_shifts_nothing(generator):
    """The recipe of Qwen-Image-2.1-Turbo."""
    fixed = replace(BASE, sigmas=(1.0, 0.8, 0.3), scheduler=SchedulerKind.SETTINGS, scheduler_settings=UNSHIFTED)
    asked = generator.recipe(case(), SIZE, fixed, 1)
    assert asked.sigmas == pytest.approx(asked.given_sigmas)
    generator.warm_up(asked)
    assert generator.denoise(asked).timing.forwards == 6


def test_the_sigmas_that_a_release_names_for_itself_are_taken_or_other_steps_refused(folder, tmp_path):
    named = tmp_path / "named"
    shutil.copytree(folder, named)
    index = json.loads((named / "model_index.json").read_text())
    (named / "model_index.json").write_text(json.dumps({**index, "sample_sigmas": [1.0, 0.8, 0.3]}))
    made = open_generator(str(named), kind=ModelKind.TINY)
    assert made.recipe(case(), SIZE, BASE, 1).given_sigmas == (1.0, 0.8, 0.3)
    assert made.recipe(case(), SIZE, EIGHT, 1).given_sigmas == ()
    with pytest.raises(RecipeError, match=r"takes 4 steps, and the model's model_index\.json has sample_sigmas for 3"):
        made.recipe(case(), SIZE, replace(BASE, steps=4), 1)


def test_settings_that_diffusers_cannot_use_are_the_variants_fault_and_end_no_session(generator, monkeypatch):
    settings = (("shift_terminal", 0.5),)
    variant = replace(BASE, scheduler=SchedulerKind.SETTINGS, scheduler_settings=settings)
    both = replace(variant, scheduler_settings=(("use_beta_sigmas", True), ("use_karras_sigmas", True)))
    with pytest.raises(RecipeError, match="use_beta_sigmas and use_karras_sigmas exclude each other"):
        generator.recipe(case(), SIZE, both, 1)

    def broken(*_, **__):
        raise ValueError("no such schedule")

    monkeypatch.setattr("qiltest.generation._recipes.sigmas_of", broken)
    with pytest.raises(RecipeError, match="variant base: its scheduler cannot be used: no such schedule"):
        generator.recipe(case(), SIZE, variant, 1)
    with pytest.raises(ModelError, match="its scheduler cannot be used: no such schedule"):
        generator.recipe(case(), SIZE, BASE, 1)


def test_a_variant_of_another_family_is_refused(fresh):
    real = fresh(kind=ModelKind.REAL, device="cpu")
    assert real.recipe(case(), SIZE, replace(BASE, family="qwen-image"), 1).variant == "base"
    with pytest.raises(RecipeError, match="for the family qwen-image-edit, the model is of qwen-image") as caught:
        real.recipe(case(), SIZE, replace(BASE, family="qwen-image-edit"), 1)
    assert "choose a model of qwen-image-edit, or another variant" in str(caught.value)


def test_input_images_for_a_model_of_text_alone_are_refused(generator):
    edit = replace(case(), inputs=(InputImage(path="a.png", sha256="ab"),))
    with pytest.raises(RecipeError, match="the model generates from text alone"):
        generator.recipe(edit, SIZE, BASE, 1)


def test_random_weights_of_a_family_that_is_none_are_refused_by_name():
    assert resolve_model("random").family is resolve_model("random/qwen-image").family
    with pytest.raises(DeviceError, match="'random/flux' names no family") as caught:
        resolve_model("random/flux")
    assert "random/qwen-image" in caught.value.remedy
