"""Merge a LoRA into the transformer's weights, as the vendor's script of August 2025 does.

Format (https://github.com/huggingface/safetensors#format): 8 bytes little-endian header length, that many bytes of
JSON `{name: {dtype, shape, data_offsets}}` with an optional `__metadata__`, then the tensors' bytes. The library is not
used because numpy has no bfloat16, and because a damaged header needs a precise message.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from qiltest.errors import RecipeError, os_errors_as
from qiltest.strict_json import StrictJsonError, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: the format's own limit on the header, in bytes.
HEADER_LIMIT = 100_000_000
#: bytes of a tensor that are read at once.
CHUNK = 4 << 20
#: how torch's zip files and bare pickles of protocols 2 to 5 begin.
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1"}
_INTEGERS = {
    "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1",
}  # fmt: skip


class BrokenFileError(RecipeError):
    """The file is there, but is not a whole safetensors file: it does not pass, which is not wrong use."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class TensorInfo:
    """One tensor as the header names it. `start` and `end` count bytes from the file's beginning."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def is_float(self) -> bool:
        """True where the values are floating-point numbers."""
        return self.dtype in _FLOATS

    @property
    def is_number(self) -> bool:
        """True where the values are floating-point or whole numbers."""
        return self.is_float or self.dtype in _INTEGERS


@dataclass(frozen=True, kw_only=True)
class SafetensorsFile:
    """The checked header of a safetensors file."""

    path: Path
    size: int
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]

    def chunks(self, info: TensorInfo, *, limit: int = CHUNK) -> Iterator[NDArray[np.float32]]:
        """Yield a tensor's values as flat float32 (float64 values are rounded), at most `limit` bytes at a time."""
        step = max(1, limit // _ITEM_BYTES[info.dtype]) * _ITEM_BYTES[info.dtype]
        with self.path.open("rb") as file:
            file.seek(info.start)
            for start in range(info.start, info.end, step):
                raw = file.read(min(step, info.end - start))
                yield _to_float32(raw, info.dtype)

    def read(self, info: TensorInfo) -> NDArray[np.float32]:
        """Return a whole tensor as float32 in its shape."""
        parts = list(self.chunks(info))
        flat = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        return flat.reshape(info.shape)

    def number(self, info: TensorInfo) -> float:
        """Return the value of a tensor of one element, of any numeric dtype, in double precision."""
        if info.dtype in ("F64", *_INTEGERS):
            with self.path.open("rb") as file:
                file.seek(info.start)
                return float(
                    np.frombuffer(
                        file.read(_ITEM_BYTES[info.dtype]), ({"F64": _FLOATS["F64"]} | _INTEGERS)[info.dtype]
                    )[0]
                )
        return float(self.read(info).reshape(-1)[0])


def _to_float32(raw: bytes, dtype: str) -> NDArray[np.float32]:
    """Widen 8- and 16-bit values exactly; round 64-bit ones."""
    values = np.frombuffer(raw, dtype=(_FLOATS | _INTEGERS)[dtype])
    if dtype == "BF16":  # the upper half of a float32
        return (values.astype(np.uint32) << 16).view(np.float32)
    if dtype == "F8_E5M2":  # the upper half of a float16
        return (values.astype(np.uint16) << 8).view(np.float16).astype(np.float32)
    if dtype == "F8_E4M3":
        return np.take(_E4M3, values)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def _e4m3() -> NDArray[np.float32]:
    """Return the values of all 256 bytes: 4 bits of exponent (bias 7), 3 of mantissa, no infinity, NaN for S.1111.111.

    Source: Micikevicius et al., FP8 Formats for Deep Learning (arXiv:2209.05433), table one.
    """
    byte = np.arange(256)
    exponent, mantissa = byte >> 3 & 15, byte & 7
    size = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7))
    size[(byte & 127) == 127] = np.nan
    return np.where(byte < 128, size, -size).astype(np.float32)


_E4M3 = _e4m3()


def open_safetensors(path: Path) -> SafetensorsFile:
    """Read and check a header. Raises BrokenFileError where the file is not whole, RecipeError where there is none."""
    remedy = "name an existing .safetensors file"
    with os_errors_as(RecipeError, "cannot be read", where=str(path), remedy=remedy), path.open("rb") as file:
        size = path.stat().st_size
        length = _header_length(path, size, file.read(9))
        file.seek(8)
        text = file.read(length)
    entries = _parse(path, text)
    metadata = entries.pop("__metadata__", {})
    tensors = {name: _tensor(path, name, entry, 8 + length, size) for name, entry in entries.items()}
    _check_layout(path, tensors, 8 + length, size)
    return SafetensorsFile(path=path, size=size, tensors=tensors, metadata=_metadata(path, metadata))


def _fail(path: Path, what: str) -> NoReturn:
    raise BrokenFileError(
        what,
        where=str(path),
        remedy="download the file again, and compare its size and SHA-256 with its source's",
    )


def _header_length(path: Path, size: int, raw: bytes) -> int:
    if len(raw) < 9:
        _fail(path, f"not a safetensors file: {size} bytes, too short for a header")
    length = int.from_bytes(raw[:8], "little")
    if raw[8:] != b"{" and raw.startswith(_PICKLES):  # a header's length may begin with the same bytes
        _fail(path, "this is a pickle (or a zip of one), not safetensors; not opened, because unpickling runs code")
    if length > HEADER_LIMIT:
        _fail(path, f"not a safetensors file: its header has {length:,} bytes, the format allows {HEADER_LIMIT:,}")
    if 8 + length > size:
        _fail(path, f"truncated: the header needs {8 + length:,} bytes, the file has {size:,}")
    return length


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        entries = parse(text)
    except StrictJsonError as error:
        _fail(path, f"the header is not JSON: {error}")
    if not isinstance(entries, dict):
        _fail(path, "the header is not a JSON object")
    return entries


def _metadata(path: Path, found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        _fail(path, "`__metadata__` is not an object of strings")
    return found


def _tensor(path: Path, name: str, entry: object, base: int, size: int) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _fail(path, f"the header's entry {name!r} is not {{dtype, shape, data_offsets}}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        _fail(path, f"tensor {name!r} has the unknown dtype {dtype!r}")
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2:
        _fail(path, f"tensor {name!r} has shape {shape!r} and offsets {offsets!r}: not lists of whole numbers")
    start, end = offsets
    if end - start != math.prod(shape) * _ITEM_BYTES[dtype]:
        _fail(path, f"tensor {name!r} of {dtype} {shape} cannot have {end - start} bytes")
    if base + end > size:
        _fail(path, f"truncated: tensor {name!r} ends at byte {base + end:,}, the file has {size:,}")
    return TensorInfo(name=name, dtype=dtype, shape=tuple(shape), start=base + start, end=base + end)


def _is_counts(found: object) -> bool:
    return isinstance(found, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in found)


def _check_layout(path: Path, tensors: dict[str, TensorInfo], base: int, size: int) -> None:
    """Check that tensors follow one another without gap or overlap, up to the file's end."""
    at = base
    for info in sorted(tensors.values(), key=lambda info: (info.start, info.end)):
        if info.start != at:
            _fail(path, f"tensor {info.name!r} starts at byte {info.start:,} where {at:,} was expected")
        at = info.end
    if at != size:
        _fail(path, f"{size - at:,} bytes after the last tensor belong to no tensor")
