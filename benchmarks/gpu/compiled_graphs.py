"""Replay a transformer's forward from a CUDA graph, so that the GPU does not wait for the processor that feeds it.

A step of `compiled.py`, which measured that it is not worth two more forwards for each prompt: no part of the product.

A graph holds addresses: of its inputs, which are copied into memory of its own before each replay, and of the weights.
Merging a LoRA writes into the weights where they are, which a graph sees; weights that were moved make a new graph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import torch

#: graphs that are kept: one for each size and length of a prompt.
_KEPT = 32

Inputs = dict[str, Any]


class Graph:
    """One recorded forward, with its inputs and output."""

    def __init__(self, forward: Callable[..., tuple[torch.Tensor]], inputs: Inputs, pool: Any) -> None:  # noqa: ANN401
        """Record `forward` as it runs on these inputs; it must have run on inputs of the same shapes before."""
        self._inputs = {name: one.clone() if isinstance(one, torch.Tensor) else one for name, one in inputs.items()}
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # other threads, which load or hash meanwhile, may use the device
            self._graph.capture_begin(pool, capture_error_mode="thread_local")
            try:
                (self._output,) = forward(**self._inputs)
            finally:
                self._graph.capture_end()
        torch.cuda.current_stream().wait_stream(stream)

    def replay(self, inputs: Inputs) -> tuple[torch.Tensor]:
        """Run it on other inputs of the same shapes; the output is the caller's own."""
        for name, own in self._inputs.items():
            if isinstance(own, torch.Tensor):
                own.copy_(inputs[name])
        self._graph.replay()
        return (self._output.clone(),)


class Replayed:
    """Stands in the place of a transformer's `forward`: the first call of its kind runs, the second is recorded.

    What cannot be replayed runs as before: LoRA layers beside the weights, weights that come and go (offload), inputs
    without names, other outputs than a tuple, larger images.
    """

    def __init__(
        self,
        transformer: Any,  # noqa: ANN401
        *,
        up_to: int,
        record: Callable[..., Any] = Graph,
        device_type: str = "cuda",
    ) -> None:
        """Replay images of up to `up_to` tokens on devices of `device_type`."""
        self._transformer, self._forward, self._up_to = transformer, transformer.forward, up_to
        self._record, self._device_type = record, device_type
        self._graphs: OrderedDict[Hashable, Any] = OrderedDict()
        self._seen: set[Hashable] = set()
        self._pool: Any = None

    def __call__(self, *args: Any, **inputs: Any) -> Any:  # noqa: ANN401  stands for `forward`
        """Return what `forward` returns."""
        kind = None if args else self._kind(inputs)
        if kind is None:
            return self._forward(*args, **inputs)
        if kind not in self._graphs:
            if kind not in self._seen:  # compiles, and lets the libraries choose kernels, which cannot be recorded
                self._seen.add(kind)
                return self._forward(**inputs)
            self._graphs[kind] = self._recorded(inputs)
        self._graphs.move_to_end(kind)
        return self._graphs[kind].replay(inputs)

    def _recorded(self, inputs: Inputs) -> Any:  # noqa: ANN401
        if len(self._graphs) >= _KEPT:
            self._graphs.popitem(last=False)
        if self._pool is None and self._device_type == "cuda":
            self._pool = torch.cuda.graph_pool_handle()
        return self._record(self._forward, inputs, self._pool)

    def _kind(self, inputs: Inputs) -> Hashable | None:
        """Return what a graph is valid for; None where there can be none."""
        image = inputs.get("hidden_states")
        small = isinstance(image, torch.Tensor) and image.shape[1] <= self._up_to
        if not small or image.device.type != self._device_type or inputs.get("return_dict", True):  # type: ignore[union-attr]
            return None
        elsewhere = getattr(self._transformer, "peft_config", None) or hasattr(self._transformer, "_hf_hook")
        if elsewhere or torch.is_grad_enabled():
            return None
        return (
            tuple((name, _signature(inputs[name])) for name in sorted(inputs)),
            tuple(weight.data_ptr() for weight in self._transformer.parameters()),
        )


def _signature(value: Any) -> Hashable:  # noqa: ANN401
    """Return what a graph holds of an input: a tensor's form, any other value itself."""
    if isinstance(value, torch.Tensor):
        return (tuple(value.shape), value.stride(), value.dtype, value.device)
    return repr(value)
