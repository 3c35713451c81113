"""Weights in the middle of a training, in bf16 and in files of at most 15 MB: what is brought home from a rented machine.

    python tools/tiny_model/pack_weights.py FOLDER --vae src/qiltest/generation/tiny/vae --out MODEL

writes them as a model in diffusers layout. `train.py --begin-with FOLDER` goes on from them, or from a model in diffusers layout, without the optimisers' state.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import QwenImageTransformer2DModel
from safetensors.torch import load_file, save_file
from transformers import Qwen2_5_VLForConditionalGeneration

from qiltest.arguments import existing_folder

LARGEST = 15_000_000


def write_weights(folder: Path, modules: dict[str, torch.nn.Module]) -> None:
    """Write the modules' weights; each file is whole or not there."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    shards: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for key, value in tensors.items():
        small = value.detach().to("cpu", torch.bfloat16).clone()
        if size + small.nbytes > LARGEST:
            shards.append({})
            size = 0
        shards[-1][key] = small
        size += small.nbytes
    for number, shard in enumerate(shards):
        path = folder / f"{number}.safetensors"
        save_file(shard, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)


def read_weights(folder: Path, modules: dict[str, torch.nn.Module]) -> None:
    """Load weights that `write_weights` wrote, or a model in diffusers layout; a module without any stays as it is."""
    found: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
    kinds = {"transformer": QwenImageTransformer2DModel, "text_encoder": Qwen2_5_VLForConditionalGeneration}
    for name in set(kinds) & set(modules):
        if any(key.startswith(f"{name}/") for key in found):
            continue
        held = kinds[name].from_pretrained(folder / name, dtype=torch.float32).state_dict()
        found |= {f"{name}/{key}": value for key, value in held.items()}
    for name, module in modules.items():
        own = {key.removeprefix(f"{name}/"): value for key, value in found.items() if key.startswith(f"{name}/")}
        if own:
            # heads that are new begin again
            module.load_state_dict(own, strict=name != "heads")


def main() -> None:
    from diffusers import AutoencoderKLQwenImage
    from models import build_text_encoder, build_transformer, export
    from tokenizer import build

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=existing_folder, help="a folder of an earlier training")
    parser.add_argument("--vae", type=existing_folder, required=True, help="the folder of a VAE in diffusers layout")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = build()
    modules = {"transformer": build_transformer(), "text_encoder": build_text_encoder(len(tokenizer))}
    read_weights(args.folder, modules)
    vae = AutoencoderKLQwenImage.from_pretrained(args.vae)
    vae.register_to_config(_name_or_path="")
    export(args.out, vae, modules["transformer"], modules["text_encoder"], tokenizer)


if __name__ == "__main__":
    main()
