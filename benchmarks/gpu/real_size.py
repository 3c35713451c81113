"""Write a model and LoRAs of the real size into a Hugging Face cache: everything as released but the values.

    HF_HOME=/dev/shm/hf python benchmarks/gpu/real_size.py --tokens qwen.tiktoken [--loras 4]

Qwen-Image at full size (54 GB in 13 shards, random values) and LoRA files in Lightning's format (rank 64) lie there
under the names that cases/variants.toml has, so that `pytest -m gpu` runs as on a user's runner. `qwen.tiktoken` is
Qwen's own vocabulary, of the PyPI package dashscope (`resources/qwen.tiktoken`); the tokenizer is made of it. Needs a
GPU of 60 GB; writing to memory takes about a minute. `--small` writes a stand-in of a few MB on the CPU.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import gpu_parts as parts

from qiltest.arguments import existing_file

MODEL, LORAS = "Qwen/Qwen-Image", "lightx2v/Qwen-Image-Lightning"
#: file names that variants of the suite name, in the order in which they are written.
FILES = (
    "Qwen-Image-Lightning-8steps-V1.1",
    "Qwen-Image-Lightning-4steps-V1.0",
    "Qwen-Image-Lightning-8steps-V2.0",
    "Qwen-Image-Lightning-4steps-V2.0",
)
_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
#: how Qwen2's tokenizer splits a text into words before it merges.
_WORDS = (
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"""
    r"""|\s+(?!\S)|\s+"""
)
_CONFIG = {
    "tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
    "bos_token": None, "model_max_length": 131072, "errors": "replace", "clean_up_tokenization_spaces": False,
    "split_special_tokens": False, "add_prefix_space": False,
}  # fmt: skip


def repository(hub: Path, name: str) -> Path:
    """Return a new snapshot's folder of a repository in a cache."""
    root = hub / f"models--{name.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(_COMMIT, encoding="utf-8")
    snapshot = root / "snapshots" / _COMMIT
    snapshot.mkdir(parents=True)
    return snapshot


def write_model(folder: Path, scale: parts.Scale) -> None:
    """Write transformer, VAE, scheduler and text encoder."""
    import torch

    from qiltest.generation._load import random_pipeline

    dtype = torch.float32 if scale.dry else torch.bfloat16
    pipeline = random_pipeline(scale.transformer, scale.vae, dtype, torch.device(scale.device))
    pipeline.transformer.save_pretrained(folder / "transformer", max_shard_size="5GB")
    pipeline.vae.save_pretrained(folder / "vae")
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    del pipeline
    torch.cuda.empty_cache()
    scale.text_encoder().save_pretrained(folder / "text_encoder", max_shard_size="5GB")
    index = (parts.ROOT / "src/qiltest/generation/tiny/model_index.json").read_text(encoding="utf-8")
    (folder / "model_index.json").write_text(index, encoding="utf-8")
    torch.cuda.empty_cache()


def write_tokenizer(tokens: Path, folder: Path) -> None:
    """Write Qwen's tokenizer in Hugging Face form from its vocabulary in tiktoken's."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, tokens.read_text().splitlines())}
    shown = _byte_characters()
    vocabulary = {"".join(shown[byte] for byte in token): rank for token, rank in ranks.items()}
    merges = [(_text(one, shown), _text(other, shown)) for one, other in _merges(ranks)]
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=False))
    made.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(_WORDS), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_CONFIG), encoding="utf-8")


def _byte_characters() -> dict[int, str]:
    """Return the characters that stand for bytes in a byte-level vocabulary (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


def _text(token: bytes, shown: dict[int, str]) -> str:
    return "".join(shown[byte] for byte in token)


def _merges(ranks: dict[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pairs that make each token, by rank: what merging with the ranks below it leaves."""
    for token, rank in sorted(ranks.items(), key=lambda pair: pair[1]):
        pieces = [bytes([byte]) for byte in token]
        while len(pieces) > 2:
            found = [(ranks.get(a + b, rank), at) for at, (a, b) in enumerate(pairwise(pieces))]
            least, at = min(found)
            if least >= rank:
                break
            pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
        if len(pieces) == 2:
            yield pieces[0], pieces[1]


def write(hub: Path, *, tokens: Path | None, scale: parts.Scale, loras: int) -> dict[str, float]:
    """Write all of it; return the seconds that each part took."""
    spent: dict[str, float] = {}
    model = repository(hub, MODEL)

    def timed(name: str, work: Any, *given: Any) -> None:  # noqa: ANN401
        begin = time.perf_counter()
        work(*given)
        spent[name] = time.perf_counter() - begin
        print(f"{name}: {spent[name]:.1f} s", flush=True)

    timed("model", write_model, model, scale)
    if tokens is not None:
        timed("tokenizer", write_tokenizer, tokens, model / "tokenizer")
    folder = repository(hub, LORAS)
    for seed, name in enumerate(FILES[:loras]):
        timed(name, lambda path, seed: parts.write_lora(path, scale, seed=seed), folder / f"{name}.safetensors", seed)
    return spent


def main() -> None:
    """Write into `HF_HOME`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=existing_file, help="qwen.tiktoken")
    parser.add_argument("--loras", type=int, default=2, help="how many LoRA files")
    parser.add_argument("--small", action="store_true", help="a stand-in, on the CPU")
    asked = parser.parse_args()
    write(
        Path(os.environ["HF_HOME"]) / "hub", tokens=asked.tokens, scale=parts.Scale(dry=asked.small), loras=asked.loras
    )


if __name__ == "__main__":
    main()
