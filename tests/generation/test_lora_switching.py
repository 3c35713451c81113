"""LoRAs beside the weights: every key applied or an error; switched and taken off without a trace."""

import hashlib
import os
from dataclasses import replace

import pytest
import torch

from qiltest.errors import RecipeError
from qiltest.generation import open_generator
from qiltest.lora.keys import Naming, Prefix, ignored_by_diffusers
from qiltest.suite.variants import LoraSource, ModelKind

from .conftest import BASE, EIGHT, FOUR, SIZE, case
from .lora_files import BAD, PREFIXES, first_block_only, first_block_silent, good, rename, write

#: the ways of writing one file, and whether diffusers ignores it; one generator loads them all, beside one another.
FORMATS = [(prefix, a_b, alpha) for prefix in PREFIXES for a_b in (False, True) for alpha in (False, True)]


def of_file(path, *, sha256=None, name="new"):
    return replace(EIGHT, name=name, loras=(("tiny", LoraSource(source=str(path), sha256=sha256)),))


def ignored(prefix, a_b, alpha):
    return ignored_by_diffusers(Prefix(prefix), Naming.A_B if a_b else Naming.DOWN_UP, has_alpha=alpha)


def weights_sha256(generator):
    """A hash of the base's own weights, whatever wraps them."""
    digest = hashlib.sha256()
    for name, parameter in generator._pipeline.transformer.named_parameters():
        if "lora_" not in name:
            digest.update(name.replace(".base_layer", "").encode())
            digest.update(parameter.detach().numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def many(folder):
    """A generator that loads one file after another, and keeps them all."""
    return open_generator(str(folder), kind=ModelKind.TINY)


def draw(generator, variant, seed=42):
    return generator.denoise(generator.recipe(case(), SIZE, variant, seed)).latents


@pytest.mark.parametrize(("prefix", "a_b", "alpha"), [one for one in FORMATS if ignored(*one) is None])
def test_the_applied_delta_is_alpha_over_rank_times_up_times_down(many, tmp_path, prefix, a_b, alpha):
    tensors = good(alpha=3.0)
    path = write(tmp_path / "lora.safetensors", rename(tensors, prefix=prefix, a_b=a_b, alpha=alpha))
    draw(many, of_file(path))
    transformer = many._pipeline.transformer
    carriers = {name: module for name, module in transformer.named_modules() if hasattr(module, "lora_A")}
    assert set(carriers) == {key.removesuffix(".alpha") for key in tensors if key.endswith(".alpha")}
    for name, module in carriers.items():
        up, down = tensors[f"{name}.lora_up.weight"].float(), tensors[f"{name}.lora_down.weight"].float()
        inputs = torch.randn(5, down.shape[1])
        delta = module(inputs) - module.base_layer(inputs)
        wanted = (3.0 / 4 if alpha else 1.0) * (inputs @ down.T) @ up.T
        torch.testing.assert_close(delta, wanted, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize(("prefix", "a_b", "alpha"), [one for one in FORMATS if ignored(*one) is not None])
def test_a_file_that_diffusers_ignores_is_refused_by_name(many, tmp_path, prefix, a_b, alpha):
    path = write(tmp_path / "lora.safetensors", rename(good(), prefix=prefix, a_b=a_b, alpha=alpha))
    with pytest.raises(RecipeError, match="diffusers would not apply it: keys"):
        many.recipe(case(), SIZE, of_file(path), 1)


@pytest.mark.parametrize(("prefix", "a_b", "alpha"), FORMATS)
def test_what_the_inspection_says_of_a_format_is_what_the_installed_diffusers_does(
    many, tmp_path, monkeypatch, prefix, a_b, alpha
):
    """Without the inspection's verdict, the comparison with the live modules must come to the same."""
    from qiltest.lora import findings

    monkeypatch.setattr(findings, "ignored_by_diffusers", lambda *a, **k: None)
    path = write(tmp_path / "lora.safetensors", rename(good(seed=9), prefix=prefix, a_b=a_b, alpha=alpha))
    if ignored(prefix, a_b, alpha) is None:
        draw(many, of_file(path))
    else:
        with pytest.raises(RecipeError, match=r"not applied|cannot load"):
            draw(many, of_file(path))


@pytest.mark.parametrize(("spoil", "message"), BAD.items(), ids=[spoil.__name__ for spoil in BAD])
def test_a_bad_file_is_refused_before_anything_is_drawn(generator, tmp_path, spoil, message):
    path = write(tmp_path / "bad.safetensors", spoil(good()))
    with pytest.raises(RecipeError) as caught:
        generator.recipe(case(), SIZE, of_file(path), 1)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_loader_that_drops_keys_is_caught_by_comparing_the_modules(fresh, monkeypatch):
    from diffusers import QwenImagePipeline

    take = QwenImagePipeline.lora_state_dict.__func__

    def forgetful(cls, *args, **kwargs):
        tensors, metadata = take(cls, *args, **kwargs)
        return {key: value for key, value in tensors.items() if "attn.to_k" not in key}, metadata

    monkeypatch.setattr(QwenImagePipeline, "lora_state_dict", classmethod(forgetful))
    with pytest.raises(RecipeError, match=r"2 modules of the file were not applied: transformer_blocks\.0\.attn\.to_k"):
        draw(fresh(), EIGHT)


def test_a_loader_that_ignores_alpha_is_caught_by_comparing_the_deltas(fresh, monkeypatch):
    """sgl-project/sglang#17086: rank 64 and alpha 8 applied as alpha 64."""
    from diffusers import QwenImagePipeline

    take = QwenImagePipeline.lora_state_dict.__func__

    def strong(cls, *args, **kwargs):
        tensors, metadata = take(cls, *args, **kwargs)
        return {key: value * 2 if "lora_A" in key else value for key, value in tensors.items()}, metadata

    monkeypatch.setattr(QwenImagePipeline, "lora_state_dict", classmethod(strong))
    with pytest.raises(RecipeError, match="24 modules got a delta other than"):
        draw(fresh(), EIGHT)


def test_after_a_refused_file_the_base_and_other_loras_are_untouched(fresh, monkeypatch):
    generator = fresh()
    base, eight = draw(generator, BASE), draw(generator, EIGHT)
    with monkeypatch.context() as patch:
        from qiltest.generation import _lora

        patch.setattr(_lora, "_same_delta", lambda *a: False)
        with pytest.raises(RecipeError):
            draw(generator, FOUR)
    assert torch.equal(draw(generator, EIGHT), eight)
    assert torch.equal(draw(generator, BASE), base)
    draw(generator, FOUR)


def test_the_base_is_bit_for_bit_the_same_after_every_switch(fresh):
    generator = fresh()
    before = draw(generator, BASE)
    untouched = weights_sha256(generator)
    first = [draw(generator, EIGHT), draw(generator, FOUR)]
    for variant, seen in ((BASE, before), (EIGHT, first[0]), (BASE, before), (FOUR, first[1]), (EIGHT, first[0])):
        assert torch.equal(draw(generator, variant), seen)
    generator._adapters.switch(None)
    assert weights_sha256(generator) == untouched
    assert not torch.equal(first[0], first[1])


def test_an_interrupted_load_is_done_again(fresh, monkeypatch):
    from qiltest.generation._lora import LoraAdapters

    generator = fresh()
    base = draw(generator, BASE)
    with monkeypatch.context() as patch:
        patch.setattr(LoraAdapters, "_cast", lambda self, name: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            draw(generator, EIGHT)
    assert torch.equal(draw(generator, BASE), base)
    assert torch.equal(draw(generator, EIGHT), draw(fresh(), EIGHT))
    assert torch.equal(draw(generator, BASE), base)


def test_a_load_that_diffusers_refuses_leaves_the_active_lora_active(fresh, monkeypatch):
    from diffusers import QwenImagePipeline

    generator = fresh()
    eight = draw(generator, EIGHT)
    with monkeypatch.context() as patch:
        patch.setattr(QwenImagePipeline, "load_lora_weights", lambda *a, **k: [][0])
        with pytest.raises(RecipeError, match="diffusers cannot load it: list index out of range"):
            draw(generator, FOUR)
    assert torch.equal(draw(generator, EIGHT), eight)


def test_a_lora_is_loaded_once_however_often_it_is_switched_to(fresh, monkeypatch):
    from diffusers import QwenImagePipeline

    loads = []
    load = QwenImagePipeline.load_lora_weights
    monkeypatch.setattr(
        QwenImagePipeline,
        "load_lora_weights",
        lambda self, *a, **k: (loads.append(k["weight_name"]), load(self, *a, **k))[1],
    )
    generator = fresh()
    for variant in (EIGHT, FOUR, BASE, EIGHT, FOUR):
        draw(generator, variant)
    assert loads == ["8step.safetensors", "4step.safetensors"]


def test_a_file_of_another_hash_than_the_variant_names_is_refused(generator, folder):
    """modl-org/modl#118: the 8-step file under the 4-step name."""
    eight = generator.recipe(case(), SIZE, EIGHT, 1).lora.sha256
    four = replace(FOUR, loras=(("tiny", LoraSource(source="embedded::4step", sha256=eight)),))
    with pytest.raises(RecipeError, match=f"variant 4step names {eight}"):
        generator.recipe(case(), SIZE, four, 1)
    assert generator.recipe(
        case(), SIZE, replace(EIGHT, loras=(("tiny", LoraSource(source="embedded::8step", sha256=eight)),)), 1
    )


def test_a_file_that_changes_during_the_session_is_noticed(fresh, tmp_path):
    path = write(tmp_path / "lora.safetensors", good(seed=1))
    generator = fresh()
    asked = generator.recipe(case(), SIZE, of_file(path), 1)
    write(path, good(seed=2, rank=2))
    with pytest.raises(RecipeError, match="the file was changed during the session"):
        generator.denoise(asked)


def test_a_file_that_changes_under_equal_size_and_time_is_noticed_too(fresh, tmp_path):
    path = write(tmp_path / "lora.safetensors", good(seed=1))
    generator = fresh()
    asked = generator.recipe(case(), SIZE, of_file(path), 1)
    size, time = path.stat().st_size, path.stat().st_mtime_ns
    write(path, good(seed=2))
    os.utime(path, ns=(time, time))
    assert path.stat().st_size == size
    with pytest.raises(RecipeError, match="the file was changed during the session"):
        generator.denoise(asked)


def test_partial_loras_are_taken_where_that_is_asked_for(fresh, tmp_path):
    path = write(tmp_path / "part.safetensors", first_block_only(good()))
    draw(fresh(allow_partial_lora=True), of_file(path))


def test_loras_that_are_zero_in_some_blocks_are_partial_too(fresh, tmp_path):
    variant = of_file(write(tmp_path / "silent.safetensors", first_block_silent(good())))
    with pytest.raises(RecipeError, match=r"1 of \d+ blocks without effect \(0\)"):
        fresh().recipe(case(), SIZE, variant, 1)
    assert fresh(allow_partial_lora=True).recipe(case(), SIZE, variant, 1).variant == variant.name


def test_factors_in_half_precision_are_computed_in_the_bases_dtype(fresh):
    generator = fresh()
    draw(generator, EIGHT)
    dtypes = {parameter.dtype for name, parameter in generator._pipeline.transformer.named_parameters()}
    assert dtypes == {torch.float32}
