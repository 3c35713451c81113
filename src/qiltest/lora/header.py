"""Read the header of a safetensors file in time and memory that are linear in its size, which is bounded.

Format (https://github.com/huggingface/safetensors#format): 8 bytes little-endian header length, that many bytes of
JSON `{name: {dtype, shape, data_offsets}}` with an optional `__metadata__`, then the tensors' bytes. The library is not
used because it bounds neither names nor metadata, and because a damaged header needs a precise message.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from qiltest.errors import RecipeError
from qiltest.lora.dtypes import FLOATS, INTEGERS, ITEM_BYTES
from qiltest.strict_json import StrictJsonError, parse

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import BinaryIO

#: most bytes of a header; those of Qwen-Image's LoRAs and checkpoints have less than a tenth.
HEADER_LIMIT = 4_000_000
#: most tensors; Qwen-Image's transformer has 1,933, a LoRA with an alpha for each of its linear modules 2,538.
MOST_TENSORS = 16_384
#: most entries of `__metadata__`; kohya's trainer writes about 100.
MOST_METADATA = 1_024
#: most characters of a tensor's name and of a key of the metadata; the longest of a LoRA of Qwen-Image has 75.
LONGEST_NAME = 512
#: most dimensions of a tensor.
MOST_DIMENSIONS = 8
#: how torch's zip files and bare pickles of protocols 2 to 5 begin.
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
#: a JSON string without escapes; the last may not end.
_STRING = re.compile(rb'"[^"]*"?')
_SHOWN = 120
_ANOTHER_COPY = "download the file again, and compare its size and SHA-256 with its source's"
_SMALLER = "write it again without what is too much: no LoRA or checkpoint of Qwen-Image comes near"


class BrokenFileError(RecipeError):
    """The file is there, but is not a whole safetensors file: it does not pass, which is not wrong use."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True, slots=True)
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
        return self.dtype in FLOATS

    @property
    def is_number(self) -> bool:
        """True where the values are floating-point or whole numbers."""
        return self.is_float or self.dtype in INTEGERS


@dataclass(frozen=True, kw_only=True)
class Header:
    """A checked header: the tensors in its order, and the metadata."""

    tensors: dict[str, TensorInfo]
    metadata: dict[str, str]


def read_header(path: Path, file: BinaryIO, size: int) -> Header:
    """Read the header of an open file of `size` bytes. Raises BrokenFileError, OSError."""
    length = _header_length(path, size, file.read(9))
    file.seek(8)
    text = file.read(length)
    if len(text) != length:
        _fail(path, f"truncated: the header needs {8 + length:,} bytes, the file has {8 + len(text):,}")
    _check_amount(path, text)
    entries = _parse(path, text)
    metadata = _metadata(path, entries.pop("__metadata__", {}))
    _check_names(path, "tensors", entries, MOST_TENSORS)
    tensors = {name: _tensor(path, name, entry, 8 + length, size) for name, entry in entries.items()}
    _check_layout(path, tensors, 8 + length, size)
    return Header(tensors=tensors, metadata=metadata)


def _fail(path: Path, what: str, remedy: str = _ANOTHER_COPY) -> NoReturn:
    raise BrokenFileError(what, where=str(path), remedy=remedy)


def _header_length(path: Path, size: int, raw: bytes) -> int:
    if len(raw) < 9:
        _fail(path, f"not a safetensors file: {size} bytes, too short for a header")
    length = int.from_bytes(raw[:8], "little")
    if raw[8:] != b"{" and raw.startswith(_PICKLES):  # a header's length may begin with the same bytes
        _fail(path, "this is a pickle (or a zip of one), not safetensors; not opened, because unpickling runs code")
    if raw[8:] != b"{" and length > min(size - 8, HEADER_LIMIT):
        _fail(path, f"not a safetensors file: no header begins after its length ({length:,})")
    if 8 + length > size:
        _fail(path, f"truncated: the header needs {8 + length:,} bytes, the file has {size:,}")
    if length > HEADER_LIMIT:
        _fail(path, f"its header has {length:,} bytes, more than the {HEADER_LIMIT:,} that are read", _SMALLER)
    return length


