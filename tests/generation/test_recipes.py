"""The recipe says everything, and is checked before the first image."""

from dataclasses import fields, replace

import pytest

from qiltest.errors import RecipeError
from qiltest.generation.schedule import LIGHTNING
from qiltest.hashing import file_sha256
from qiltest.lora.catalogue import ReleaseFile, Task, catalogue
from qiltest.recipe import Recipe, Size
from qiltest.suite.variants import LoraSource, ModelKind, SchedulerKind

from .conftest import BASE, EIGHT, SIZE, case


def test_a_recipe_survives_json(recipe):
    asked = recipe(EIGHT)
    assert Recipe.from_json(asked.canonical()) == asked


def test_the_suffix_of_the_prompts_language_is_part_of_the_prompt(recipe):
    assert recipe(BASE, prompt="a cat").prompt == "a cat, 4K."
    assert recipe(EIGHT, prompt="a cat").prompt == "a cat"


def test_713_wide_is_drawn_704_wide_and_both_are_kept(recipe):
    asked = recipe(EIGHT, size=Size(713, 1280))
    assert (asked.asked, asked.effective) == (Size(713, 1280), Size(704, 1280))


@pytest.mark.parametrize("steps", [1, 4, 8])
@pytest.mark.parametrize("size", [Size(64, 64), Size(1328, 1328), Size(928, 1664)], ids=str)
def test_lightning_sigmas_are_shift_three_at_every_size(generator, steps, size):
    sigmas = generator.recipe(case(), size, replace(EIGHT, steps=steps), 1).sigmas
    linear = [1 - place / steps for place in range(steps)]
    assert sigmas == pytest.approx([3 * sigma / (1 + 2 * sigma) for sigma in linear], abs=1e-6)


def test_the_models_own_sigmas_depend_on_the_size_and_end_at_its_terminal(generator):
    small, large = (generator.recipe(case(), size, BASE, 1).sigmas for size in (SIZE, Size(1328, 1328)))
    assert small[0] == large[0] == 1
    assert small[-1] == pytest.approx(0.02, abs=1e-6)
    assert small[1] < large[1]


def test_the_lightning_config_is_the_vendors(recipe):
    config = dict(recipe(EIGHT).scheduler)
    assert config.pop("class") == "FlowMatchEulerDiscreteScheduler"
    assert config == LIGHTNING


