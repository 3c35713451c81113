"""Muon: momentum orthogonalised by Newton-Schulz, for the weight matrices inside the blocks.

Keller Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024); the update's size is matched to AdamW's
by sqrt(max(rows, columns)) (Liu and others, "Muon is scalable for LLM training", 2025), so that both take one learning rate; their
factor is 0.2, ours `SIZE`.
Matrices of one shape are orthogonalised together: at this size a step is bound by launching kernels.
"""

from __future__ import annotations

from collections import defaultdict

import torch

#: quintic iteration's coefficients, from Jordan's page
A, B, C = 3.4445, -4.7750, 2.0315
MOMENTUM, ITERATIONS, SIZE = 0.95, 5, 0.3


def orthogonalised(stack: torch.Tensor) -> torch.Tensor:
    """The nearest semi-orthogonal matrices, roughly; `stack` is [n, rows, columns]."""
    x = stack.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = A * x + (B * square + C * square @ square) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon over matrices alone; `lr` is a tensor of one element, which a recorded step reads again."""

    def __init__(self, matrices: list[torch.nn.Parameter], lr: torch.Tensor, weight_decay: float = 0.01) -> None:
        assert all(p.ndim == 2 for p in matrices)
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes = defaultdict(list)
            for p in group["params"]:
                shapes[p.shape].append(p)
            for shape, same in shapes.items():
                held = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in same]
                grads = [p.grad for p in same]
                torch._foreach_lerp_(held, grads, 1 - MOMENTUM)
                ahead = torch._foreach_lerp(grads, held, MOMENTUM)
                update = orthogonalised(torch.stack(ahead)).to(same[0].dtype) * (
                    -SIZE * max(shape) ** 0.5 * group["lr"]
                )
                torch._foreach_mul_(same, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(same, list(update.unbind()))