def _check_amount(path: Path, text: bytes) -> None:
    """Refuse a header that would become more objects than a whole one has, before it is parsed."""
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")  # without escapes a string is what two quotes enclose
    strings = plain.count(b'"') // 2
    if strings > (5 * MOST_TENSORS + 2 * MOST_METADATA + 1):
        _fail(path, f"its header has {strings:,} strings, more than {MOST_TENSORS:,} tensors have", _SMALLER)
    bare = _STRING.sub(b"", plain)
    each = 1 + 2 + 1 + MOST_DIMENSIONS  # commas: after a tensor, between its parts, its offsets and its dimensions
    for mark, most in ((b"{", MOST_TENSORS + 2), (b"[", 2 * MOST_TENSORS), (b",", each * MOST_TENSORS + MOST_METADATA)):
        if bare.count(mark) > most:
            what = f"its header has {bare.count(mark):,} `{mark.decode()}`, more than {MOST_TENSORS:,} tensors have"
            _fail(path, what, _SMALLER)


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        entries = parse(text)
    except StrictJsonError as error:
        _fail(path, f"the header is not JSON: {str(error)[:200]}")
    if not isinstance(entries, dict):
        _fail(path, "the header is not a JSON object")
    return entries


def _metadata(path: Path, found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        _fail(path, "`__metadata__` is not an object of strings")
    _check_names(path, "entries of metadata", found, MOST_METADATA)
    return found


def _check_names(path: Path, what: str, names: Collection[str], most: int) -> None:
    if len(names) > most:
        _fail(path, f"its header has {len(names):,} {what}, more than {most:,}", _SMALLER)
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_NAME:
        _fail(
            path, f"a name in its header has {len(longest):,} characters, more than {LONGEST_NAME}: {longest[:40]}…",
            _SMALLER,
        )  # fmt: skip


def _tensor(path: Path, name: str, entry: object, base: int, size: int) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _fail(path, f"the header's entry {_short(name)} is not {{dtype, shape, data_offsets}}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        _fail(path, f"tensor {_short(name)} has the unknown dtype {_short(dtype)}")
    if not _is_counts(shape) or not _is_counts(offsets) or len(offsets) != 2:
        what = f"shape {_short(shape)} and offsets {_short(offsets)}"
        _fail(path, f"tensor {_short(name)} has {what}: not lists of whole numbers")
    if len(shape) > MOST_DIMENSIONS:
        _fail(path, f"tensor {_short(name)} has {len(shape):,} dimensions, more than {MOST_DIMENSIONS}", _SMALLER)
    start, end = offsets
    if end - start != math.prod(shape) * ITEM_BYTES[dtype]:
        _fail(path, f"tensor {_short(name)} of {dtype} {_short(shape)} cannot have {end - start} bytes")
    if base + end > size:
        _fail(path, f"truncated: tensor {_short(name)} ends at byte {base + end:,}, the file has {size:,}")
    return TensorInfo(name=name, dtype=dtype, shape=tuple(shape), start=base + start, end=base + end)


def _short(value: object) -> str:
    """Return a value out of the file for a message; the header bounds how much there is to shorten."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_counts(found: object) -> bool:
    return isinstance(found, list) and all(type(value) is int and 0 <= value < 1 << 62 for value in found)


def _check_layout(path: Path, tensors: dict[str, TensorInfo], base: int, size: int) -> None:
    """Check that tensors follow one another without gap or overlap, up to the file's end."""
    at = base
    for info in sorted(tensors.values(), key=lambda info: (info.start, info.end)):
        if info.start != at:
            _fail(path, f"tensor {_short(info.name)} starts at byte {info.start:,} where {at:,} was expected")
        at = info.end
    if at != size:
        _fail(path, f"{size - at:,} bytes after the last tensor belong to no tensor")