def test_one_step_on_the_models_scheduler_divides_by_zero_and_is_refused(generator):
    with pytest.raises(RecipeError, match="not finite") as caught:
        generator.recipe(case(), SIZE, replace(BASE, steps=1), 1)
    assert "at least 2 steps" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"true_cfg_scale": float("nan")}, "true CFG nan"),
        ({"true_cfg_scale": 0.5}, "true CFG 0.5"),
        ({"negative_prompt": None}, "generates without guidance"),
        ({"scheduler": SchedulerKind.LIGHTNING}, "guidance is already distilled in"),
        ({"loras": (("real", LoraSource(source="a/b::c.safetensors")),)}, "no LoRA for the tiny model"),
        ({"guidance_scale": 3.5}, "guidance_scale 3.5, which only a guidance-distilled model reads"),
        ({"sigmas": (1.0, 0.5, 0.6)}, "not 3 falling numbers"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_variant_that_cannot_be_drawn_as_it_says_is_refused(generator, change, message):
    with pytest.raises(RecipeError, match=message):
        generator.recipe(case(), SIZE, replace(BASE, **change), 1)


def test_a_variant_of_another_base_model_is_refused(fresh):
    real = fresh(kind=ModelKind.REAL, device="cpu", base="Qwen/Qwen-Image")
    with pytest.raises(RecipeError, match="needs the base model Qwen/Qwen-Image-2512") as caught:
        real.recipe(case(), SIZE, replace(BASE, base_model="Qwen/Qwen-Image-2512"), 1)
    assert "the model is Qwen/Qwen-Image (--qil-base)" in str(caught.value)
    assert "--qil-model=Qwen/Qwen-Image-2512, or --qil-base=Qwen/Qwen-Image-2512" in str(caught.value)


@pytest.mark.parametrize("kind", list(ModelKind))
def test_a_model_of_unknown_base_takes_every_variant(fresh, kind):
    made = fresh(kind=kind, device="cpu")
    assert made.recipe(case(), SIZE, replace(BASE, base_model="Qwen/Qwen-Image-2512"), 1).variant == "base"


def test_a_released_lora_of_another_task_is_refused_in_a_variant_by_its_hash(fresh, folder, monkeypatch):
    file = folder / "loras" / "8step.safetensors"
    known = catalogue()
    copy = ReleaseFile(file="Edit-8steps.safetensors", dtype="bf16", sha256=file_sha256(file), sha256_source="a test")
    edit = next(release for release in known.releases if release.tasks == [Task.EDIT] and release.steps == 8)
    planted = known.model_copy(update={"releases": [edit.model_copy(update={"files": [copy]})]})
    monkeypatch.setattr("qiltest.lora.catalogue.catalogue", lambda: planted)
    with pytest.raises(RecipeError) as caught:
        fresh().recipe(case(), SIZE, replace(EIGHT, steps=8), 1)
    message = str(caught.value)
    assert message.startswith(
        "embedded::8step: this is Qwen-Image-Edit-Lightning-8steps-V1.0 (bf16) by its SHA-256, a "
    )
    assert "LoRA for editing with Qwen/Qwen-Image-Edit in 8 steps; variant 8step generates from text alone" in message


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_a_seed_that_torch_would_wrap_is_refused(generator, seed):
    with pytest.raises(RecipeError, match="seed"):
        generator.recipe(case(), SIZE, BASE, seed)


def test_an_unused_negative_prompt_does_not_make_another_recipe(generator, recipe):
    """The vendor's script passes one to every variant; at CFG 1 the pipeline does not look at it."""
    asked = generator.recipe(case(), SIZE, replace(EIGHT, negative_prompt=" "), 42)
    assert asked == recipe(EIGHT)


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": "0" * 64},
        {"dtype": "bfloat16"},
        {"device": "another GPU"},
        {"versions": (("torch", "1.0"),)},
        {"attention_backend": "flash"},
        {"max_sequence_length": 77},
        {"compiled": True},
        {"generator_device": "cuda"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_recipe_of_another_machine_or_version_is_not_drawn(generator, recipe, change):
    with pytest.raises(RecipeError, match=f"built for another generator: {next(iter(change))}"):
        generator.denoise(replace(recipe(EIGHT), **change))


def test_another_scheduler_than_the_recipes_is_refused_by_the_settings_that_differ(generator, recipe, monkeypatch):
    """nunchaku#735: the tested pipeline lacked the shift-3 scheduler."""
    from qiltest.generation import _generator

    assert generator._pipeline is not None  # loaded before the class is not itself any more
    own, asked = generator._recipes.scheduler(BASE), recipe(EIGHT)
    monkeypatch.setattr(_generator.FlowMatchEulerDiscreteScheduler, "from_config", classmethod(lambda cls, config: own))
    for draw in (lambda: recipe(EIGHT), lambda: generator.denoise(asked)):
        with pytest.raises(RecipeError, match=r"max_shift 0\.9 instead of 1\.09.*shift_terminal 0\.02 instead of None"):
            draw()


def test_sigmas_that_are_not_the_recipes_are_refused(generator, recipe):
    with pytest.raises(RecipeError, match="sigmas are not the recipe's"):
        generator.denoise(replace(recipe(EIGHT), sigmas=(1.0, 0.7)))


def test_every_field_of_the_recipe_is_filled(recipe):
    asked = recipe(BASE)
    empty = [field.name for field in fields(asked) if getattr(asked, field.name) in ("", (), None)]
    assert empty == ["lora", "given_sigmas", "inputs", "elsewhere", "served"]
    packages = [name for name, _ in asked.versions]
    assert packages == sorted(["diffusers", "peft", "qiltest-generation", "torch", "transformers"])
