"""The dtypes of safetensors, and their values as float32; numpy has no bfloat16 and no 8-bit floats."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: dtype -> bytes of one value.
ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip
#: numpy's names of the bits of floating-point dtypes ...
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1"}
#: ... and of whole numbers.
INTEGERS = {
    "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1",
}  # fmt: skip


def to_float32(raw: bytes, dtype: str) -> NDArray[np.float32]:
    """Return flat values: 8- and 16-bit ones are widened exactly, 64-bit ones rounded."""
    values = np.frombuffer(raw, dtype=(FLOATS | INTEGERS)[dtype])
    if dtype == "BF16":  # the upper half of a float32
        wide = values.astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    if dtype == "F8_E5M2":
        return _widened(values, _E5M2)
    if dtype == "F8_E4M3":
        return _widened(values, _E4M3)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def to_number(raw: bytes, dtype: str) -> float:
    """Return the one value of a tensor in double precision."""
    if dtype == "F64" or dtype in INTEGERS:
        return float(np.frombuffer(raw, dtype=(FLOATS | INTEGERS)[dtype])[0])
    return float(to_float32(raw, dtype)[0])


def _widened(codes: NDArray[np.uint8], table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Look up two codes at a time, which takes half as long."""
    even = len(codes) // 2 * 2
    pairs: NDArray[np.complex64] = _pairs(table.tobytes())[codes[:even].view("<u2")]
    wide = pairs.view(np.float32)
    return wide if even == len(codes) else np.append(wide, table[codes[-1]])


@cache
def _pairs(table: bytes) -> NDArray[np.complex64]:
    """Return the values of all pairs of codes, the first code in the lower byte, as one number of two parts."""
    codes, values = np.arange(1 << 16), np.frombuffer(table, np.float32)
    both = np.stack((values[codes & 255], values[codes >> 8]), axis=1)
    return both.view(np.complex64).reshape(-1)


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
#: the upper half of a float16.
_E5M2: NDArray[np.float32] = (np.arange(256, dtype=np.uint16) << 8).view(np.float16).astype(np.float32)
