"""The embedded model behind the stand-in server: it makes what a request asks for, as a server's own pipeline would."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

import builders as make
from qiltest.generation import Settings, open_generator
from qiltest.recipe import Size
from qiltest.suite.variants import LoraSource, SchedulerKind
from served_standin import Order

if TYPE_CHECKING:
    import torch


class EmbeddedPainter:
    """Generates with the embedded model, one request at a time. LoRAs are named `embedded::8step`.

    `bits` rounds the weights of its linear layers; LoRAs then stay beside them, as quantised engines keep them.
    """

    def __init__(self, *, bits: int | None = None, threads: int | None = None) -> None:
        self.generator = open_generator("tiny", Settings(threads=threads))
        self._lock = threading.Lock()
        self._bits, self.rounded = bits, 0

    def __call__(self, order: Order) -> np.ndarray:
        # sigma 1 alone, whichever scheduler it is
        lightning = order.scheduler == "lightning" or (order.scheduler == "guarded" and order.steps == 1)
        guided = order.cfg > 1 and order.negative_prompt is not None
        variant = make.variant(
            "served",
            steps=order.steps,
            true_cfg_scale=order.cfg if guided else 1.0,
            negative_prompt=order.negative_prompt if guided else None,
            # the builder of recipes refuses guidance on Lightning's scheduler, which a server does not
            scheduler=SchedulerKind.LIGHTNING if lightning and not guided else SchedulerKind.MODEL,
            loras=(("tiny", LoraSource(source=order.lora)),) if order.lora else (),
            merged=self._bits is None,
        )
        case = make.case("served", prompt=order.prompt)
        with self._lock:
            recipe = self.generator.recipe(case, Size(order.width, order.height), variant, order.seed)
            if self._bits is not None and not self.rounded:
                self.rounded = round_weights(self.generator._pipeline.transformer, self._bits)
            made = self.generator.decode_pixels(self.generator.denoise(recipe))
        return np.asarray(made.pixels)


def round_weights(transformer: Any, bits: int) -> int:
    """Round the weights of all linear layers, one scale per output channel; return how many weights were rounded."""
    import torch

    rounded = 0
    with torch.no_grad():
        for module in transformer.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight.copy_(_rounded(module.weight, 2 ** (bits - 1) - 1))
                rounded += module.weight.numel()
    return rounded


def _rounded(weight: torch.Tensor, most: int) -> torch.Tensor:
    scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / most
    return (weight / scale).round().clamp(-most, most) * scale
