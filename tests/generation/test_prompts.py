"""Prompts are encoded once, kept, and the text encoder is let go."""

from dataclasses import replace

import pytest
import torch

from qiltest.errors import GenerationError, RecipeError
from qiltest.generation import _generator
from qiltest.suite.variants import ModelKind

from .conftest import BASE, EIGHT, FOUR, SIZE, case


@pytest.fixture
def loads(monkeypatch):
    """How often the text encoder was loaded."""
    seen = []
    load = _generator.load_text_stage
    monkeypatch.setattr(_generator, "load_text_stage", lambda *a: (seen.append(1), load(*a))[1])
    return seen


def draw(generator, variant, prompt=None):
    return generator.denoise(generator.recipe(case(prompt) if prompt else case(), SIZE, variant, 42)).latents


def test_a_prompt_is_encoded_once_for_all_variants(fresh):
    generator = fresh()
    for variant in (replace(BASE, prompt_suffix=()), EIGHT, FOUR, EIGHT):
        draw(generator, variant)
    assert generator._prompts.encoded == 2  # the prompt and the base's negative prompt


def test_the_text_encoder_is_freed_when_asked_and_known_prompts_are_still_drawn(fresh, loads):
    generator = fresh(free_text_encoder=True)
    asked = [generator.recipe(case(), SIZE, variant, 42) for variant in (BASE, EIGHT)]
    generator.prepare([asked[0].prompt, asked[1].prompt, " "])
    assert generator._prompts._pipeline is None
    for one in asked:
        generator.denoise(one)
    assert len(loads) == 1


def test_embeddings_on_disk_spare_the_next_session_the_text_encoder(fresh, loads, tmp_path):
    first = draw(fresh(embeddings=tmp_path), BASE)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    again = draw(fresh(embeddings=tmp_path), BASE)
    assert torch.equal(first, again)
    assert len(loads) == 1


def test_a_nightly_on_known_prompts_never_loads_the_text_encoder(fresh, loads, tmp_path, monkeypatch):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path))

    def session(*prompts):
        generator = fresh(kind=ModelKind.REAL, device="cpu")
        generator.prepare([case(prompt).prompt for prompt in prompts] + [" "])
        before = len(loads)
        latents = [draw(generator, replace(BASE, prompt_suffix=()), prompt) for prompt in prompts]
        assert len(loads) == before  # drawing needs no more of it, for it was freed
        generator.close()
        return latents

    first = session("a sign", "a shop")
    assert len(loads) == 1
    again = session("a sign", "a shop")
    assert len(loads) == 1
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    session("a sign", "a new prompt")
    assert len(loads) == 2


def test_embeddings_of_another_text_encoder_tokenizer_or_length_are_not_taken(fresh, loads, tmp_path):
    draw(fresh(embeddings=tmp_path), EIGHT)
    draw(fresh(embeddings=tmp_path, max_sequence_length=700), EIGHT)
    for number, part in enumerate(("text_encoder", "tokenizer"), 3):
        other = fresh(embeddings=tmp_path)
        own = other._recipes.environment
        parts = tuple((name, "0" * 64 if name == part else digest) for name, digest in own.model_parts)
        other._recipes.environment = replace(own, model_parts=parts)
        draw(other, EIGHT)
        assert len(loads) == number
        assert len(list(tmp_path.glob("*.safetensors"))) == number


@pytest.mark.parametrize("damage", ["truncated", "a bit", "nan"])
def test_a_damaged_embedding_is_put_aside_said_and_made_again(fresh, loads, tmp_path, caplog, damage):
    from safetensors.torch import load_file, save_file

    first = draw(fresh(embeddings=tmp_path), EIGHT)
    path = next(tmp_path.glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[:-5])
    elif damage == "a bit":
        data[-7] ^= 1
        path.write_bytes(data)
    else:
        save_file({"embeds": load_file(path)["embeds"] * float("nan")}, path)
    assert torch.equal(draw(fresh(embeddings=tmp_path), EIGHT), first)
    assert "is damaged" in caplog.text
    assert path.with_suffix(".damaged").exists()
    assert len(loads) == 2


def test_a_prompt_that_the_model_would_see_cut_is_refused(fresh, tmp_path):
    generator = fresh(max_sequence_length=64, kind=ModelKind.REAL, device="cpu", embeddings=tmp_path)
    suffixless = replace(BASE, prompt_suffix=())
    with pytest.raises(RecipeError, match="the model reads only 64"):
        draw(generator, suffixless, "x" * 64)
    draw(generator, suffixless, "x" * 20)


def test_a_prompt_that_is_too_long_fails_its_own_image_and_no_other(fresh, loads, tmp_path):
    generator = fresh(max_sequence_length=64, kind=ModelKind.REAL, device="cpu", embeddings=tmp_path)
    suffixless = replace(BASE, prompt_suffix=())
    generator.prepare(["a sign", "x" * 64, "a shop", " "])
    assert generator._prompts.encoded == 3
    draw(generator, suffixless, "a shop")
    for _ in range(2):
        with pytest.raises(RecipeError, match="the model reads only 64"):
            draw(generator, suffixless, "x" * 64)
    assert len(loads) == 1


def test_the_embedded_model_may_lose_an_end_that_quotes_nothing(fresh):
    generator = fresh(max_sequence_length=64, kind=ModelKind.TINY)
    generator.prepare(["a sign “hi” " + "x" * 64])
    with pytest.raises(RecipeError, match="the model reads only 64"):
        draw(generator, replace(BASE, prompt_suffix=()), "x" * 64 + " a sign “hi”")


def test_a_text_encoder_that_gives_nan_is_an_error(fresh, monkeypatch):
    from diffusers import QwenImagePipeline

    encode = QwenImagePipeline.encode_prompt

    def broken(self, *args, **kwargs):
        embeds, mask = encode(self, *args, **kwargs)
        return embeds * float("nan"), mask

    monkeypatch.setattr(QwenImagePipeline, "encode_prompt", broken)
    with pytest.raises(GenerationError, match="text encoder gives NaN"):
        draw(fresh(), EIGHT)


def test_the_stand_ins_template_has_the_34_tokens_that_the_pipeline_drops(plain):
    prefix = plain.prompt_template_encode.partition("{}")[0]
    assert len(plain.tokenizer(prefix)["input_ids"]) == plain.prompt_template_encode_start_idx == 34
