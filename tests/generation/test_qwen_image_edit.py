"""Editing models on stand-ins of their layout: the image is the pipeline's own, of one input image or of several."""

import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file

from qiltest.errors import ModelError, RecipeError
from qiltest.generation import Settings, open_generator
from qiltest.generation.families import edit_size, family_named
from qiltest.generation.schedule import LIGHTNING
from qiltest.generation.sources import base_of_model, resolve_model
from qiltest.input_images import InputImage
from qiltest.recipe import EditPrompt, Size
from qiltest.suite.variants import LoraSource, ModelKind, SchedulerKind

from .conftest import BASE, asked_of, case
from .stand_in_edit import build
from .test_same_as_the_pipeline import pixels

SIZE = Size(96, 64)
#: by how much less area than 1024 x 1024 a stand-in scales images, so that a CPU takes seconds.
LESS = 64
KINDS = {
    "edit": ("QwenImageEditPipeline", "edit", False),
    "2509": ("QwenImageEditPlusPipeline", "edit_plus", False),
    "2511": ("QwenImageEditPlusPipeline", "edit_plus", True),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """The pipelines' own function with less area: they and the families ask the same one."""
    for name in ("edit", "edit_plus"):
        module = importlib.import_module(f"diffusers.pipelines.qwenimage.pipeline_qwenimage_{name}")
        own = module.calculate_dimensions
        monkeypatch.setattr(module, "calculate_dimensions", lambda area, ratio, own=own: own(area / LESS, ratio))


@pytest.fixture(scope="module", params=sorted(KINDS))
def model(request, tmp_path_factory) -> Path:
    pipeline, _, zero = KINDS[request.param]
    return build(tmp_path_factory.mktemp("edit") / request.param, pipeline, zero_cond_t=zero)


@pytest.fixture(scope="module")
def generator(model):
    return open_generator(str(model), Settings(device="cpu"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> tuple[InputImage, ...]:
    folder = tmp_path_factory.mktemp("inputs")
    found = []
    for name, size, colour in (("a", (200, 120), "red"), ("b", (90, 120), "blue")):
        image = Image.new("RGB", size, "white")
        ImageDraw.Draw(image).rectangle((20, 30, 70, 80), fill=colour)
        image.save(folder / f"{name}.png")
        found.append(InputImage.of(folder / f"{name}.png"))
    return tuple(found)


def edit(*inputs: InputImage):
    return replace(case("Replace “A” with “云”."), inputs=inputs)


def drawn(model, recipe, **options):
    pipeline = getattr(diffusers, resolve_model(str(model)).family.pipeline).from_pretrained(
        model, dtype=torch.float32, **options
    )
    pipeline.set_progress_bar_config(disable=True)
    if recipe.lora:
        pipeline.load_lora_weights(str(model / "loras"), weight_name="4step.safetensors")
    images = [Image.open(image.path) for image in recipe.inputs]
    return np.asarray(
        pipeline(
            image=images if len(images) > 1 else images[0],
            **asked_of(recipe),
        ).images[0]
    )


def test_the_base_edits_bit_for_bit_as_the_pipeline_does(generator, model, inputs):
    asked = generator.recipe(edit(inputs[0]), SIZE, replace(BASE, steps=2), 42)
    denoised = generator.denoise(asked)
    assert (denoised.timing.forwards, asked.nfe) == (4, 4)
    assert np.array_equal(pixels(generator.decode(denoised).png), drawn(model, asked))


def test_a_lightning_lora_edits_bit_for_bit_as_the_vendors_script_does(generator, model, inputs):
    source = LoraSource(source=str(model / "loras" / "4step.safetensors"))
    four = replace(
        BASE,
        steps=4,
        true_cfg_scale=1.0,
        negative_prompt=None,
        scheduler=SchedulerKind.LIGHTNING,
        loras=(("real", source),),
    )
    asked = generator.recipe(edit(inputs[0]), SIZE, four, 7)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING)
    image = pixels(generator.decode(generator.denoise(asked)).png)
    assert np.array_equal(image, drawn(model, asked, scheduler=scheduler))


def test_the_same_words_with_another_image_are_another_prompt_and_another_edit(generator, inputs):
    one, other = (generator.recipe(edit(image), SIZE, replace(BASE, steps=2), 1) for image in inputs)
    assert one.key() != other.key()
    assert one.prompts[0] == EditPrompt(text=one.prompt, inputs=(inputs[0],))
    first, second = generator.denoise(one), generator.denoise(other)
    assert first.latents_sha256 != second.latents_sha256
    assert generator.denoise(one).latents_sha256 == first.latents_sha256


def test_an_embedding_on_disk_is_of_the_image_by_its_bytes(model, inputs, tmp_path):
    settings = Settings(device="cpu", embeddings=tmp_path / "embeddings", free_text_encoder=True)
    moved = tmp_path / "moved.png"
    moved.write_bytes(Path(inputs[0].path).read_bytes())
    for image, encoded in ((inputs[0], 1), (InputImage.of(moved), 0), (inputs[1], 1)):
        made = open_generator(str(model), settings)
        made.prepare([EditPrompt(text="Remove “A”.", inputs=(image,))])
        assert made._prompts.encoded == encoded


def test_other_numbers_of_images_than_the_pipeline_takes_are_refused(generator, inputs):
    most = generator._family.most_inputs
    for given in ((), (*inputs, *inputs)[: most + 1]):
        with pytest.raises(RecipeError, match=f"it has {len(given)} input image"):
            generator.recipe(edit(*given), SIZE, BASE, 1)


def test_an_image_that_changed_since_is_refused_before_anything_is_drawn(generator, inputs, tmp_path):
    path = tmp_path / "changed.png"
    path.write_bytes(Path(inputs[0].path).read_bytes())
    asked = generator.recipe(edit(InputImage.of(path)), SIZE, BASE, 1)
    Image.new("RGB", (40, 40)).save(path)
    with pytest.raises(RecipeError, match="SHA-256 is not"):
        generator.denoise(asked)


def test_a_folder_is_of_its_family_and_takes_the_loras_of_qwen_images_shape(model, generator):
    family = resolve_model(str(model)).family
    assert base_of_model(str(model)).family == family.name
    assert family.base() == family_named("qwen-image").base()
    assert generator._recipes.base.num_layers == 2


def test_a_text_encoder_that_cannot_see_is_refused(model, tmp_path):
    """Of a model of text alone these weights may be absent; here they would stay random."""
    blind = tmp_path / "blind"
    shutil.copytree(model, blind)
    (file,) = (blind / "text_encoder").glob("*.safetensors")
    kept = {name: one for name, one in load_file(file).items() if "visual." not in name}
    save_file(kept, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"text_encoder: \d+ weights missing: model\.visual\."):
        open_generator(str(blind), Settings(device="cpu"))


@pytest.mark.parametrize("kind", ["2509", "2511"])
def test_several_images_are_edited_together_as_the_pipeline_does(kind, inputs, tmp_path):
    model = build(tmp_path / kind, "QwenImageEditPlusPipeline", zero_cond_t=kind == "2511")
    made = open_generator(str(model), Settings(device="cpu"))
    asked = made.recipe(edit(*inputs), SIZE, replace(BASE, steps=2), 5)
    assert list(asked.facts())[list(asked.facts()).index("prompt") + 1 :][:2] == ["inputs.1", "inputs.2"]
    assert np.array_equal(pixels(made.decode(made.denoise(asked)).png), drawn(model, asked))


def test_the_embedded_model_is_given_an_image_at_its_own_area(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "LESS", 1)
    model = build(tmp_path / "tiny", "QwenImageEditPlusPipeline")
    module = importlib.import_module("diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus")
    areas, own = [], module.calculate_dimensions
    monkeypatch.setattr(
        module, "calculate_dimensions", lambda area, ratio: areas.append(round(area)) or own(area, ratio)
    )
    made = open_generator(str(model), Settings(device="cpu"), kind=ModelKind.TINY)
    made.denoise(made.recipe(edit(inputs[0]), SIZE, replace(BASE, steps=2), 5))
    assert 200 * 120 in areas
    assert module.VAE_IMAGE_SIZE == 1024 * 1024


@pytest.mark.parametrize("image", [(1328, 1328), (1664, 928), (640, 1136), (200, 120)])
def test_the_size_of_an_edit_is_the_pipelines_own(image):
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as module

    width, height = module.calculate_dimensions(1024 * 1024 * LESS, image[0] / image[1])
    assert edit_size(image) == Size(int(width), int(height))


def test_random_weights_read_as_many_tokens_of_an_image_as_the_processor_makes(generator, inputs):
    from transformers import Qwen2VLImageProcessor

    # the limits of Qwen2.5-VL's own preprocessor_config.json
    family = generator._family
    processor = Qwen2VLImageProcessor(size={"shortest_edge": 3136, "longest_edge": 12845056})
    for image in inputs:
        size = edit_size(image.load().size, family.read_area)
        scaled = image.load().resize((size.width, size.height))
        grid = processor(images=[scaled], return_tensors="pt")["image_grid_thw"][0]
        assert family.read_tokens(EditPrompt(text="x", inputs=(image,))) == int(grid.prod()) // 4
    assert family.read_tokens("x") == 0
