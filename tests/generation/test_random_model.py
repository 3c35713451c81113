"""The model of random weights, at a size that fits a CPU: built without memory, generated, with LoRAs, never judged."""

from dataclasses import replace

import pytest
import torch

from qiltest.generation import _load
from qiltest.generation._generator import DiffusersGenerator
from qiltest.generation.families import FAMILIES
from qiltest.generation.random.prompts import RandomPrompts
from qiltest.generation.settings import Settings
from qiltest.generation.sources import resolve_model
from qiltest.lora import Base
from qiltest.suite.variants import LoraSource

from .conftest import BASE, EIGHT, SIZE, case
from .stand_in import LAYERS, WIDTH

SMALL = {
    "num_layers": LAYERS,
    "attention_head_dim": 64,
    "num_attention_heads": WIDTH // 64,
    "joint_attention_dim": WIDTH,
    "axes_dims_rope": (8, 28, 28),
}
REAL_EIGHT = replace(EIGHT, loras=(("real", LoraSource(source="lightx2v/Qwen-Image-Lightning::8.safetensors")),))


@pytest.fixture
def random_generator(monkeypatch):
    build = _load.random_pipeline
    small_vae = {"base_dim": 16, "num_res_blocks": 1}
    monkeypatch.setattr(_load, "random_pipeline", lambda _t, _v, *rest: build(SMALL, small_vae, *rest))
    from qiltest.generation.families import qwen_image

    base = Base(
        name="random", num_layers=LAYERS, attention_head_dim=64, num_attention_heads=3, joint_attention_dim=WIDTH
    )
    monkeypatch.setattr(qwen_image, "qwen_image", lambda: base)
    return DiffusersGenerator(resolve_model("random"), Settings(device="cpu"))


def draw(generator, variant):
    return generator.denoise(generator.recipe(case(), SIZE, variant, 42))


def test_it_is_drawn_without_weights_text_encoder_or_lora_files(random_generator):
    base, eight = draw(random_generator, BASE), draw(random_generator, REAL_EIGHT)
    assert (base.timing.forwards, eight.timing.forwards) == (6, 2)
    assert random_generator.decode(base).png.startswith(b"\x89PNG")
    assert not random_generator.judges_text
    assert not random_generator.is_tiny


def test_its_lora_stands_in_for_the_released_ones_at_their_rank(random_generator):
    lora = random_generator.recipe(case(), SIZE, REAL_EIGHT, 42).lora
    assert (lora.source, lora.rank, lora.scale) == (f"random::64 for {REAL_EIGHT.loras[0][1].source}", 64, 1.0)
    draw(random_generator, REAL_EIGHT)
    carriers = [m for m in random_generator._pipeline.transformer.modules() if hasattr(m, "lora_A")]
    assert len(carriers) == 12 * LAYERS
    assert all(next(iter(carrier.lora_A.values())).weight.shape[0] == 64 for carrier in carriers)


def test_its_lora_has_an_effect_and_leaves_the_base_as_it_was(random_generator):
    base = draw(random_generator, BASE).latents
    with_lora = draw(random_generator, REAL_EIGHT).latents
    without = draw(random_generator, replace(REAL_EIGHT, loras=())).latents
    assert not torch.equal(with_lora, without)
    assert torch.equal(draw(random_generator, BASE).latents, base)


def test_another_released_file_is_another_lora_so_that_switching_costs_what_it_costs(random_generator):
    four = replace(REAL_EIGHT, loras=(("real", LoraSource(source="lightx2v/Qwen-Image-Lightning::4.safetensors")),))
    first = draw(random_generator, REAL_EIGHT)
    other = draw(random_generator, four)
    assert first.recipe.lora.sha256 != other.recipe.lora.sha256
    assert not torch.equal(first.latents, other.latents)
    assert torch.equal(draw(random_generator, REAL_EIGHT).latents, first.latents)


def test_the_same_weights_every_time():
    first, again = (
        _load.random_pipeline(SMALL, {"base_dim": 16, "num_res_blocks": 1}, torch.float32, torch.device("cpu"))
        for _ in range(2)
    )
    for one, other in ((first.transformer, again.transformer), (first.vae, again.vae)):
        for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_the_rotary_tables_are_real_though_the_model_was_built_on_meta():
    """They are attributes, not buffers: `to_empty` leaves them on meta, where every forward fails or reads nothing."""
    from diffusers import QwenImageTransformer2DModel

    built = _load._random_transformer(FAMILIES[0], SMALL, torch.float32, torch.device("cpu")).pos_embed
    wanted = QwenImageTransformer2DModel(**SMALL).pos_embed
    assert torch.equal(built.pos_freqs, wanted.pos_freqs)
    assert torch.equal(built.neg_freqs, wanted.neg_freqs)


def test_embeddings_are_as_long_as_the_prompt_and_the_same_for_the_same_prompt():
    prompts = RandomPrompts(32, 512, torch.float32, torch.device("cpu"))
    short, long = prompts.get("a cat"), prompts.get("云" * 100)
    assert short.tokens < long.tokens < 100
    assert torch.equal(RandomPrompts(32, 512, torch.float32, torch.device("cpu")).get("a cat").embeds, short.embeds)
    assert prompts.get("x" * 9999).tokens == 512
