"""Norms and inner products of `up @ down` without the product, in memory of one module and time linear in its bytes.

Exact, up to rank 256 (128 in 16-bit floats, 64 in 8-bit ones): ||U D||_F^2 = trace(D^T U^T U D) = sum of (U^T U) *
(D D^T), two rank x rank matrices (Golub and Van Loan, Matrix Computations, 2.3: the Frobenius norm is the root of the
trace of A^T A).

Above, by a sketch: ||A||_F^2 is the mean of ||A z||^2 over vectors z of independent standard normal numbers
(Hutchinson, Communications in Statistics 18, 1989). With 32 vectors the norm's standard error is at most 12.5 % (a
delta of rank one; it falls with the root of the number of directions in which the delta is strong), and a delta that is
zero is exactly zero. The vectors are the same for all deltas of a width, so that two files are compared on equal terms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from qiltest.lora.dtypes import ITEM_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from qiltest.lora.safetensors_file import SafetensorsFile, TensorInfo

#: the rank up to which norms are exact.
EXACT_RANK = 256
#: ... at so many multiplications per byte of the file: up to rank 128 in 16-bit floats, 64 in 8-bit ones.
EXACT_PER_BYTE = 64
#: numbers of one factor up to which norms are exact: rank 256 of Qwen-Image's widest layer has 4.7 million.
EXACT_SIZE = 8 << 20
#: vectors of a sketch.
VECTORS = 32
_SEED = 0
#: rows and columns of a product that is made at once.
_TILE = 64
#: values of this size keep their squares' sums within float32.
_LARGE, _SMALL = 2.0**20, 2.0**-20
#: numbers of a factor that are read at once, at least one row.
_BLOCK = 1 << 18


Values: TypeAlias = "NDArray[np.float32] | NDArray[np.float64]"


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor: `values` are at most about 1, and are multiplied by `size`, so that no square overflows."""

    values: NDArray[np.float32]
    size: float


def is_exact(*factors: TensorInfo) -> bool:
    """Return whether the norm of a module with these factors is computed, not estimated."""
    return all(
        min(info.shape) <= min(EXACT_RANK, EXACT_PER_BYTE * ITEM_BYTES[info.dtype])
        and math.prod(info.shape) <= EXACT_SIZE
        for info in factors
    )


def factor(file: SafetensorsFile, info: TensorInfo) -> Factor | None:
    """Read a factor whole; None where a value is not finite."""
    return _scaled(file.read(info))


def norm(up: Factor, down: Factor) -> float:
    """Return the Frobenius norm of `up @ down`."""
    across = down.values.T
    gram = contract(up.values, up.values) * contract(across, across)
    return up.size * down.size * math.sqrt(max(0.0, float(gram.sum())))


def contract(left: Values, right: Values) -> NDArray[np.float64]:
    """Return `left.T @ right`, both of many rows, in tiles of 64 x 64 x 64, summed up.

    OpenBLAS divides no product of that size among threads. Threads that wait for one another at every product made an
    inspection on a busy machine of two cores take seven times as long as one thread does; tiles take as long as that.
    """
    count, width = left.shape
    slices = count // _TILE
    whole, even = slices * _TILE, width // _TILE * _TILE
    made = np.zeros((width, right.shape[1]))
    for at in range(0, right.shape[1], _TILE):
        other = right[:, at : at + _TILE]
        tiles = other[:whole].reshape(slices, 1, _TILE, other.shape[1])
        start = min(at, even) if left is right else 0  # what is above the diagonal is what is below it
        square = left[:whole, start:even].reshape(slices, _TILE, (even - start) // _TILE, _TILE).transpose(0, 2, 3, 1)
        rest = left[:whole, even:].reshape(slices, _TILE, width - even).transpose(0, 2, 1)
        made[start:even, at : at + _TILE] = np.matmul(square, tiles).sum(axis=0).reshape(even - start, other.shape[1])
        made[even:, at : at + _TILE] = np.matmul(rest, tiles[:, 0]).sum(axis=0)
        made[start:, at : at + _TILE] += left[whole:, start:].T @ other[whole:]
        if left is right:
            made[at : at + _TILE, at + _TILE :] = made[at + _TILE :, at : at + _TILE].T
    return made


def sketch(file: SafetensorsFile, up: TensorInfo, down: TensorInfo) -> tuple[NDArray[np.float64], list[str]]:
    """Return `up @ down @ z` for the vectors of a sketch, and the names of factors with a value that is not finite.

    A few rows are read at a time.
    """
    inner, bad = _times(file, down, _vectors(down.shape[1]))
    outer, worse = _times(file, up, inner)
    return outer, [info.name for info, is_bad in ((down, bad), (up, worse)) if is_bad]


def sketched_norm(outer: NDArray[np.float64]) -> float:
    """Return the norm that a sketch estimates."""
    largest = float(np.abs(outer).max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(float(np.square(outer / largest).sum()) / VECTORS)


def _times(file: SafetensorsFile, info: TensorInfo, right: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Return a factor times a matrix, and whether the factor has a value that is not finite."""
    made = np.zeros((info.shape[0], right.shape[1]))
    scaled = _scaled(right)
    assert scaled is not None  # float32 values times numbers near 1, summed in float64
    bad, at = False, 0
    for some in rows(file, info):
        block = _scaled(some)
        if block is not None:
            made[at : at + len(some)] = contract(block.values.T, scaled.values) * (block.size * scaled.size)
        bad, at = bad or block is None, at + len(some)
    return made, bad


def rows(file: SafetensorsFile, info: TensorInfo) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of a matrix, a few at a time: as many whatever its dtype."""
    count, width = info.shape
    item = (info.end - info.start) // (count * width)
    for chunk in file.chunks(info, limit=max(1, _BLOCK // width) * width * item):
        yield chunk.reshape(-1, width)


def _scaled(values: Values) -> Factor | None:
    """Return finite values near 1, as they are where they are not far from it; None where one is not finite."""
    most = max(float(values.max(initial=0)), -float(values.min(initial=0)))
    if not math.isfinite(most):
        return None
    if most == 0 or _SMALL < most < _LARGE:
        return Factor(values=values.astype(np.float32, copy=False), size=1.0)
    return Factor(values=(values / values.dtype.type(most)).astype(np.float32, copy=False), size=most)


@lru_cache(maxsize=4)
def _vectors(width: int) -> NDArray[np.float64]:
    return np.random.default_rng(_SEED).standard_normal((width, VECTORS))
