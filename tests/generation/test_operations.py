"""The count of a forward's operations, held against torch's counter on the real class."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from qiltest.generation.random.operations import forward_operations, image_tokens
from qiltest.lora import Base, qwen_image
from qiltest.recipe import Size

from .stand_in import LAYERS, WIDTH, transformer

BASE = Base(
    name="stand-in",
    num_layers=LAYERS,
    attention_head_dim=64,
    num_attention_heads=WIDTH // 64,
    joint_attention_dim=WIDTH,
)


def counted(model, size, text, *beside):
    shapes = [(1, one.height // 16, one.width // 16) for one in (size, *beside)]
    tokens = sum(image_tokens(one) for one in (size, *beside))
    # torch's counter knows no count for the fused attention of some processors; by plain products it counts all
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        model(
            hidden_states=torch.randn(1, tokens, 64),
            encoder_hidden_states=torch.randn(1, text, WIDTH),
            encoder_hidden_states_mask=torch.ones(1, text, dtype=torch.long),
            timestep=torch.tensor([0.5]),
            img_shapes=[shapes],
        )
    return counter.get_total_flops()


@pytest.mark.parametrize(("size", "text"), [(Size(64, 48), 7), (Size(128, 256), 31)])
def test_it_is_torchs_own_count(size, text):
    assert forward_operations(BASE, size, text_tokens=text) == counted(transformer(), size, text)


def test_input_images_stand_beside_the_image():
    size, beside = Size(64, 48), (Size(96, 32), Size(32, 32))
    tokens = sum(map(image_tokens, beside))
    wanted = counted(transformer(), size, 7, *beside)
    assert forward_operations(BASE, size, text_tokens=7, beside_tokens=tokens) == wanted


def test_an_unfused_lora_adds_what_torch_counts_for_it():
    from peft import LoraConfig

    model, size = transformer(), Size(64, 48)
    names = [name for name in BASE.modules if name.startswith("transformer_blocks") and "_mod." not in name]
    model.add_adapter(LoraConfig(r=4, target_modules=names))
    assert forward_operations(BASE, size, text_tokens=9, lora_rank=4) == counted(model, size, 9)


def test_qwen_image_takes_some_130_tera_operations_at_its_square_size():
    assert 1.2e14 < forward_operations(qwen_image(), Size(1328, 1328), text_tokens=60) < 1.4e14
