"""How far latents are from the nearest training image (`tools/tiny_model/nearest.py`)."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import AutoencoderKLQwenImage
from transformers import Qwen2Tokenizer

from qiltest.generation.sources import EMBEDDED

SIZE = (256, 128)
LOOK = 4


@pytest.fixture(scope="module")
def nearest(training, atlas):
    vae = AutoencoderKLQwenImage.from_pretrained(EMBEDDED / "vae")
    tokenizer = Qwen2Tokenizer.from_pretrained(EMBEDDED / "tokenizer")
    return training("nearest").Nearest(SimpleNamespace(pipe=SimpleNamespace(vae=vae, tokenizer=tokenizer)), atlas)


@pytest.fixture(scope="module")
def known(training, nearest):
    """Three lines: two words that have room for all places, and a full line that has two."""
    prompt = "A chalkboard that says “Qwen” and “云模型很好” and “12345678901234”"
    return nearest.images(training("error_table").Job("report", "any", prompt, SIZE, 42))


def drawn(known, places):
    """Latents [tokens, 64] of the image with each line at its place."""
    rows = torch.tensor(places).repeat_interleave(2)
    rows = torch.cat([rows, rows.new_zeros(len(known["line"]) - len(rows))])
    return known["latents"][rows, LOOK, torch.arange(len(rows))].flatten(0, 1).clone()


def test_places_and_ink_are_those_of_the_layout(known):
    ink = known["ink"].int()
    assert known["room"][:6].tolist() == [3, 3, 3, 3, 2, 2]
    assert known["line"].tolist() == [1, 1, 3, 3, 5, 5, 0, 0]
    for right in range(3):
        assert ink[right, 0].nonzero().flatten().tolist() == list(range(right, right + 4))
        assert ink[right, 2].nonzero().flatten().tolist() == list(range(right, right + 10))
    assert not ink[:, 6:].any()


@pytest.mark.parametrize("places", [(0, 0, 0), (1, 2, 0), (2, 0, 1)])
def test_a_training_image_is_near_itself_wherever_its_lines_stand(nearest, known, places):
    image = drawn(known, places)
    assert nearest.distance(image, known) == pytest.approx(0, abs=1e-5)
    noise = 0.1 * 0.3 * torch.randn(image.shape, generator=torch.manual_seed(0))
    assert nearest.distance(image + noise, known) == pytest.approx(0.1, rel=0.1)


def test_a_line_between_two_places_is_far_and_a_foreign_look_too(nearest, known):
    between = (drawn(known, (0, 0, 0)) + drawn(known, (0, 2, 0))) / 2
    assert nearest.distance(between, known) > 0.2
    blend = known["latents"].mean(1)[0].flatten(0, 1)
    assert nearest.distance(blend, known) > 0.2


def test_ground_does_not_count(nearest, known):
    image = drawn(known, (0, 0, 0))
    image.view(8, 16, 64)[6:] += 5
    assert nearest.distance(image, known) == pytest.approx(0, abs=1e-5)
