"""What is kept of an image beside the image: forwards, times, latents."""

import pytest
import torch

from qiltest.errors import GenerationError, OutOfMemoryError, RecipeError

from .conftest import BASE, EIGHT


@pytest.mark.parametrize(("variant", "forwards"), [(BASE, 6), (EIGHT, 2)], ids=["base", "8step"])
def test_forwards_are_counted_twice_a_step_with_guidance_and_once_without(generator, recipe, variant, forwards):
    done = generator.denoise(recipe(variant))
    assert done.timing.forwards == forwards == done.recipe.nfe == variant.nfe


def test_step_times_add_up_to_the_time_of_the_loop(generator, recipe):
    done = generator.denoise(recipe(BASE))
    assert len(done.timing.step_seconds) == BASE.steps
    assert all(seconds > 0 for seconds in done.timing.step_seconds)
    assert sum(done.timing.step_seconds) == pytest.approx(done.denoise_seconds, rel=0.05)


def test_decoding_is_not_part_of_the_loops_time(generator, recipe, monkeypatch):
    import time

    done = generator.denoise(recipe(EIGHT))
    decode = type(generator._pipeline.vae).decode
    monkeypatch.setattr(type(generator._pipeline.vae), "decode", lambda *a, **k: (time.sleep(0.2), decode(*a, **k))[1])
    generated = generator.decode(done)
    assert generated.timing.decode_seconds > 0.2
    assert generated.timing.denoise_seconds == done.denoise_seconds < 0.2


def test_latent_statistics_are_those_of_the_latents(generator, recipe):
    done = generator.denoise(recipe(EIGHT))
    stats = generator.decode(done).latents
    assert stats.mean == pytest.approx(float(done.latents.mean()), abs=1e-6)
    assert stats.std == pytest.approx(float(done.latents.std(correction=0)))
    assert (stats.minimum, stats.maximum) == (float(done.latents.min()), float(done.latents.max()))


def test_each_step_is_told_to_a_progress_bar(fresh):
    from .conftest import SIZE, case

    seen = []
    generator = fresh(on_step=lambda step, steps: seen.append((step, steps)))
    generator.denoise(generator.recipe(case(), SIZE, BASE, 1))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_loop_that_skips_a_forward_is_an_error(generator, recipe, monkeypatch):
    """A cache hook that returns an earlier result, or guidance that was switched off, generates another recipe."""
    from diffusers import QwenImagePipeline

    call = QwenImagePipeline.__call__
    monkeypatch.setattr(QwenImagePipeline, "__call__", lambda self, **k: call(self, **k | {"true_cfg_scale": 1.0}))
    with pytest.raises(RecipeError, match="3 transformer forwards in 3 steps, the recipe requires 6 in 3"):
        generator.denoise(recipe(BASE))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_latents_that_are_not_finite_are_refused(generator, recipe, monkeypatch, bad):
    forward = type(generator._pipeline.transformer).forward

    def broken(self, *args, **kwargs):
        output = forward(self, *args, **kwargs)[0].clone()
        output[0, 0, 0] = bad
        return (output,)

    monkeypatch.setattr(type(generator._pipeline.transformer), "forward", broken)
    with pytest.raises(GenerationError, match=r"of \d+ latents are NaN or infinite"):
        generator.denoise(recipe(EIGHT))


def test_a_decoded_nan_is_refused_and_not_drawn_black(generator, recipe, monkeypatch):
    done = generator.denoise(recipe(EIGHT))
    decode = type(generator._pipeline.vae).decode
    monkeypatch.setattr(type(generator._pipeline.vae), "decode", lambda *a, **k: (decode(*a, **k)[0] * float("nan"),))
    with pytest.raises(GenerationError, match="decoded image has NaN"):
        generator.decode(done)


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.7])
def test_a_blank_image_is_refused_whatever_its_colour(generator, recipe, monkeypatch, level):
    done = generator.denoise(recipe(EIGHT))
    decode = type(generator._pipeline.vae).decode
    monkeypatch.setattr(
        type(generator._pipeline.vae), "decode", lambda *a, **k: (torch.full_like(decode(*a, **k)[0], level),)
    )
    with pytest.raises(GenerationError, match="image is blank"):
        generator.decode(done)


def test_running_out_of_memory_names_the_option_that_helps(generator, recipe, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(type(generator._pipeline.transformer), "forward", full)
    with pytest.raises(OutOfMemoryError, match="--qil-offload=group") as caught:
        generator.denoise(recipe(EIGHT))
    assert "denoising" in str(caught.value)
    assert "2.00 GiB" in str(caught.value)


def test_a_cpu_allocation_that_fails_is_out_of_memory_too(generator, recipe, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(type(generator._pipeline.transformer), "forward", full)
    with pytest.raises(OutOfMemoryError):
        generator.denoise(recipe(EIGHT))


def test_a_lost_device_is_said(generator, recipe, monkeypatch):
    def lost(*args, **kwargs):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(type(generator._pipeline.transformer), "forward", lost)
    with pytest.raises(GenerationError, match="the device failed while denoising"):
        generator.denoise(recipe(EIGHT))


def test_an_interrupted_loop_leaves_the_generator_usable(generator, recipe, monkeypatch):
    asked = recipe(EIGHT)
    before = generator.denoise(asked)
    with monkeypatch.context() as patch:
        patch.setattr(
            generator._pipeline.scheduler.__class__, "step", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            generator.denoise(asked)
    assert torch.equal(generator.denoise(asked).latents, before.latents)
    assert not generator._pipeline.transformer._forward_pre_hooks
