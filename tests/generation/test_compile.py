"""What compiling changes changes no value, and the compiler meets nothing that it cannot take in one piece."""

import os

import pytest
import torch
from diffusers import QwenImageTransformer2DModel
from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen
from torch._dynamo.testing import CompileCounter
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from qiltest.generation._compile import (
    gelu_in_product,
    keep_code,
    mark_lengths,
    rotate,
    takes_real_rotary,
    turns_of,
    use_real_rotary,
)

CHANNELS, HEADS, WIDTH = 16, 2, 32


@pytest.fixture
def transformer():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = QwenImageTransformer2DModel(
            num_layers=2,
            attention_head_dim=CHANNELS,
            num_attention_heads=HEADS,
            joint_attention_dim=WIDTH,
            axes_dims_rope=(4, 6, 6),
        )
    return made.eval().requires_grad_(False)


@pytest.fixture
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def inputs(height: int, width: int, prompt: int, **others):
    random = torch.Generator().manual_seed(prompt)
    return {
        "hidden_states": torch.randn(1, height * width, 64, generator=random),
        "encoder_hidden_states": torch.randn(1, prompt, WIDTH, generator=random),
        "encoder_hidden_states_mask": None,
        "timestep": torch.tensor([0.7]),
        "img_shapes": [[(1, height, width)]],
        "return_dict": False,
        **others,
    }


def forward(transformer, **given):
    with torch.no_grad():
        return transformer(**given)[0]


def embeddings(tokens: int) -> torch.Tensor:
    angles = torch.randn(tokens, CHANNELS // 2, generator=torch.Generator().manual_seed(1)) * 10
    return torch.polar(torch.ones_like(angles), angles)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotating_in_real_numbers_is_the_complex_product(dtype):
    states = torch.randn(1, 50, HEADS, CHANNELS, generator=torch.Generator().manual_seed(2)).to(dtype)
    made = rotate(states, turns_of(embeddings(50)))
    complex_product = apply_rotary_emb_qwen(states, embeddings(50), use_real=False)
    assert made.dtype is dtype
    # a compiler or a processor may fuse a product with a sum, which changes the last bit
    torch.testing.assert_close(made, complex_product, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


def test_the_whole_forward_is_the_same_also_with_a_masked_prompt(transformer):
    mask = torch.tensor([[1] * 5 + [0] * 4])
    given = (inputs(4, 6, 7), inputs(4, 6, 9, encoder_hidden_states_mask=mask))
    before = [forward(transformer, **one) for one in given]
    use_real_rotary(transformer)
    for one, expected in zip(given, before, strict=True):
        torch.testing.assert_close(forward(transformer, **one), expected, rtol=1e-6, atol=1e-6)
    unmasked = forward(transformer, **(given[1] | {"encoder_hidden_states_mask": None}))
    assert not torch.allclose(unmasked, before[1], atol=1e-4)


def test_gelu_within_the_product_is_the_same_and_leaves_the_weights_names(transformer):
    before, names = forward(transformer, **inputs(4, 6, 7)), list(transformer.state_dict())
    gelu_in_product(transformer)
    torch.testing.assert_close(forward(transformer, **inputs(4, 6, 7)), before, rtol=1e-5, atol=1e-6)
    assert list(transformer.state_dict()) == names
    plain = transformer.transformer_blocks[0].img_mlp.net[0]
    plain.proj = torch.nn.Sequential(plain.proj)  # as a LoRA beside a layer wraps it
    torch.testing.assert_close(forward(transformer, **inputs(4, 6, 7)), before, rtol=1e-5, atol=1e-6)


def test_an_attention_of_another_kind_is_left_alone(transformer):
    assert takes_real_rotary(transformer)
    transformer.transformer_blocks[0].attn.processor = object.__new__(type("Other", (), {"__call__": print}))
    assert not takes_real_rotary(transformer)


@pytest.mark.slow
def test_a_block_is_compiled_in_one_piece_once_for_each_size_and_for_all_prompts(transformer, fresh_compiler):
    expected = {size: forward(transformer, **inputs(*size)) for size in ((4, 6, 7), (4, 6, 9), (5, 6, 9), (5, 6, 3))}
    use_real_rotary(transformer)
    mark_lengths(transformer)
    counted = CompileCounter()
    transformer.compile_repeated_blocks(backend=counted, fullgraph=True)
    seen = {}
    for size, made in expected.items():
        torch.testing.assert_close(forward(transformer, **inputs(*size)), made, rtol=1e-5, atol=1e-6)
        seen[size] = counted.frame_count
    assert list(seen.values()) == [1, 1, 2, 2]


@pytest.mark.parametrize("before", [None, default_cache_dir()])
def test_the_code_is_kept_in_the_users_cache_where_torch_would_keep_it_in_tmp(before, monkeypatch, tmp_path):
    monkeypatch.setenv("QILTEST_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(before))
    if before is None:
        monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    keep_code()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "compiled")


def test_a_folder_that_the_user_named_for_the_code_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "own"))
    keep_code()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "own")
