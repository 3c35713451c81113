"""LoRAs merged into the weights, as the script of the report does: its formula, its images, and back again."""

import functools
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline
from safetensors.torch import load_file

from qiltest.errors import DeviceError, RecipeError
from qiltest.generation import Settings, _merge, _weights, open_generator
from qiltest.generation._weights import FolderWeights
from qiltest.generation.schedule import LIGHTNING
from qiltest.suite.load import load_suite
from qiltest.suite.variants import ModelKind

from .conftest import BASE, EIGHT, FOUR, SIZE, case
from .test_same_as_the_pipeline import drawn_plainly, pixels

MERGED = {"8step": replace(EIGHT, merged=True), "4step": replace(FOUR, merged=True)}


def draw(generator, variant, seed=42):
    return generator.denoise(generator.recipe(case(), SIZE, variant, seed)).latents


@pytest.fixture(scope="module")
def shared(folder):
    """A generator of each dtype, whose weights are the base's again before each variant, as another test shows."""
    return functools.cache(lambda dtype: open_generator(str(folder), Settings(dtype=dtype), kind=ModelKind.TINY))


@pytest.fixture(scope="module")
def scripts(folder):
    """The script's pipeline of each name and dtype, as it is after its LoRA."""
    return functools.cache(lambda name, dtype: script_pipeline(folder, name, getattr(torch, dtype)))


def png(generator, variant):
    return pixels(generator.decode(generator.denoise(generator.recipe(case(), SIZE, variant, 42))).png)


def as_the_script_merges(transformer, file):
    """The report's formula, for every parameter that the file names: float32 delta, weight's dtype at the end."""
    loaded = load_file(file)
    for name, parameter in transformer.named_parameters():
        module = name.removesuffix(".weight")
        if f"{module}.lora_down.weight" in loaded:
            down, up = (loaded[f"{module}.lora_{part}.weight"].float() for part in ("down", "up"))
            delta = float(loaded[f"{module}.alpha"]) / down.shape[0] * torch.matmul(up, down)
            parameter.data = (parameter.data + delta).type_as(parameter.data)


def script_pipeline(folder, name, dtype):
    pipeline = QwenImagePipeline.from_pretrained(folder, dtype=dtype)
    if name != "base":
        as_the_script_merges(pipeline.transformer, folder / "loras" / f"{name}.safetensors")
        pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def weights_of(transformer):
    return {name: parameter.detach().clone() for name, parameter in transformer.named_parameters()}


def weights_sha256(generator):
    digest = hashlib.sha256()
    for name, parameter in generator._pipeline.transformer.named_parameters():
        digest.update(name.encode() + parameter.detach().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MERGED)
def test_every_weight_is_bit_for_bit_what_the_formula_of_the_reports_script_gives(shared, scripts, name, dtype):
    generator = shared(dtype)
    draw(generator, MERGED[name])
    wanted = weights_of(scripts(name, dtype).transformer)
    seen = weights_of(generator._pipeline.transformer)
    assert seen.keys() == wanted.keys()
    assert [key for key in wanted if not torch.equal(seen[key], wanted[key])] == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("variant", [BASE, *MERGED.values()], ids=lambda variant: variant.name)
def test_the_image_is_bit_for_bit_the_one_of_the_reports_script(shared, scripts, variant, dtype):
    generator = shared(dtype)
    asked = generator.recipe(case(), SIZE, variant, 42)
    assert np.array_equal(png(generator, variant), drawn_plainly(scripts(variant.name, dtype), asked))


PROMPT = "a sign that reads “Hello 云 42”"
SUITE = load_suite(Path(__file__).parents[2] / "cases")


#: what the script hard-codes, but for its steps.
SCALES = {"base": 4.0, "8step": 1.0, "4step": 1.0}


def by_the_script(folder, name, *, later, steps):
    """An image as the vendor's script makes it, on 2025-08-14 or later; what it hard-codes stands here once more."""
    pipeline = script_pipeline(folder, "base" if later else name, torch.float32)
    if name != "base":
        pipeline.scheduler = FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING)
    if later and name != "base":
        pipeline.load_lora_weights(str(folder / "loras"), weight_name=f"{name}.safetensors")
    suffix = ", Ultra HD, 4K, cinematic composition." if later else "Ultra HD, 4K, cinematic composition."
    return np.asarray(
        pipeline(
            prompt=PROMPT + suffix,
            negative_prompt=" ",
            width=SIZE.width,
            height=SIZE.height,
            num_inference_steps=steps,
            true_cfg_scale=SCALES[name],
            max_sequence_length=1024,
            generator=torch.Generator(device="cpu").manual_seed(42),
        ).images[0]
    )


