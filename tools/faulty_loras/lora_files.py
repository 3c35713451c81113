"""LoRA files as numpy arrays, read and written with their own dtypes: numpy alone has no bfloat16."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qiltest.files import write_atomically
from qiltest.lora.safetensors_file import open_safetensors

Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor: the values as float32, and the dtype that it is stored in (`F32`, `BF16`)."""

    values: Values
    dtype: str

    def with_values(self, values: Values) -> Tensor:
        return replace(self, values=values.astype(np.float32))


Tensors = dict[str, Tensor]


def read(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Return a file's tensors and its metadata."""
    file = open_safetensors(path)
    tensors = {name: Tensor(values=file.read(info), dtype=info.dtype) for name, info in file.tensors.items()}
    return tensors, file.metadata


def write(path: Path, tensors: Tensors, metadata: dict[str, str]) -> None:
    """Write a safetensors file: length of the header, header, tensors one after the other."""
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    body = bytearray()
    # the format aligns by putting the largest items first
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].dtype != "F32", item[0])):
        raw = _encoded(tensor)
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.values.shape),
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_atomically(path, len(text).to_bytes(8, "little") + text + bytes(body))


def _encoded(tensor: Tensor) -> bytes:
    if tensor.dtype == "F32":
        return tensor.values.astype("<f4").tobytes()
    if tensor.dtype == "BF16":
        return to_bfloat16(tensor.values).tobytes()
    raise ValueError(f"a tensor of {tensor.dtype} cannot be written here: F32 or BF16")


def to_bfloat16(values: Values) -> NDArray[np.uint16]:
    """Return the upper halves of float32 values, rounded to nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype("<u2")
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded).astype("<u2")
