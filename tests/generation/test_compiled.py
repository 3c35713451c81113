"""Compiled blocks are a recipe of their own and draw the same image. The compiler here is the identity: dynamo
traces, guards and recompiles as on a GPU, no code is generated."""

from dataclasses import replace
from functools import partialmethod

import pytest
import torch
from diffusers import QwenImageTransformer2DModel

from .conftest import EIGHT, SIZE, case


@pytest.fixture
def compiled(fresh, monkeypatch):
    compile_blocks = QwenImageTransformer2DModel.compile_repeated_blocks
    monkeypatch.setattr(
        QwenImageTransformer2DModel, "compile_repeated_blocks", partialmethod(compile_blocks, backend="eager")
    )
    torch._dynamo.reset()
    yield fresh(compiled=True)
    torch._dynamo.reset()


@pytest.mark.slow
def test_it_draws_the_same_with_and_without_a_lora_and_says_so_in_the_recipe(compiled, generator):
    for variant in (replace(EIGHT, name="plain", loras=()), EIGHT):
        asked = compiled.recipe(case(), SIZE, variant, 42)
        plain = generator.recipe(case(), SIZE, variant, 42)
        assert asked.compiled
        assert asked.key() != plain.key()
        done = compiled.denoise(asked)
        torch.testing.assert_close(done.latents, generator.denoise(plain).latents, rtol=1e-4, atol=1e-5)
        assert done.timing.forwards == asked.nfe
    assert all(block._compiled_call_impl for block in compiled._pipeline.transformer.transformer_blocks)
