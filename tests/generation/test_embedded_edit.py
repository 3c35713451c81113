"""The embedded editing model itself: whole, small, and as plain diffusers draws with it."""

import importlib
from dataclasses import replace
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from qiltest.errors import RecipeError
from qiltest.generation import open_generator
from qiltest.generation.schedule import LIGHTNING
from qiltest.generation.sources import EMBEDDED, EMBEDDED_MODELS
from qiltest.input_images import InputImage
from qiltest.recipe import Size
from qiltest.suite.load import load_suite
from qiltest.suite.variants import LoraSource

from .test_same_as_the_pipeline import pixels

ROOT = Path(__file__).parents[2]
FOLDER = EMBEDDED_MODELS["tiny-edit"]
pytestmark = pytest.mark.skipif(
    not (FOLDER / "model_index.json").exists(), reason="the embedded editing model is not in this checkout"
)
#: what is compared is pixels: a small image will do.
SIZE = Size(128, 96)
PLUS = "diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus"


@pytest.fixture(scope="module")
def suite():
    return load_suite(ROOT / "cases")


@pytest.fixture(scope="module")
def generator():
    return open_generator("tiny-edit")


@pytest.fixture(scope="module")
def menu(suite, tmp_path_factory):
    """The case of the menu, with its input image made small."""
    path = tmp_path_factory.mktemp("inputs") / "menu.png"
    with Image.open(ROOT / "cases/edit/inputs/menu.png") as image:
        image.resize((SIZE.width, SIZE.height)).save(path)
    return replace(suite.case("edit-menu")[0], inputs=(InputImage.of(path),))


def test_it_is_at_most_32_mb_without_a_pickle():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 32_000_000
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".md"}


def test_a_lora_of_the_text_to_image_model_is_refused_before_anything_is_generated(generator, suite, menu):
    variant = next(variant for variant in suite.variants if variant.name == "edit-4step")
    lora = LoraSource(source=str(EMBEDDED / "loras" / "4step.safetensors"))
    with pytest.raises(RecipeError, match="this is the 4step LoRA of tiny by its SHA-256, and tiny-edit is another"):
        generator.recipe(menu, Size(512, 256), replace(variant, loras=(("tiny", lora),)), 42)


def test_its_vae_and_its_scheduler_are_those_of_the_text_to_image_model():
    for file in ("vae/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"):
        assert (FOLDER / file).read_bytes() == (EMBEDDED / file).read_bytes()


def test_the_pipeline_drops_its_template_and_the_vision_tower_says_one_token_of_an_image(generator):
    pipeline = diffusers.QwenImageEditPlusPipeline.from_pretrained(FOLDER, transformer=None, vae=None)
    prefix = pipeline.prompt_template_encode.partition("{}")[0]
    assert len(pipeline.tokenizer(prefix)["input_ids"]) == pipeline.prompt_template_encode_start_idx
    said = {}
    for colour in ("white", "red"):
        image = Image.new("RGB", (384, 256), colour)
        said[colour] = pipeline.encode_prompt(prompt="Remove “A”.", image=[image], device=torch.device("cpu"))[0]
    assert torch.equal(said["white"], said["red"])
    assert said["red"].shape[1] < 40


@pytest.mark.parametrize("name", ["edit-base", "edit-8step", "edit-4step"])
def test_an_edit_is_the_pipelines_own_at_the_size_of_its_input(generator, suite, menu, monkeypatch, name):
    variant = suite.variant(name)
    if name == "edit-base":
        variant = replace(variant, steps=3)
    asked = generator.recipe(menu, SIZE, variant, 42)
    made = generator.decode(generator.denoise(asked))
    assert made.timing.forwards == asked.nfe
    pipeline = diffusers.QwenImageEditPlusPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if asked.lora:
        pipeline.load_lora_weights(str(FOLDER / "loras"), weight_name=f"{name.removeprefix('edit-')}.safetensors")
        pipeline.scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING)
    monkeypatch.setattr(importlib.import_module(PLUS), "VAE_IMAGE_SIZE", SIZE.width * SIZE.height)
    theirs = pipeline(
        image=[Image.open(menu.inputs[0].path)],
        prompt=asked.prompt,
        negative_prompt=variant.negative_prompt,
        true_cfg_scale=variant.true_cfg_scale,
        num_inference_steps=variant.steps,
        width=SIZE.width,
        height=SIZE.height,
        generator=torch.Generator("cpu").manual_seed(42),
    ).images[0]
    assert np.array_equal(pixels(made.png), np.asarray(theirs))
