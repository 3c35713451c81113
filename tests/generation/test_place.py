"""A weight that is written is the weight that the next forward computes with, in each way of saving memory."""

import copy

import pytest
import torch
from accelerate import cpu_offload, cpu_offload_with_hook
from peft import LoraConfig

from qiltest.generation._place import compute_dtype, read_weight, write_weight

from .stand_in import WIDTH, transformer

CPU = torch.device("cpu")
NAMES = (
    "transformer_blocks.0.attn.to_q.weight",
    "transformer_blocks.1.img_mlp.net.2.weight",
    "transformer_blocks.1.attn.to_add_out.bias",
    "img_in.weight",
    "proj_out.weight",
)


@pytest.fixture
def plain():
    torch.manual_seed(0)
    return transformer().to(torch.bfloat16).eval().requires_grad_(False)


@pytest.fixture
def tensors(plain):
    random = torch.Generator().manual_seed(1)
    shapes = {name: read_weight(plain, name).shape for name in NAMES}
    return {name: torch.randn(shape, generator=random) * 0.05 for name, shape in shapes.items()}


def forward(model):
    random = torch.Generator().manual_seed(2)
    image = torch.randn(1, 12, 64, generator=random).bfloat16()
    text = torch.randn(1, 7, WIDTH, generator=random).bfloat16()
    with torch.no_grad():
        return model(
            hidden_states=image,
            encoder_hidden_states=text,
            encoder_hidden_states_mask=torch.ones(1, 7, dtype=torch.long),
            timestep=torch.tensor([0.5]).bfloat16(),
            img_shapes=[[(1, 3, 4)]],
            return_dict=False,
        )[0]


def resident(model):
    return model


def group(model):
    model.enable_group_offload(
        onload_device=CPU, offload_device=CPU, offload_type="block_level", num_blocks_per_group=1
    )
    return model


def leaf(model):
    model.enable_group_offload(CPU, offload_device=CPU, offload_type="leaf_level")
    return model


def fp8(model):
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    return model


def model_offload(model):
    model, _ = cpu_offload_with_hook(model, CPU)
    return model


def sequential(model):
    cpu_offload(model, CPU, offload_buffers=True)
    return model


def adapted(model):
    model.add_adapter(LoraConfig(r=2, target_modules=["to_q", "net.2"], init_lora_weights=True), adapter_name="one")
    return model


WAYS = {
    "resident": (resident,),
    "group": (group,),
    "leaf": (leaf,),
    "fp8": (fp8,),
    "fp8 in groups": (fp8, group),
    "model": (model_offload,),
    "sequential": (sequential,),
    "below an adapter": (adapted,),
}


def through(way, model):
    for step in WAYS[way]:
        model = step(model)
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("warm", [False, True], ids=["before a forward", "after one"])
def test_the_next_forward_is_that_of_a_model_loaded_with_the_weight(plain, tensors, way, warm):
    wanted = copy.deepcopy(plain)
    for name, tensor in tensors.items():
        wanted.get_parameter(name).data = tensor.bfloat16()
    wanted, model = through(way, wanted), through(way, plain)
    before = forward(model) if warm else None
    for name, tensor in tensors.items():
        write_weight(model, name, tensor)
    after = forward(model)
    assert torch.equal(after, forward(wanted))
    if before is not None:
        assert not torch.equal(after, before)


@pytest.mark.parametrize("way", WAYS)
def test_writing_what_was_loaded_restores_the_model_bit_for_bit(plain, tensors, way):
    loaded = {name: read_weight(plain, name).clone() for name in NAMES}
    model = through(way, plain)
    stored = {name: read_weight(model, name).clone() for name in NAMES}
    before = forward(model)
    for given in (tensors, loaded):
        for name, tensor in given.items():
            write_weight(model, name, tensor)
    assert torch.equal(forward(model), before)
    for name, tensor in stored.items():
        now = read_weight(model, name)
        assert now.dtype is tensor.dtype
        assert torch.equal(now.float(), tensor.float())


def test_the_cpu_copy_of_a_stream_is_written_too(plain, tensors):
    """A stream brings a group from its pinned copies; after a forward that ended early these are not the weights."""
    model = group(plain)
    hook = model.transformer_blocks[0]._diffusers_hook.get_hook("group_offloading")
    copies = {weight: weight.data.clone() for weight in model.transformer_blocks[0].parameters()}
    hook.group.cpu_param_dict = copies
    write_weight(model, NAMES[0], tensors[NAMES[0]])
    assert torch.equal(copies[model.get_parameter(NAMES[0])], tensors[NAMES[0]].bfloat16())


def test_float8_storage_rounds_as_a_loaded_weight_is_rounded(plain, tensors):
    """To bfloat16 first: rounded at once, some values would land on the other neighbour."""
    model, name = fp8(plain), NAMES[0]
    random = torch.Generator().manual_seed(3)
    tensor = torch.randn(read_weight(model, name).shape, generator=random)
    write_weight(model, name, tensor)
    assert torch.equal(read_weight(model, name).float(), tensor.bfloat16().to(torch.float8_e4m3fn).float())
    assert not torch.equal(read_weight(model, name).float(), tensor.to(torch.float8_e4m3fn).float())
    assert compute_dtype(model.get_submodule("transformer_blocks.0.attn.to_q"), torch.float8_e4m3fn) is torch.bfloat16


def test_another_shape_is_refused(plain):
    with pytest.raises(ValueError, match=r"to_q.weight has shape \(192, 192\), not \(192, 1\)"):
        write_weight(plain, NAMES[0], torch.zeros(WIDTH, 1))


def test_a_name_without_a_weight_is_refused(plain):
    with pytest.raises(AttributeError, match="no weight 'forward'"):
        read_weight(plain, "proj_out.forward")
