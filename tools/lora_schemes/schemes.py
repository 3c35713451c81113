"""Every way of writing a LoRA file for Qwen-Image that was seen in public code, and what else is offered as one.

Each scheme is built anew from the modules of a base, with random values. `SCHEMES` is held against the installed
diffusers by a test, and printed by `lora_schemes.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from qiltest.lora import Base

Tensors = dict[str, torch.Tensor]
#: module -> (down factor, up factor).
Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]

DOWN_UP = (".lora_down.weight", ".lora_up.weight")
A_B = (".lora_A.weight", ".lora_B.weight")
A_B_DEFAULT = (".lora_A.default.weight", ".lora_B.default.weight")
DOWN_UP_DEFAULT = (".lora_down.default.weight", ".lora_up.default.weight")
OLD = (".lora.down.weight", ".lora.up.weight")
RANK, ALPHA = 4, 2.0
#: what the inspection says where it does not accept a file: its kind, a word of the sentence.
ACCEPTED = "accepted"


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One way of writing a file. `make` returns its tensors for the factors of a base."""

    name: str
    #: who writes or wrote such files.
    who: str
    make: Callable[[Factors], Tensors]
    #: `ACCEPTED`, or words of the one sentence that refuses it.
    answer: str
    #: why the answer is not that of diffusers; empty where it is.
    decision: str = ""
    #: words of a note that an accepted file gets.
    note: str = ""
    #: parts of the names of further modules that it covers.
    also: tuple[str, ...] = ()
    only: tuple[str, ...] = ("attn.", "img_mlp.", "txt_mlp.")
    dtype: torch.dtype = torch.bfloat16
    #: ranks of modules that have another than `RANK`, by a part of their names.
    ranks: Mapping[str, int] = field(default_factory=dict)
    #: entries of `lora_adapter_metadata`, without their prefix.
    config: Mapping[str, object] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def tensors(self, base: Base, *, seed: int = 0) -> Tensors:
        """Return the file's tensors for a base."""
        return self.make(self.factors(base, seed=seed))

    def factors(self, base: Base, *, seed: int = 0) -> Factors:
        """Return random factors for the modules that the file covers."""
        random = torch.Generator().manual_seed(seed)
        made = {}
        for name, (rows, columns) in base.modules.items():
            if any(f".{part}" in name or name.startswith(part) for part in (*self.only, *self.also)):
                rank = next((rank for part, rank in self.ranks.items() if part in name), RANK)
                down = _values((rank, columns), self.dtype, random)
                made[name] = down, _values((rows, rank), self.dtype, random)
        return made

    def header(self) -> dict[str, str]:
        """Return the file's metadata."""
        made = {"format": "pt", **self.metadata}
        if self.config is not None:
            made["lora_adapter_metadata"] = json.dumps({f"transformer.{k}": v for k, v in self.config.items()})
        return made


def _values(shape: tuple[int, int], dtype: torch.dtype, random: torch.Generator) -> torch.Tensor:
    if not dtype.is_floating_point:
        return torch.randint(-9, 9, shape, generator=random).to(dtype)
    return torch.randn(shape, generator=random).mul(0.1).to(dtype)


def written(
    endings: tuple[str, str] = DOWN_UP,
    prefix: str = "",
    *,
    alpha: bool = True,
    flat: bool = False,
    dtype: torch.dtype = torch.bfloat16,
    shape: tuple[int, ...] = (),
) -> Callable[[Factors], Tensors]:
    """Return the function that names the factors: prefix, module (`flat`: with underscores), ending; and alphas."""

    def make(factors: Factors) -> Tensors:
        made: Tensors = {}
        for name, pair in factors.items():
            module = prefix + (name.replace(".", "_") if flat else name)
            made |= {f"{module}{ending}": factor for ending, factor in zip(endings, pair, strict=True)}
            if alpha:
                made[f"{module}.alpha"] = torch.full(shape, ALPHA).to(dtype)
        return made

    return make


def beside(
    make: Callable[[Factors], Tensors], more: Callable[[str, tuple[torch.Tensor, torch.Tensor]], Tensors]
) -> Callable[[Factors], Tensors]:
    """Return the function that adds `more` tensors for each module."""
    return lambda factors: make(factors) | {k: v for name, pair in factors.items() for k, v in more(name, pair).items()}


def adding(make: Callable[[Factors], Tensors], **more: tuple[int, ...]) -> Callable[[Factors], Tensors]:
    """Return the function that adds some tensors of these shapes; `__` in a name stands for a dot."""
    added = {name.replace("__", "."): torch.ones(shape) for name, shape in more.items()}
    return lambda factors: make(factors) | added


def renamed(make: Callable[[Factors], Tensors], names: Mapping[str, str]) -> Callable[[Factors], Tensors]:
    """Return the function that replaces parts of the names, as another model family has them."""

    def change(key: str) -> str:
        for old, new in names.items():
            key = key.replace(old, new)
        return key

    return lambda factors: {change(key): value for key, value in make(factors).items()}


def foreign(*modules: str, endings: tuple[str, str] = A_B, alpha: bool = False) -> Callable[[Factors], Tensors]:
    """Return the function that ignores the base, and writes a LoRA of modules of another model."""
    pair = (torch.ones(RANK, 16), torch.ones(16, RANK))
    return lambda _: written(endings, alpha=alpha)(dict.fromkeys(modules, pair))


def instead(tensors: Callable[[str, int, int], Tensors]) -> Callable[[Factors], Tensors]:
    """Return the function that writes, for each module of (out, in) features, these tensors alone."""

    def make(factors: Factors) -> Tensors:
        sizes = {name: (up.shape[0], down.shape[1]) for name, (down, up) in factors.items()}
        return {
            key: value for name, (rows, columns) in sizes.items() for key, value in tensors(name, rows, columns).items()
        }

    return make
