"""LoRA files in every way of writing keys, and the bad ones that users had."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from .stand_in import lora_weights

Tensors = dict[str, torch.Tensor]
PREFIXES = ("", "transformer.", "diffusion_model.", "lora_unet_", "base_model.model.")


def rename(tensors: Tensors, *, prefix: str, a_b: bool, alpha: bool) -> Tensors:
    """Write Lightning's keys in another way; `a_b` says lora_A/lora_B."""
    made = {}
    for key, value in tensors.items():
        if key.endswith(".alpha"):
            module, ending = key.removesuffix(".alpha"), ".alpha"
            if not alpha:
                continue
        else:
            module, _, factor = key.partition(".lora_")
            ending = f".lora_{factor}"
            if a_b:
                ending = ending.replace("lora_down", "lora_A").replace("lora_up", "lora_B")
        made[prefix + (module.replace(".", "_") if prefix == "lora_unet_" else module) + ending] = value.clone()
    return made


def write(path: Path, tensors: Tensors) -> Path:
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, {"format": "pt"})
    return path


def renamed_keys(tensors: Tensors) -> Tensors:
    return {key.replace("attn.to_q", "attn.query"): value for key, value in tensors.items()}


def first_block_only(tensors: Tensors) -> Tensors:
    return {key: value for key, value in tensors.items() if key.startswith("transformer_blocks.0.")}


def first_block_silent(tensors: Tensors) -> Tensors:
    first = "transformer_blocks.0."
    return {k: value * 0 if k.startswith(first) and "lora_up" in k else value for k, value in tensors.items()}


def no_effect(tensors: Tensors) -> Tensors:
    return {key: value * 0 if "lora_up" in key else value for key, value in tensors.items()}


def one_nan(tensors: Tensors) -> Tensors:
    made = {key: value.clone() for key, value in tensors.items()}
    made["transformer_blocks.1.attn.to_k.lora_down.weight"][1, 2] = float("nan")
    return made


def other_width(tensors: Tensors) -> Tensors:
    return {key: value[:, :64] if "lora_down" in key else value for key, value in tensors.items()}


def a_factor_missing(tensors: Tensors) -> Tensors:
    return {key: value for key, value in tensors.items() if key != "transformer_blocks.0.attn.to_v.lora_up.weight"}


def other_ranks_in_a_pair(tensors: Tensors) -> Tensors:
    key = "transformer_blocks.0.attn.to_v.lora_up.weight"
    return {**tensors, key: tensors[key][:, :2]}


#: what was done to a good file -> a part of the message.
BAD: dict[Callable[[Tensors], Tensors], str] = {
    renamed_keys: "4 keys with no match in",
    first_block_only: "1 of 2 blocks left out (1)",
    no_effect: "no effect: the delta of every module is zero",
    one_nan: "1 tensor with NaN or infinite values: transformer_blocks.1.attn.to_k.lora_down.weight",
    other_width: "modules with another shape than in",
    a_factor_missing: "1 factor missing: transformer_blocks.0.attn.to_v: the up factor",
    other_ranks_in_a_pair: "the ranks differ: 4 in the down factor, 2 in the up factor",
}


def good(*, seed: int = 8, **options) -> Tensors:
    return lora_weights(seed=seed, **options)
