"""The embedded model itself: whole, small, and loaded by plain diffusers."""

import json

import pytest

from qiltest.generation import open_generator, resolve_lora, resolve_model
from qiltest.generation.sources import EMBEDDED, EMBEDDED_MODELS
from qiltest.lora import base_from_folder, inspect_lora
from qiltest.recipe import Size

from .conftest import BASE, EIGHT, FOUR, case

pytestmark = pytest.mark.skipif(
    not (EMBEDDED / "model_index.json").exists(), reason="the embedded model is not in this checkout"
)


@pytest.fixture(scope="module")
def tiny():
    return open_generator("tiny")


@pytest.mark.parametrize("name", ["8step", "4step"])
@pytest.mark.parametrize("model", EMBEDDED_MODELS)
def test_the_loras_of_each_embedded_model_hold_on_its_base(model, name):
    path = resolve_lora(f"embedded::{name}", model=resolve_model(model))
    report = inspect_lora(path, base=base_from_folder(EMBEDDED_MODELS[model], name=model))
    assert report.passes, report.errors
    assert report.fits == (model,)
    assert str(report.naming) == "lora_down/lora_up"
    assert report.ranks[-1] <= 16


def test_it_is_at_most_32_mb_without_a_pickle():
    files = [path for path in EMBEDDED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 32_000_000
    assert not [path for path in files if path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")]


def test_its_scheduler_is_qwen_images():
    config = json.loads((EMBEDDED / "scheduler" / "scheduler_config.json").read_text())
    wanted = {"base_shift": 0.5, "max_shift": 0.9, "max_image_seq_len": 8192, "shift_terminal": 0.02}
    assert wanted.items() <= config.items()


def test_its_tokenizer_gives_the_34_tokens_that_the_pipeline_drops():
    from diffusers import QwenImagePipeline

    pipeline = QwenImagePipeline.from_pretrained(EMBEDDED, transformer=None, vae=None, text_encoder=None)
    prefix = pipeline.prompt_template_encode.partition("{}")[0]
    assert len(pipeline.tokenizer(prefix)["input_ids"]) == pipeline.prompt_template_encode_start_idx


@pytest.mark.parametrize("variant", [BASE, EIGHT, FOUR], ids=lambda variant: variant.name)
def test_it_draws_every_variant(tiny, variant):
    asked = tiny.recipe(case(), Size(128, 64), variant, 42)
    generated = tiny.decode(tiny.denoise(asked))
    assert generated.timing.forwards == variant.nfe
    assert generated.png.startswith(b"\x89PNG")
    assert tiny.is_tiny
    assert tiny.judges_text
