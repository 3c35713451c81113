"""Small LoRA files, written by hand: no torch, and bfloat16 as the upper half of a float32."""

import json
from pathlib import Path

import numpy as np

from qiltest.lora import Base

BASE = Base(name="small", num_layers=6, attention_head_dim=8, num_attention_heads=2, joint_attention_dim=12)
COVERED = ("attn.", "img_mlp.", "txt_mlp.")
Arrays = dict[str, np.ndarray]


def lora(*, rank: int = 3, alpha: float | None = 1.5, seed: int = 0, base: Base = BASE) -> Arrays:
    """Lightning keys for 12 modules a block."""
    random = np.random.default_rng(seed)
    made: Arrays = {}
    for name, (rows, columns) in base.modules.items():
        if any(f".{part}" in name for part in COVERED):
            made[f"{name}.lora_down.weight"] = random.normal(size=(rank, columns)).astype(np.float32)
            made[f"{name}.lora_up.weight"] = random.normal(size=(rows, rank)).astype(np.float32)
            if alpha is not None:
                made[f"{name}.alpha"] = np.array(alpha, np.float32)
    return made


def encode(arrays: Arrays, *, dtype: str = "F32", metadata: dict[str, str] | None = None) -> bytes:
    """Return the bytes of a safetensors file."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata is not None else {}
    body = bytearray()
    for name, array in arrays.items():
        raw = to_bytes(array, dtype)
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    return with_header(header, bytes(body))


def with_header(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def to_bytes(array: np.ndarray, dtype: str) -> bytes:
    if dtype == "BF16":
        return (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return array.astype({"F32": "<f4", "F16": "<f2", "F64": "<f8"}[dtype]).tobytes()


def write(folder: Path, arrays: Arrays, name: str = "lora.safetensors", **options) -> Path:
    path = folder / name
    path.write_bytes(encode(arrays, **options))
    return path
