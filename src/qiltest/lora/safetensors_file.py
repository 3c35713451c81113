"""A safetensors file: its checked header, and the values of its tensors, read in blocks.

The file is a regular one, and the same as when its header was read: else nothing is read from it.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qiltest.errors import RecipeError, os_errors_as
from qiltest.files import open_regular, stamp
from qiltest.hashing import file_sha256
from qiltest.lora.dtypes import ITEM_BYTES, to_float32, to_number
from qiltest.lora.header import HEADER_LIMIT, BrokenFileError, TensorInfo, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

__all__ = ["HEADER_LIMIT", "BrokenFileError", "SafetensorsFile", "TensorInfo", "lora_sha256", "open_safetensors"]

#: bytes of a tensor that are read at once: they stay in the processor's cache until they are float32.
CHUNK = 1 << 20
#: most bytes of a LoRA file; one of rank 64 in float32 has 1.7 GB, one of rank 256 in bfloat16 3.4 GB.
SIZE_LIMIT = 4 << 30
_REMEDY = "name an existing .safetensors file"


@dataclass(frozen=True, kw_only=True)
class SafetensorsFile:
    """The checked header of a safetensors file."""

    path: Path
    size: int
    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]
    #: `stamp` of when the header was read.
    state: tuple[int, ...]

    def chunks(self, info: TensorInfo, *, limit: int = CHUNK) -> Iterator[NDArray[np.float32]]:
        """Yield a tensor's values as flat float32 (float64 values are rounded), at most `limit` bytes at a time.

        Raises RecipeError where the file changed after its header was read.
        """
        step = max(1, limit // ITEM_BYTES[info.dtype]) * ITEM_BYTES[info.dtype]
        with self._opened() as file:
            file.seek(info.start)
            for start in range(info.start, info.end, step):
                yield to_float32(self._read(file, min(step, info.end - start)), info.dtype)

    def read(self, info: TensorInfo) -> NDArray[np.float32]:
        """Return a whole tensor as float32 in its shape."""
        values = np.empty((info.end - info.start) // ITEM_BYTES[info.dtype], np.float32)
        at = 0
        for chunk in self.chunks(info):
            values[at : at + chunk.size] = chunk
            at += chunk.size
        return values.reshape(info.shape)

    def number(self, info: TensorInfo) -> float:
        """Return the value of a tensor of one element, of any numeric dtype, in double precision."""
        with self._opened() as file:
            file.seek(info.start)
            return to_number(self._read(file, ITEM_BYTES[info.dtype]), info.dtype)

    def check_unchanged(self) -> None:
        """Raise RecipeError where the file is not the one whose header was read."""
        with self._opened():
            pass

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with _regular(self.path) as file:
            if _state(file) != self.state:
                raise self._changed()
            yield file

    def _read(self, file: BinaryIO, count: int) -> bytes:
        data = file.read(count)
        if len(data) != count:
            raise self._changed()
        return data

    def _changed(self) -> RecipeError:
        return RecipeError("the file changed while it was read", where=str(self.path), remedy="repeat the command")


def open_safetensors(path: Path) -> SafetensorsFile:
    """Read and check a header. Raises BrokenFileError where the file is not whole, RecipeError where there is none."""
    with _regular(path) as file:
        state = _state(file)
        header = read_header(path, file, state[0])
    return SafetensorsFile(path=path, size=state[0], tensors=header.tensors, metadata=header.metadata, state=state)


def lora_sha256(path: Path) -> str:
    """Return a LoRA file's SHA-256. Raises RecipeError where it is larger than any LoRA, or cannot be read."""
    with _regular(path) as file:
        size = os.fstat(file.fileno()).st_size
    if size > SIZE_LIMIT:
        raise BrokenFileError(too_large(size), where=str(path), remedy="name a LoRA's file, not a model's")
    with os_errors_as(RecipeError, "cannot be read", where=str(path), remedy=_REMEDY):
        return file_sha256(path)


def too_large(size: int) -> str:
    """Say that a file has more bytes than a LoRA's may have."""
    return f"a file of {size:,} bytes, more than the {SIZE_LIMIT:,} of the largest LoRA that is read"


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file without waiting. Raises RecipeError for whatever else the path is, and for failing reads."""
    with (
        os_errors_as(RecipeError, "cannot be read", where=str(path), remedy=_REMEDY),
        open_regular(path) as file,
    ):
        yield file


def _state(file: BinaryIO) -> tuple[int, ...]:
    return stamp(os.fstat(file.fileno()))
