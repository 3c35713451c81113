"""Qwen-Image-2.1 on a stand-in of its layout: its images are the pipeline's own; LoRAs and folders are checked."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImage21Pipeline
from PIL import Image
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from qiltest.errors import DeviceError, ModelError, RecipeError
from qiltest.generation import Settings, open_generator
from qiltest.generation._load import random_pipeline
from qiltest.generation.families import family_named
from qiltest.generation.families.qwen_image_21 import Base21
from qiltest.generation.sources import base_of_model, known_bases, open_base, resolve_model
from qiltest.lora import inspect_lora
from qiltest.recipe import Size
from qiltest.suite.variants import LoraSource, SchedulerKind

from . import stand_in
from .conftest import BASE, asked_of, case
from .stand_in_21 import CONTEXT, LAYERS, WIDTH, build, lora_weights
from .test_same_as_the_pipeline import pixels

SIZE = Size(96, 64)
PLAIN = replace(BASE, name="2.1-base", true_cfg_scale=1.0, negative_prompt=None, family="qwen-image-2.1")
#: the recipe of lightx2v/Qwen-Image-2.1-Lightning: dynamic shift, no terminal.
DYNAMIC = replace(PLAIN, scheduler=SchedulerKind.SETTINGS, scheduler_settings=(("shift_terminal", None),))
FAMILY = family_named("qwen-image-2.1")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("21") / "stand-in-21")


@pytest.fixture(scope="module")
def generator(model):
    return open_generator(str(model), Settings(device="cpu"))


@pytest.fixture(scope="module")
def four(model):
    source = LoraSource(source=str(model / "loras" / "4step.safetensors"))
    return replace(DYNAMIC, name="2.1-4step", steps=4, loras=(("real", source),))


def loaded(model, **options) -> QwenImage21Pipeline:
    pipeline = QwenImage21Pipeline.from_pretrained(model, dtype=torch.float32, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def drawn(pipeline, recipe, **options):
    """Draw with plain diffusers; what is transparent is laid on white."""
    image = pipeline(
        **asked_of(recipe),
        **options,
    ).images[0]
    assert image.mode == "RGBA"
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


@pytest.mark.parametrize("variant", [BASE, PLAIN], ids=["with guidance", "without"])
def test_the_base_is_drawn_bit_for_bit_as_the_pipeline_draws_it(generator, model, variant):
    asked = generator.recipe(case(), SIZE, variant, 42)
    denoised = generator.denoise(asked)
    assert denoised.timing.forwards == asked.nfe
    assert np.array_equal(pixels(generator.decode(denoised).png), drawn(loaded(model), asked))


@pytest.mark.parametrize("merged", [False, True])
def test_a_lora_on_the_dynamic_shift_is_drawn_as_the_vendors_example_draws_it(generator, model, four, merged):
    config = FlowMatchEulerDiscreteScheduler.load_config(model, subfolder="scheduler")
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config, shift_terminal=None)
    plain = loaded(model, scheduler=scheduler)
    plain.load_lora_weights(str(model / "loras"), weight_name="4step.safetensors")
    asked = generator.recipe(case(), SIZE, replace(four, merged=merged), 7)
    assert asked.lora.merged is merged
    image, wanted = pixels(generator.decode(generator.denoise(asked)).png), drawn(plain, asked)
    without = generator.recipe(case(), SIZE, replace(four, loras=()), 7)
    assert not np.array_equal(image, pixels(generator.decode(generator.denoise(without)).png))
    if merged:  # one rounding less in each module
        assert np.abs(image.astype(int) - wanted).max() <= 2
    else:
        assert np.array_equal(image, wanted)


def test_the_grid_of_a_turbo_is_taken_from_its_own_index_as_the_pipeline_does(model, tmp_path):
    turbo = tmp_path / "turbo"
    shutil.copytree(model, turbo)
    index = json.loads((turbo / "model_index.json").read_text())
    (turbo / "model_index.json").write_text(json.dumps({**index, "sample_sigmas": [1.0, 0.9, 0.4]}))
    config = json.loads((turbo / "scheduler/scheduler_config.json").read_text())
    fixed = {**config, "use_dynamic_shifting": False, "shift_terminal": None}
    (turbo / "scheduler/scheduler_config.json").write_text(json.dumps(fixed))
    made = open_generator(str(turbo), Settings(device="cpu"))
    asked = made.recipe(case(), SIZE, PLAIN, 3)
    assert asked.sigmas == pytest.approx((1.0, 0.9, 0.4))
    assert np.array_equal(pixels(made.decode(made.denoise(asked)).png), drawn(loaded(turbo), asked))
    # the same grid, written down in a variant of the base
    settings = (("shift_terminal", None), ("use_dynamic_shifting", False))
    written = replace(PLAIN, sigmas=(1.0, 0.9, 0.4), scheduler=SchedulerKind.SETTINGS, scheduler_settings=settings)
    base = open_generator(str(model), Settings(device="cpu"))
    assert base.recipe(case(), SIZE, written, 3).sigmas == asked.sigmas


@pytest.mark.parametrize(
    "sigmas",
    [[1.0, "0.5"], [1.0, True], [2.0, 1.0], [1.0, 0.0], 7, {"a": 1}, [0.5] * 2000],
    ids=lambda one: str(one)[:12],
)
def test_sigmas_of_an_index_that_are_no_sigmas_are_refused(model, tmp_path, sigmas):
    turbo = tmp_path / "turbo"
    shutil.copytree(model, turbo)
    index = json.loads((turbo / "model_index.json").read_text())
    (turbo / "model_index.json").write_text(json.dumps({**index, "sample_sigmas": sigmas}))
    with pytest.raises(ModelError, match=r"model_index\.json: sample_sigmas"):
        resolve_model(str(turbo))


@pytest.mark.parametrize("options", [{"offload": "group"}, {"fp8": True}, {"offload": "group", "fp8": True}])
def test_each_way_of_saving_memory_makes_the_same_image_and_takes_a_merged_lora_off_again(model, four, options):
    alone = open_generator(str(model), Settings(device="cpu", fp8=options.get("fp8", False)))
    apart = open_generator(str(model), Settings(device="cpu", **options))
    variants = (BASE, replace(four, merged=True), BASE)
    one, other = (
        [made.denoise(made.recipe(case(), SIZE, variant, 1)).latents_sha256 for variant in variants]
        for made in (alone, apart)
    )
    assert one == other
    assert one[0] == one[2] != one[1]


def test_sizes_are_floored_to_multiples_of_32(generator):
    asked = generator.recipe(case(), Size(111, 80), PLAIN, 1)
    assert asked.effective == Size(96, 64)
    assert pixels(generator.decode(generator.denoise(asked)).png).shape == (64, 96, 3)


def test_a_prompt_of_any_length_is_read_whole_and_the_recipe_names_no_longest(generator):
    long = "x" * 1500
    assert generator.recipe(case(long), SIZE, PLAIN, 1).max_sequence_length == 0
    generator.prepare([long])
    assert generator._prompts.get(long).tokens > 1500


def test_a_folder_is_of_its_family_and_a_variant_of_another_is_refused(generator, model):
    assert resolve_model(str(model)).family is FAMILY
    assert base_of_model(str(model)).family == base_of_model("Qwen/Qwen-Image-2.1").family == "qwen-image-2.1"
    with pytest.raises(RecipeError, match=r"for the family qwen-image, the model is of qwen-image-2\.1"):
        generator.recipe(case(), SIZE, replace(BASE, family="qwen-image"), 1)


def test_a_part_that_is_missing_or_a_weight_that_would_stay_random_is_refused(model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    shutil.rmtree(broken / "processor")
    with pytest.raises(DeviceError, match="missing: processor"):
        open_generator(str(broken), Settings(device="cpu"))
    shutil.copytree(model / "processor", broken / "processor")
    config = json.loads((broken / "transformer/config.json").read_text())
    (broken / "transformer/config.json").write_text(json.dumps({**config, "num_layers": LAYERS + 1}))
    with pytest.raises(ModelError, match="transformer: 9 weights missing"):
        open_generator(str(broken), Settings(device="cpu"))


def test_a_lora_is_inspected_against_the_modules_of_its_own_family(model, tmp_path):
    base, file = open_base(str(model)), model / "loras" / "4step.safetensors"
    assert (type(base), base.num_layers, base.context_in_dim) == (Base21, LAYERS, CONTEXT)
    assert inspect_lora(file, base=base).passes
    assert open_base("qwen-image-2.1") in known_bases()
    refused = inspect_lora(file, base=open_base("qwen-image"))
    assert any("a file of Qwen-Image-2.1" in finding.text for finding in refused.findings)
    from safetensors.torch import save_file

    tensors = lora_weights(seed=1)
    left = {key: value for key, value in tensors.items() if "transformer_blocks.1.img_mlp.gate_layer" not in key}
    save_file(left, tmp_path / "partial.safetensors")
    partial = inspect_lora(tmp_path / "partial.safetensors", base=base)
    assert partial.left_out == ("transformer_blocks.1.img_mlp.gate_layer",)
    assert not partial.passes


def test_a_lora_of_qwen_image_is_refused(generator, tmp_path):
    from safetensors.torch import save_file

    save_file(stand_in.lora_weights(seed=8), tmp_path / "other.safetensors")
    variant = replace(PLAIN, loras=(("real", LoraSource(source=str(tmp_path / "other.safetensors"))),))
    with pytest.raises(RecipeError):
        generator.recipe(case(), SIZE, variant, 1)


def test_kohyas_names_are_those_that_diffusers_turns_into_the_modules():
    from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_qwen_lora_to_diffusers

    base = Base21(name="small", num_layers=2, attention_head_dim=32, num_attention_heads=2, context_in_dim=48)
    for name in base.modules:
        flat, factor = name.replace(".", "_"), torch.zeros(2, 2)
        parts = {"lora_down.weight": factor, "lora_up.weight": factor, "alpha": torch.tensor(2.0)}
        try:
            read = _convert_non_diffusers_qwen_lora_to_diffusers(
                {f"lora_unet_{flat}.{key}": parts[key] for key in parts}
            )
        except ValueError:  # its names are no pairs any more
            read = {}
        found = {key.removeprefix("transformer.").partition(".lora_")[0] for key in read}
        assert (found == {name}) == (base.flat_names.get(flat) == name), (name, found)


def test_a_file_in_kohyas_names_is_refused_for_what_diffusers_would_lose(model, tmp_path):
    from safetensors.torch import save_file

    tensors = {}
    for key, value in lora_weights(seed=1).items():
        name, _, ending = key.removeprefix("transformer.").partition(".lora_")
        flat = f"lora_unet_{name.replace('.', '_')}"
        tensors[f"{flat}.lora_{'down' if ending.startswith('A') else 'up'}.weight"] = value
        tensors[f"{flat}.alpha"] = torch.tensor(4.0)
    save_file(tensors, tmp_path / "kohya.safetensors")
    report = inspect_lora(tmp_path / "kohya.safetensors", base=open_base(str(model)))
    assert not report.passes
    assert any("gate_layer" in error for error in report.errors)


SMALL = {
    "num_layers": LAYERS,
    "attention_head_dim": 32,
    "num_attention_heads": WIDTH // 32,
    "context_in_dim": CONTEXT,
    "axes_dims_rope": (8, 12, 12),
}


def test_random_weights_of_its_layout_make_an_image():
    vae = {"base_dim": 8, "decoder_base_dim": 8, "num_res_blocks": 1}
    pipeline = random_pipeline(SMALL, vae, torch.float32, torch.device("cpu"), family=FAMILY)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        prompt_embeds=torch.randn(1, 9, CONTEXT), num_inference_steps=2, width=64, height=64, true_cfg_scale=1.0
    ).images
    assert images[0].size == (64, 64)


def test_its_operations_are_torchs_own_count_for_the_first_step_and_for_later_ones(generator, four):
    one, three = (generator.recipe(case(), SIZE, replace(DYNAMIC, steps=steps), 1) for steps in (2, 4))
    base = generator._recipes.base
    text = generator._prompts.get(one.prompt).tokens
    for recipe in (one, three):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            generator.denoise(recipe)
        counted = FAMILY.image_operations(base, recipe, text_tokens=text, negative_tokens=0)
        assert counted == counter.get_total_flops()
