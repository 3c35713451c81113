"""Random LoRAs in the shape of the Lightning files, to measure time and memory without a download."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from qiltest.generation._merge import Factors
from qiltest.lora.bases import Base

#: what a Lightning file covers: attention and feed-forward of both streams, in every block.
_COVERED = ("attn.", "img_mlp.", "txt_mlp.")
#: standard deviation of the up factor: a delta too small to change the activations' size.
_UP_STD = 1e-3


def random_lora(
    base: Base, rank: int, dtype: torch.dtype, device: torch.device, *, seed: int
) -> dict[str, torch.Tensor]:
    """Return factors named as diffusers writes them, for 12 modules per block, made on `device`."""
    random = torch.Generator(device).manual_seed(seed)
    tensors: dict[str, Any] = {}
    for name, (rows, columns) in base.modules.items():
        if not any(f".{part}" in name for part in _COVERED):
            continue
        down = torch.randn(rank, columns, generator=random, device=device, dtype=torch.float32) / columns**0.5
        up = torch.randn(rows, rank, generator=random, device=device, dtype=torch.float32) * _UP_STD
        tensors[f"transformer.{name}.lora_A.weight"] = down.to(dtype)
        tensors[f"transformer.{name}.lora_B.weight"] = up.to(dtype)
    return tensors


def random_factors(tensors: dict[str, torch.Tensor]) -> Iterator[Factors]:
    """Yield what `random_lora` made, one module at a time, for merging."""
    for key, down in tensors.items():
        module, ending, _ = key.removeprefix("transformer.").partition(".lora_A.weight")
        if ending:
            yield Factors(module=module, down=down, up=tensors[f"transformer.{module}.lora_B.weight"], scale=1.0)
