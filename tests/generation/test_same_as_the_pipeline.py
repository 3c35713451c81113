"""The image is the pipeline's own: in two halves, batched, or again, nothing changes it."""

import io

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image

from qiltest.generation.schedule import LIGHTNING

from .conftest import BASE, EIGHT, FOUR, SIZE, asked_of, case


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def drawn_plainly(plain, recipe, **options):
    return np.asarray(
        plain(
            max_sequence_length=recipe.max_sequence_length,
            **asked_of(recipe),
            **options,
        ).images[0]
    )


def test_the_base_with_guidance_is_drawn_bit_for_bit_as_the_pipeline_draws_it(generator, recipe, plain):
    asked = recipe(BASE)
    generated = generator.decode(generator.denoise(asked))
    assert np.array_equal(pixels(generated.png), drawn_plainly(plain, asked))


def test_a_lora_on_the_lightning_scheduler_is_drawn_bit_for_bit_as_the_vendor_script_draws_it(
    generator, recipe, folder
):
    from diffusers import QwenImagePipeline

    pipeline = QwenImagePipeline.from_pretrained(
        folder, scheduler=FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING), dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(str(folder / "loras"), weight_name="8step.safetensors")
    asked = recipe(EIGHT)
    generated = generator.decode(generator.denoise(asked))
    assert np.array_equal(pixels(generated.png), drawn_plainly(pipeline, asked))


def test_the_same_recipe_gives_the_same_png_bytes_in_the_same_and_in_another_generator(generator, fresh, recipe):
    asked = recipe(FOUR)
    first = generator.decode(generator.denoise(asked))
    again = generator.decode(generator.denoise(asked))
    elsewhere = fresh()
    other = elsewhere.decode(elsewhere.denoise(elsewhere.recipe(case(), SIZE, FOUR, 42)))
    assert first.png == again.png == other.png
    assert first.sha256 == other.sha256
    assert first.recipe == other.recipe


def test_two_threads_give_the_same_bytes_twice_and_are_named_in_the_recipe(fresh, recipe):
    """Threads add up in another order than one alone, but always in the same."""
    try:
        two = fresh(threads=2)
        asked = two.recipe(case(), SIZE, FOUR, 42)
        assert two.decode(two.denoise(asked)).png == two.decode(two.denoise(asked)).png
        assert asked.device.endswith(", 2 threads")
        assert asked != recipe(FOUR)
    finally:
        torch.set_num_threads(1)


def test_another_seed_another_prompt_and_another_variant_give_other_images(generator, recipe):
    recipes = [recipe(FOUR), recipe(FOUR, seed=43), recipe(FOUR, prompt="no sign"), recipe(EIGHT), recipe(BASE)]
    assert len({generator.decode(generator.denoise(one)).sha256 for one in recipes}) == 5


def test_the_image_has_the_effective_size_and_the_asked_one_is_kept(generator, recipe):
    from qiltest.recipe import Size

    asked = recipe(EIGHT, size=Size(73, 60))
    generated = generator.decode(generator.denoise(asked))
    assert pixels(generated.png).shape == (48, 64, 3)
    assert (str(generated.recipe.asked), str(generated.recipe.effective)) == ("73x60", "64x48")
