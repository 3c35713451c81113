"""One training step, recorded as CUDA graphs: one for forward and backward by batch shape, one for the optimisers.

So small a model spends its time on launching kernels (a step of 368 ms took 98 ms compiled, at a quarter of the GPU's power);
a recorded step launches once. Where there is no GPU, or recording fails, the same functions run as they are.
A step whose gradient is not finite adds nothing and is counted: one such step once ruined a training.
On several GPUs the gradients are averaged between the two graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Batch = dict[str, torch.Tensor]
Loss = Callable[..., tuple[torch.Tensor, dict[str, torch.Tensor]]]
Result = TypeVar("Result")
LARGEST_NORM = 1.0


def captured(run: Callable[[], Result], pool: Any, *, warm_ups: int) -> tuple[torch.cuda.CUDAGraph, Result]:  # noqa: ANN401
    """Record a function after some runs on a stream of their own; its result is overwritten by each replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(warm_ups):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # the loader's pinning thread calls CUDA meanwhile, which the default mode forbids
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        result = run()
    return graph, result


class Gradients:
    """All gradients in one flat tensor, of which each parameter's `.grad` is a view."""

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self.parameters = parameters
        device = parameters[0].device
        self.flat = torch.zeros(sum(p.numel() for p in parameters), device=device)
        parts = self.flat.split([p.numel() for p in parameters])
        self.views = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
        self.refused = torch.zeros((), device=device)
        self.attach()

    def attach(self) -> None:
        for p, view in zip(self.parameters, self.views, strict=True):
            p.grad = view

    def take(self, loss: torch.Tensor) -> None:
        """Differentiate; a parameter that the loss does not reach gets 0."""
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        self.flat.zero_()
        pairs = [(view, g) for view, g in zip(self.views, found, strict=True) if g is not None]
        torch._foreach_copy_([view for view, _ in pairs], [g for _, g in pairs])

    def clip(self) -> None:
        """Scale to a norm of at most `LARGEST_NORM`; to 0 where it is not finite."""
        norm = self.flat.norm()
        fine = torch.isfinite(norm)
        scale = torch.where(fine, (LARGEST_NORM / (norm + 1e-6)).clamp(max=1.0), torch.zeros_like(norm))
        self.flat.nan_to_num_(0.0, 0.0, 0.0).mul_(scale)
        self.refused += (~fine).float()


class Engine:
    """Runs training steps. `loss(batch, conditional=...)` gives a loss and its parts; `update()` moves the parameters."""

    def __init__(
        self,
        loss: Loss,
        parameters: list[torch.nn.Parameter],
        update: Callable[[], None],
        *,
        record: bool,
        average: Callable[[torch.Tensor], None] | None = None,
    ) -> None:
        self.loss, self.update, self.record, self.average = loss, update, record, average
        self.gradients = Gradients(parameters)
        self.graphs: dict[object, tuple[torch.cuda.CUDAGraph, Batch, dict[str, torch.Tensor]]] = {}
        self.pool: object = None
        self.updating: torch.cuda.CUDAGraph | None = None
        self.updates = 0
        self.said: str | None = None

    def step(self, batch: Batch, key: object, *, conditional: bool) -> dict[str, torch.Tensor]:
        """One step on a batch whose shapes `key` names. The parts' values are overwritten by the next step of that key."""
        key = (key, conditional)
        if self.record and key not in self.graphs:
            try:
                self._record(batch, key, conditional=conditional)
            except RuntimeError as error:
                self.record, self.said = False, f"not recorded: {error}"
                torch.cuda.synchronize()
                self.gradients.attach()
        if self.record:
            graph, held, parts = self.graphs[key]
            for name, value in batch.items():
                held[name].copy_(value, non_blocking=True)
            graph.replay()
        else:
            parts = self._differentiate(batch, conditional=conditional)
        if self.average is not None:
            self.average(self.gradients.flat)
        self._update()
        return parts

    def _differentiate(self, batch: Batch, *, conditional: bool) -> dict[str, torch.Tensor]:
        loss, parts = self.loss(batch, conditional=conditional)
        self.gradients.take(loss)
        return {name: part.detach() for name, part in parts.items()}

    def _record(self, batch: Batch, key: object, *, conditional: bool) -> None:
        held = {name: value.clone() for name, value in batch.items()}
        graph, parts = captured(lambda: self._differentiate(held, conditional=conditional), self.pool, warm_ups=2)
        self.pool = self.pool or graph.pool()
        self.graphs[key] = graph, held, parts

    def _update(self) -> None:
        self.updates += 1
        if not self.record or self.updates <= 3:
            self._clip_and_update()
            return
        if self.updating is None:
            self.updating = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.updating, capture_error_mode="thread_local"):
                self._clip_and_update()
        self.updating.replay()

    def _clip_and_update(self) -> None:
        self.gradients.clip()
        self.update()


class Recorder:
    """Functions of tensors without gradients, recorded once a key: `call(key, fn, *tensors)` is `fn(*tensors)`."""

    def __init__(self, *, record: bool) -> None:
        self.record = record
        self.graphs: dict[object, tuple[torch.cuda.CUDAGraph, list[torch.Tensor], torch.Tensor]] = {}
        self.pool: object = None
        self.said: str | None = None

    def call(self, key: object, fn: Callable[..., torch.Tensor], *tensors: torch.Tensor) -> torch.Tensor:
        """The result is overwritten by the next call of the same key."""
        if self.record and key not in self.graphs:
            try:
                self._record(key, fn, tensors)
            except RuntimeError as error:
                self.record, self.said = False, f"not recorded: {error}"
                torch.cuda.synchronize()
        if not self.record:
            return fn(*tensors).detach()
        graph, held, result = self.graphs[key]
        torch._foreach_copy_(held, list(tensors))
        graph.replay()
        return result

    def _record(self, key: object, fn: Callable[..., torch.Tensor], tensors: tuple[torch.Tensor, ...]) -> None:
        held = [t.detach().clone() for t in tensors]
        graph, result = captured(lambda: fn(*held).detach(), self.pool, warm_ups=1)
        self.pool = self.pool or graph.pool()
        self.graphs[key] = graph, held, result