@pytest.mark.parametrize("later", [False, True], ids=["2025-08-14", "later"])
@pytest.mark.parametrize("name", ["base", "8step", "4step"])
def test_a_shipped_variant_gives_bit_for_bit_the_image_of_the_vendors_script(generator, folder, name, later):
    variant = SUITE.variant(f"{name}-later" if later else name)
    assert variant.steps == (50 if name == "base" else int(name[0]))
    # the schedule of the base is made the same way for a few steps
    variant = replace(variant, steps=min(8, variant.steps))
    seen = generator.decode(generator.denoise(generator.recipe(case(PROMPT), SIZE, variant, 42)))
    assert np.array_equal(pixels(seen.png), by_the_script(folder, name, later=later, steps=variant.steps))


def test_the_two_scripts_give_different_images(folder):
    earlier, later = (by_the_script(folder, "4step", later=later, steps=4) for later in (False, True))
    assert not np.array_equal(earlier, later)


def test_fusing_as_diffusers_does_gives_other_weights_in_bfloat16(fresh, folder):
    """Why the formula is our own: diffusers rounds the factors to the weight's dtype first."""
    generator = fresh(dtype="bfloat16")
    draw(generator, MERGED["8step"])
    plain = QwenImagePipeline.from_pretrained(folder, dtype=torch.bfloat16)
    lora = load_file(folder / "loras" / "8step.safetensors")
    finer = {key: value.float() + 1e-4 if "lora_" in key else value for key, value in lora.items()}
    plain.load_lora_weights(finer)
    plain.fuse_lora()
    fused = {
        name.replace(".base_layer", ""): value
        for name, value in plain.transformer.named_parameters()
        if ".lora_" not in name
    }
    as_script = QwenImagePipeline.from_pretrained(folder, dtype=torch.bfloat16).transformer
    for name, parameter in as_script.named_parameters():
        module = name.removesuffix(".weight")
        if f"{module}.lora_down.weight" in finer:
            down, up = finer[f"{module}.lora_down.weight"], finer[f"{module}.lora_up.weight"]
            scale = float(finer[f"{module}.alpha"]) / down.shape[0]
            one = _merge.Factors(module=module, down=down, up=up, scale=scale)
            assert not torch.equal(_merge.merged(parameter.data, one), fused[name])


def test_the_base_is_bit_for_bit_the_same_after_every_switch_and_holds_no_copy(fresh):
    generator = fresh()
    before = draw(generator, BASE)
    untouched = weights_sha256(generator)
    first = {name: draw(generator, variant) for name, variant in MERGED.items()}
    order = [(BASE, before), (MERGED["8step"], first["8step"]), (BASE, before), (MERGED["4step"], first["4step"])]
    for variant, seen in (*order, *order[1:3]):
        assert torch.equal(draw(generator, variant), seen)
    generator._merged.switch(None)
    assert weights_sha256(generator) == untouched
    assert not torch.equal(*first.values())
    kept = [value for value in vars(generator._merged).values() if isinstance(value, torch.Tensor)]
    assert kept == []


def test_merging_changes_the_weights_while_the_variant_is_generated(fresh):
    """Else the test of restoring would pass on a LoRA that is never merged."""
    generator = fresh()
    draw(generator, BASE)
    untouched = weights_sha256(generator)
    draw(generator, MERGED["8step"])
    assert weights_sha256(generator) != untouched


def test_merged_and_beside_the_weights_agree_within_rounding_and_are_two_recipes(fresh, generator):
    both = fresh()
    merged, beside = draw(both, MERGED["8step"]), draw(both, EIGHT)
    torch.testing.assert_close(merged, beside, rtol=1e-3, atol=1e-4)
    assert torch.equal(draw(both, MERGED["8step"]), merged)
    assert torch.equal(draw(both, EIGHT), beside)
    one, other = (generator.recipe(case(), SIZE, variant, 42) for variant in (MERGED["8step"], EIGHT))
    assert (one.lora.merged, other.lora.merged) == (True, False)
    assert one.key() != other.key()


