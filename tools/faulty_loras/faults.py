"""What was done to a good LoRA file: each fault is one that users had. Arrays in, arrays out."""

from __future__ import annotations

import re

import numpy as np
from lora_files import Tensor, Tensors

BLOCK = re.compile(r"transformer_blocks\.(\d+)\.")


def renamed_keys(tensors: Tensors) -> Tensors:
    """Attention under a name that no module has: diffusers warns at most, and the image blurs."""
    return {name.replace(".attn.", ".attention."): tensor for name, tensor in tensors.items()}


def foreign_prefix(tensors: Tensors) -> Tensors:
    """peft's own prefix, left on by a training script: nothing is applied."""
    return {f"base_model.model.{name}": tensor for name, tensor in tensors.items()}


def half_the_blocks(tensors: Tensors) -> Tensors:
    """The upper half of the blocks was not saved."""
    blocks = {name: int(match[1]) for name in tensors if (match := BLOCK.match(name))}
    half = (max(blocks.values()) + 1) // 2
    return {name: tensor for name, tensor in tensors.items() if blocks.get(name, 0) < half}


def zero_effect(tensors: Tensors) -> Tensors:
    """Up factors as they are initialised: the file loads, and the base draws."""
    return {name: _times(tensor, 0.0) if ".lora_up." in name else tensor for name, tensor in tensors.items()}


def silent_blocks(tensors: Tensors, share: float) -> Tensors:
    """Up factors of the first blocks zero: a merge or a block-weight tool silenced them."""
    blocks = {name: int(match[1]) for name in tensors if (match := BLOCK.match(name))}
    count = round((max(blocks.values()) + 1) * share)
    return {
        name: _times(tensor, 0.0) if ".lora_up." in name and blocks.get(name, count) < count else tensor
        for name, tensor in tensors.items()
    }


def alpha_times(tensors: Tensors, factor: float) -> Tensors:
    """Every alpha off by a factor: the delta is that many times as strong as it was trained."""
    return {name: _times(tensor, factor) if name.endswith(".alpha") else tensor for name, tensor in tensors.items()}


def one_nan(tensors: Tensors) -> Tensors:
    """A NaN in one tensor, in the middle of the model."""
    down = sorted(name for name in tensors if ".lora_down." in name)
    hurt = down[len(down) // 2]
    values = tensors[hurt].values.copy()
    values.flat[values.size // 2] = np.nan
    return {**tensors, hurt: tensors[hurt].with_values(values)}


def perturbed(tensors: Tensors, share: float, seed: int) -> Tensors:
    """Normal noise on both factors of every module, its Frobenius norm `share` of the factor's own."""
    random = np.random.default_rng(seed)
    made = dict(tensors)
    for name in sorted(name for name in tensors if ".lora_" in name):
        values = tensors[name].values
        noise = random.standard_normal(values.shape)
        noise *= share * np.linalg.norm(values.astype(np.float64)) / np.linalg.norm(noise)
        made[name] = tensors[name].with_values((values + noise).astype(np.float32))
    return made


def broken_strokes(tensors: Tensors, share: float, seed: int) -> Tensors:
    """Normal noise on the last block alone, on each factor, its Frobenius norm `share` of the factor's own.

    No later block corrects it, so that strokes break where the layout and most of each character stay: of the embedded
    model's texts as many are read at 1.3 times the norm as before.
    """
    last = max(int(match[1]) for name in tensors if (match := BLOCK.match(name)))
    block = {name: tensor for name, tensor in tensors.items() if f"transformer_blocks.{last}." in name}
    return {**tensors, **perturbed(block, share, seed)}


def _times(tensor: Tensor, factor: float) -> Tensor:
    return tensor.with_values(tensor.values * np.float32(factor))
