"""Read and write one weight of a transformer wherever its way of saving memory keeps it.

A merged LoRA changes weights in place, and the base is restored by writing the file's weights again. A weight may be on
the device, on the CPU (`--qil-offload=model`), in the CPU copies of a group (`group`), in a map beside its module
(`sequential`), or stored in another dtype than it is computed in (float8 storage).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from qiltest.generation._memory import free_bytes
from qiltest.recipe import Size

#: bytes that the VAE takes for each pixel and each byte of its dtype while it decodes: 7.76 GiB at 1328x1328 in
#: bfloat16 (benchmarks/results/gpu_h100.json), and a tenth more.
_DECODING = 2600
#: the names under which diffusers registers its hooks.
_GROUP, _CASTING = "group_offloading", "layerwise_casting"


def read_weight(transformer: torch.nn.Module, name: str) -> torch.Tensor:
    """Return a weight as it is stored now: its own memory, in the storage's dtype and on the storage's device.

    `name` is that of the transformer without adapters, for example `transformer_blocks.0.attn.to_q.weight`. Raises
    AttributeError where there is no such weight.
    """
    module, own = _module_of(transformer, name)
    return _mapped(module, own) if _parameter(module, own).is_meta else _parameter(module, own).data


def write_weight(transformer: torch.nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Set a weight in place, in every copy of it, so that the next forward computes with `tensor`.

    `tensor` has the weight's shape, any floating dtype and any device. It is rounded to the dtype of computing first
    and then to that of storage, as a weight that is loaded and cast is. Raises ValueError for another shape.
    """
    module, own = _module_of(transformer, name)
    stored = read_weight(transformer, name)
    if tensor.shape != stored.shape:
        raise ValueError(f"{name} has shape {tuple(stored.shape)}, not {tuple(tensor.shape)}")
    rounded = tensor.detach().to(compute_dtype(module, stored.dtype))
    with torch.no_grad():
        stored.copy_(rounded)
        for copy in _group_copies(transformer, name, _parameter(module, own)):
            if copy.data_ptr() != stored.data_ptr():
                copy.copy_(rounded)


def compute_dtype(module: torch.nn.Module, stored: torch.dtype) -> torch.dtype:
    """Return the dtype in which a module computes: that of its storage, unless diffusers casts it layer by layer."""
    hook = _hook(module, _CASTING)
    dtype: torch.dtype = stored if hook is None else hook.compute_dtype
    return dtype


@contextmanager
def room_to_decode(pipeline: Any, size: Size, device: torch.device) -> Iterator[None]:  # noqa: ANN401
    """Move as many transformer blocks to the CPU as decoding an image of this size needs room for, and back.

    Decoding takes more memory than denoising; only this lets 41 GB of weights generate on a card of 48 GB.
    """
    wanted = _DECODING * pipeline.vae.dtype.itemsize * size.width * size.height
    parked = _parked(pipeline.transformer, device, wanted) if device.type == "cuda" else []
    try:
        yield
    finally:
        for block in parked:
            block.to(device)


def _parked(transformer: torch.nn.Module, device: torch.device, wanted: int) -> list[torch.nn.Module]:
    """Move blocks to the CPU, last ones first, until `wanted` bytes are free; those of an offloaded model stay."""
    parked: list[torch.nn.Module] = []
    missing = wanted - free_bytes(device)
    for block in reversed(list(transformer.get_submodule("transformer_blocks").children())):
        if missing <= 0 or hasattr(transformer, "_hf_hook") or _hook(transformer, _GROUP) is not None:
            break
        missing -= sum(weight.numel() * weight.element_size() for weight in block.parameters())
        parked.append(block.to("cpu"))
    if parked:
        torch.cuda.empty_cache()
    return parked


def _module_of(transformer: torch.nn.Module, name: str) -> tuple[torch.nn.Module, str]:
    """Return the module that owns a weight, below any adapter's wrapper, and the weight's name in it."""
    path, _, own = name.rpartition(".")
    module = transformer.get_submodule(path)
    return getattr(module, "base_layer", module), own


def _parameter(module: torch.nn.Module, name: str) -> torch.nn.Parameter:
    found = getattr(module, name)
    if not isinstance(found, torch.nn.Parameter):
        raise AttributeError(f"{type(module).__name__} has no weight {name!r}")
    return found


def _mapped(module: torch.nn.Module, name: str) -> torch.Tensor:
    """Return a weight that accelerate keeps beside its module, which has it on the meta device between forwards."""
    hook = getattr(module, "_hf_hook", None)
    for one in getattr(hook, "hooks", (hook,)):
        weights = getattr(one, "weights_map", None)
        if weights is not None:
            found: torch.Tensor = weights[name]
            return found
    raise AttributeError(f"{type(module).__name__}.{name} has no values: it is on the meta device")


def _group_copies(transformer: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> Iterator[torch.Tensor]:
    """Yield the pinned CPU copy from which a stream brings a weight to the device before each forward.

    Its group hangs on one of the modules on the way to the weight.
    """
    parts = name.split(".")[:-1]
    for end in range(len(parts) + 1):
        hook = _hook(transformer.get_submodule(".".join(parts[:end])), _GROUP)
        copies = {} if hook is None else hook.group.cpu_param_dict
        if parameter in copies:
            yield copies[parameter]


def _hook(module: torch.nn.Module, name: str) -> Any:  # noqa: ANN401  diffusers' hook, untyped
    registry = getattr(module, "_diffusers_hook", None)
    return None if registry is None else registry.get_hook(name)
