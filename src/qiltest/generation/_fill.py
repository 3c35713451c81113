"""Build a model without memory and fill it one weight at a time: no second copy is ever in host or device memory."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from safetensors import safe_open

from qiltest.errors import ModelError
from qiltest.generation.whole import Weights, shown

#: bytes at which each weight begins in a transformer's host memory: what a copy to the device likes.
_ALIGNED = 256
#: (name, tensor): a model's weights, one at a time.
Tensors = Iterator[tuple[str, torch.Tensor]]
#: where a weight goes: takes it in the dtype of storage, and returns it on the device that stores it.
Put = Callable[[torch.Tensor], torch.Tensor]


def file_tensors(weights: Weights) -> Tensors:
    """Yield the tensors of files; each is mapped, not read, so that the next step reads it to where it belongs."""
    for path in weights.files:
        with safe_open(path, framework="pt", device="cpu") as file:
            for name in file.keys():  # noqa: SIM118  not a mapping
                yield name, file.get_tensor(name)


def fill(
    model: torch.nn.Module, tensors: Tensors, *, dtype: torch.dtype, put: Put, stop: Callable[[], bool] | None = None
) -> None:
    """Give a model on the meta device its weights: rounded to `dtype`, then to the dtype of each one's storage.

    `stop` is asked before each weight whether nobody wants the model any more. Raises ModelError where a tensor has no
    place in the model, or a weight stays without values.
    """
    for name, tensor in tensors:
        if stop is not None and stop():
            raise ModelError("nobody wants the model any more")
        path, _, own = name.rpartition(".")
        module = model.get_submodule(path)
        stored = getattr(module, own)
        if stored.shape != tensor.shape:
            raise ModelError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(stored.shape)}")
        value = put(tensor.to(dtype).to(stored.dtype))
        # not by `setattr`: accelerate patches how modules register parameters while another thread builds a model
        if isinstance(stored, torch.nn.Parameter):
            module._parameters[own] = torch.nn.Parameter(value, requires_grad=False)
        else:
            module._buffers[own] = value
    empty = [name for name, tensor in model.state_dict().items() if tensor.is_meta]
    if empty:
        raise ModelError(f"{len(empty)} weights have no values: {shown(empty)}")


def onto(device: torch.device) -> Put:
    """Put weights onto the device that computes.

    On the CPU none stays mapped from its file, where it may begin at any address: by that the CPU's kernels add in
    another order, and the same weights in another file would generate other images.
    """
    return lambda tensor: tensor.to(device) if tensor.data_ptr() % _ALIGNED == 0 else tensor.to(device, copy=True)


def mapped(tensor: torch.Tensor) -> torch.Tensor:
    """Leave a weight mapped from its file, if it needed no rounding; bring one that a GPU made to the host."""
    return tensor.cpu()


class HostMemory:
    """One piece of host memory for all weights of a model, from which a GPU fetches them without a detour.

    torch's own pinned memory takes the next power of two for each tensor, 1.6 times Qwen-Image's size.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        """Reserve the memory that the model, on the meta device, will need."""
        sizes = (tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
        self._memory = torch.empty(sum(_aligned(size) for size in sizes) + _ALIGNED, dtype=torch.uint8)
        self._at = -self._memory.data_ptr() % _ALIGNED
        #: False where the driver does not take the memory, and each copy to the device is slower.
        self.pinned = False

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copy a weight into the memory."""
        size = tensor.numel() * tensor.element_size()
        place = self._memory[self._at : self._at + size].view(tensor.dtype).view(tensor.shape)
        self._at += _aligned(size)
        return place.copy_(tensor)

    def pin(self, owner: torch.nn.Module, device: torch.device) -> None:
        """Let the GPU fetch from the memory by itself, until `owner` is gone."""
        runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        address = self._memory.data_ptr()
        self.pinned = int(runtime.cudaHostRegister(address, self._memory.numel(), 0)) == 0
        if self.pinned:
            weakref.finalize(owner, _unpin, self._memory)
        else:
            with contextlib.suppress(RuntimeError):  # the refusal stands until the next operation reports it
                torch.zeros(1, device=device)


def _unpin(memory: torch.Tensor) -> None:
    runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    runtime.cudaHostUnregister(memory.data_ptr())


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED
