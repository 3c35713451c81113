"""Files made to hurt whoever inspects a LoRA: each kind is written small or sparse."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from qiltest.lora import qwen_image
from qiltest.lora.dtypes import ITEM_BYTES

Shapes = Iterable[tuple[str, tuple[int, ...]]]
_METADATA = "lora_adapter_metadata"
#: the modules of a Lightning file: 720 of Qwen-Image's 846.
_LIGHTNING = ("attn.", "img_mlp.", "txt_mlp.")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file."""

    name: str
    make: Callable[[Path], None]
    #: the exit code that `qiltest lora` is to end with.
    code: int = 1
    #: it holds numbers, so that it is as large on the disk as it says.
    filled: bool = False
    #: small and soon answered.
    fast: bool = False


def header_alone(path: Path, text: str | bytes, *, length: int | None = None) -> None:
    """Write a header, with another length than its own where `length` says so."""
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw)


def joined(entries: Iterable[str]) -> str:
    """Return a JSON object of entries that are JSON already."""
    return "{" + ",".join(entries) + "}"


def empty(name: str) -> str:
    """Return the header's entry of a tensor without values."""
    return f'"{name}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'


def sparse(path: Path, shapes: Shapes, *, dtype: str = "F32", metadata: dict[str, str] | None = None) -> None:
    """Write a whole file whose values are all zero and take no room."""
    header: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    at = 0
    for name, shape in shapes:
        end = at + math.prod(shape) * ITEM_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    header_alone(path, json.dumps(header))
    os.truncate(path, path.stat().st_size + at)


def fill(path: Path, shapes: Shapes, *, dtype: str = "F32") -> None:
    """Write a whole file of normal numbers: the same 16 MB again and again."""
    sparse(path, shapes, dtype=dtype)
    numbers = np.random.default_rng(0).normal(scale=0.02, size=4 << 20).astype("<f4")
    raw = {"F32": numbers, "BF16": numbers.view("<u2")[1::2], "F8_E4M3": (numbers.view("<u4") >> 20).astype("u1") & 191}
    block = np.ascontiguousarray(raw[dtype]).tobytes()
    size = path.stat().st_size
    with path.open("r+b") as file:
        at = file.seek(8 + int.from_bytes(file.read(8), "little"))
        while at < size:
            at += file.write(block[: size - at])


def pairs(
    rank: int, *, most: int = 1 << 62, item: int = 4, prefix: str = "diffusion_model."
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the factors of the modules that a Lightning file has, up to a size of the file."""
    for name, (rows, columns) in qwen_image().modules.items():
        if any(f".{part}" in name for part in _LIGHTNING):
            most -= rank * (rows + columns) * item
            if most < 0:
                return
            yield f"{prefix}{name}.lora_A.weight", (rank, columns)
            yield f"{prefix}{name}.lora_B.weight", (rows, rank)


def one_pair(rank: int, *, rows: int = 1, columns: int = 1) -> Shapes:
    """Return the factors of one module."""
    module = "transformer_blocks.0.attn.to_q"
    return ((f"{module}.lora_down.weight", (rank, columns)), (f"{module}.lora_up.weight", (rows, rank)))


def up_before_down(rank: int) -> Shapes:
    """Return factors of which all of one side come first, so that no module's stand together."""
    return sorted(pairs(rank), key=lambda pair: ".lora_A" in pair[0])


def with_config(path: Path, text: str) -> None:
    """Write a small LoRA with a peft config that is this text."""
    sparse(path, islice(pairs(4), 40), metadata={_METADATA: text})


def patterns(path: Path) -> None:
    """Write expressions that are just simple enough to be followed, and all literals that may be."""
    keys = {f"[a-z._0-9]*[a-z._0-9]*{number}x": 1 for number in range(64)} | {f"a{n}x": 1 for n in range(4032)}
    config = {"r": 4, "target_modules": ["to_q"], "rank_pattern": keys, "alpha_pattern": keys}
    with_config(path, json.dumps({f"transformer.{key}": value for key, value in config.items()}))


def _link(target: str, path: Path) -> None:
    path.symlink_to(target)


def _numbered(count: int, entry: str) -> str:
    return joined(entry.replace("#", str(number)) for number in range(count))


def _entries(count: int) -> str:
    return '{"__metadata__":' + _numbered(count, '"k#":"v"') + "}"


def _nested(mark: str, count: int) -> str:
    return '{"a":' + mark * count


_TWO_GB = 2_000_000_000
_alpha = '{{"transformer.lora_alpha":{},"transformer.r":4,"transformer.target_modules":["to_q"]}}'.format


def _text(name: str, text: Callable[[], str], **options: bool) -> Kind:
    return Kind(name=name, make=lambda path: header_alone(path, text()), **options)


_HEADERS = (
    _text("1,000,000 entries of metadata", lambda: _entries(1_000_000)),
    _text("1,024 entries of metadata", lambda: _entries(1_024), fast=True),
    _text("800,000 keys", lambda: _numbered(800_000, '"transformer_blocks.#.attn.to_q.lora_down.weight":' + "1" * 40)),
    _text("300,000 empty tensors", lambda: joined(empty(f"k{number}") for number in range(300_000))),
    _text("16,384 empty tensors", lambda: joined(empty(f"k{number}") for number in range(16_384)), fast=True),
    _text(
        "16,384 lone alphas",
        lambda: joined(empty(f"transformer_blocks.{number}.x.alpha") for number in range(16_384)),
    ),
    _text("60,000 names, the last twice", lambda: _numbered(60_000, '"k#":1')[:-1] + ',"z":1,"z":2}', fast=True),
    _text("15,000 names, the last twice", lambda: _numbered(15_000, '"k#":{}')[:-1] + ',"z":{},"z":{}}', fast=True),
    _text(
        "a shape of 50,000 numbers",
        lambda: joined([empty("a").replace("[0]", f"[{','.join(['4611686018427387903'] * 50_000)}]")]),
        fast=True,
    ),
    _text("a name of 50 MB", lambda: joined([empty("x" * 50_000_000)])),
    _text("a name of 3.9 MB", lambda: joined([empty("x" * 3_900_000)]), fast=True),
    _text("a dtype of 3.9 MB", lambda: joined([empty("x").replace("F32", "F" * 3_900_000)]), fast=True),
    _text("7,000 names of 500 characters", lambda: joined(empty(f"{n:05}" + "layers_1_" * 55) for n in range(7_000))),
    _text("13,000 names of 250 characters", lambda: joined(empty(f"{n:05}" + ".blocks.1" * 27) for n in range(13_000))),
    _text("1,300,000 lists", lambda: '{"a":[' + "[]," * 1_300_000 + "[]]}"),
    _text("1,300,000 objects", lambda: '{"a":[' + "{}," * 1_300_000 + "{}]}"),
    _text("1,300,000 strings", lambda: '{"a":[' + '"",' * 1_300_000 + '""]}'),
    _text("1,000,000 lists inside one another", lambda: _nested("[", 1_000_000), fast=True),
    _text("600,000 objects inside one another", lambda: _nested('{"a":', 600_000)),
    _text("a number of 3,900,000 digits", lambda: _nested("9" * 3_900_000, 1) + "}", fast=True),
    _text("a string that does not end", lambda: '{"' + '\\"' * 1_900_000, fast=True),
    Kind(name="a header of 2^63 bytes", make=partial(header_alone, text="{}", length=1 << 63), fast=True),
)
_CONFIGS = (
    ("metadata: 100,000 lists inside one another", "[" * 100_000),
    ("metadata: 1,300,000 lists", "[" + "[]," * 1_300_000 + "[]]"),
    ("metadata: an alpha of 401 digits", _alpha("1" + "0" * 400)),
    ("metadata: an alpha of 5,000 digits", _alpha("1" + "0" * 5_000)),
    ("metadata: an alpha that is NaN", _alpha("NaN")),
    ("metadata: an alpha that is infinite", _alpha("Infinity")),
    ("metadata: an alpha that is infinite when read", _alpha("1e999")),
    ("metadata: an expression that matches for ever", _alpha('1,"transformer.rank_pattern":{"(a+)+$":4}')),
)
KINDS: tuple[Kind, ...] = (
    *_HEADERS,
    *(
        Kind(name=name, make=partial(with_config, text=text), fast=len(text) < 10_000 or "inside" in name)
        for name, text in _CONFIGS
    ),
    Kind(name="metadata: 64 expressions and 4,032 names", make=patterns),
    Kind(name="rank 60,000 of 1 x 1", make=lambda path: sparse(path, one_pair(60_000)), fast=True),
    Kind(name="rank 60,000,000 of 1 x 1", make=lambda path: sparse(path, one_pair(60_000_000), dtype="F16")),
    Kind(
        name="rank 60,000 of the right size", make=lambda path: sparse(path, one_pair(60_000, rows=3072, columns=3072))
    ),
    Kind(
        name="rank 3,072 in bfloat16, 2 GB",
        make=lambda path: sparse(path, pairs(3072, most=_TWO_GB, item=2), dtype="BF16"),
    ),
    Kind(
        name="rank 3,072 in float64, 2 GB",
        make=lambda path: sparse(path, pairs(3072, most=_TWO_GB, item=8), dtype="F64"),
    ),
    Kind(
        name="rank 256 in 8-bit floats, 2 GB",
        make=lambda path: sparse(path, pairs(256, most=_TWO_GB, item=1, prefix="transformer."), dtype="F8_E4M3"),
    ),
    Kind(
        name="rank 256 in bfloat16, 2 GB",
        make=lambda path: sparse(path, pairs(256, most=_TWO_GB, item=2), dtype="BF16"),
    ),
    Kind(name="rank 72, all up factors first, 2 GB", make=lambda path: sparse(path, up_before_down(72))),
    Kind(name="one tensor of 2 GB", make=lambda path: sparse(path, [("a", (_TWO_GB,))], dtype="I8")),
    Kind(name="one tensor of 64 GB", make=lambda path: sparse(path, [("a", (1 << 36,))], dtype="I8"), fast=True),
    Kind(name="rank 2,304 of every module, 64 GB", make=lambda path: sparse(path, pairs(2304))),
    Kind(name="a FIFO", make=os.mkfifo, code=2, fast=True),
    Kind(name="a folder", make=Path.mkdir, code=2, fast=True),
    Kind(name="a device that does not end", make=partial(_link, "/dev/zero"), code=2, fast=True),
    Kind(name="rank 64 in float32, 1.7 GB of numbers", make=lambda path: fill(path, pairs(64)), code=0, filled=True),
    Kind(
        name="rank 128 in bfloat16, 1.7 GB of numbers",
        make=lambda path: fill(path, pairs(128), dtype="BF16"),
        code=0,
        filled=True,
    ),
    Kind(
        name="rank 256 in 8-bit floats, 1.7 GB of numbers",
        make=lambda path: fill(path, pairs(256, prefix="transformer."), dtype="F8_E4M3"),
        code=0,
        filled=True,
    ),
    Kind(
        name="rank 3,072 in bfloat16, 2 GB of numbers",
        make=lambda path: fill(path, pairs(3072, most=_TWO_GB, item=2), dtype="BF16"),
        filled=True,
    ),
)