@pytest.mark.parametrize(("asked", "wanted"), [(True, True), (False, False), (None, None)])
def test_the_option_merge_overrides_what_variants_say(fresh, asked, wanted):
    generator = fresh(merge=asked)
    seen = [generator.recipe(case(), SIZE, variant, 42).lora.merged for variant in (EIGHT, MERGED["8step"])]
    assert seen == ([False, True] if wanted is None else [wanted, wanted])


@pytest.mark.parametrize("which", [1, 20, 30])
def test_an_interrupt_in_the_middle_of_a_switch_is_made_good_by_the_next_one(fresh, monkeypatch, which):
    generator = fresh()
    variants = (BASE, *MERGED.values())
    wanted = [draw(generator, variant) for variant in variants]
    write, calls = _merge.write_weight, []

    def interrupted(transformer, name, values):
        calls.append(name)
        if len(calls) == which:
            transformer.get_parameter(name).data += 1  # as if only a part were written
            raise KeyboardInterrupt
        write(transformer, name, values)

    with monkeypatch.context() as patch:
        patch.setattr(_merge, "write_weight", interrupted)
        for variant in (BASE, MERGED["8step"]):  # 24 modules are restored, then 24 merged
            try:
                draw(generator, variant)
            except KeyboardInterrupt:
                break
    assert len(calls) >= which
    for variant, latents in zip(reversed(variants), reversed(wanted), strict=True):
        assert torch.equal(draw(generator, variant), latents)


def test_a_model_file_that_changes_during_the_session_is_refused_not_mixed_in(tmp_path):
    from .stand_in import build

    weights = FolderWeights(build(tmp_path / "model"))
    file = next((tmp_path / "model" / "transformer").glob("*.safetensors"))
    with weights.reading() as read:
        assert read("proj_out.weight").ndim == 2
    file.write_bytes(file.read_bytes() + b" ")
    with weights.reading() as read, pytest.raises(DeviceError, match="changed during the session"):
        read("proj_out.weight")


def test_a_model_file_that_changes_under_equal_size_and_time_is_refused_too(tmp_path):
    from .stand_in import build

    weights = FolderWeights(build(tmp_path / "model"))
    file = next((tmp_path / "model" / "transformer").glob("*.safetensors"))
    with weights.reading() as read:
        read("proj_out.weight")
    data, time = file.read_bytes(), file.stat().st_mtime_ns
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(file, ns=(time, time))
    with weights.reading() as read, pytest.raises(DeviceError, match="changed during the session"):
        read("proj_out.weight")


def test_a_weight_that_no_file_has_is_an_error_with_its_name(folder):
    with FolderWeights(folder).reading() as read, pytest.raises(DeviceError, match=r"no file .* nowhere\.weight"):
        read("nowhere.weight")


def test_a_module_that_the_transformer_lacks_is_an_error_with_its_name(fresh):
    generator = fresh()
    draw(generator, BASE)
    odd = _merge.Factors(module="nowhere.to_q", down=torch.ones(1, 2), up=torch.ones(2, 1), scale=1.0)
    with pytest.raises(RecipeError, match=r"no weight nowhere\.to_q\.weight"):
        generator._merged.switch("0" * 64, lambda: [odd])
    assert torch.equal(draw(generator, BASE), draw(fresh(), BASE))


def test_products_are_exact_while_merging_and_as_before_afterwards():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with _merge.exact_products():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_a_random_weight_is_the_same_each_time_and_another_for_another_name():
    shapes = {"a.weight": torch.Size((8, 4)), "b.weight": torch.Size((8, 4)), "norm.weight": torch.Size((4,))}
    made = _weights.RandomWeights(shapes, seed=0, std=0.02, dtype=torch.bfloat16, device=torch.device("cpu"))
    assert torch.equal(made.make("a.weight"), made.make("a.weight"))
    assert not torch.equal(made.make("a.weight"), made.make("b.weight"))
    assert made.make("norm.weight").tolist() == [1.0] * 4
