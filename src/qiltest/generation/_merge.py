"""Merge a LoRA into the transformer's weights, as the vendor's script of August 2025 does.

ModelTC/Qwen-Image-Lightning at 9dfb9a2, generate_with_diffusers.py: each weight becomes
`(weight + alpha / rank * up @ down)` with the delta in float32, cast back to the weight's dtype. diffusers' `fuse_lora`
rounds the factors to the weight's dtype first and so gives other weights in almost every module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from qiltest.errors import RecipeError
from qiltest.generation._place import read_weight, write_weight
from qiltest.generation._weights import BaseWeights
from qiltest.lora import Base, LoraReport
from qiltest.lora.factors import module_factors

#: no hash: some weights may be the base's and others merged.
_BETWEEN = "between"


@dataclass(frozen=True, kw_only=True)
class Factors:
    """One module's LoRA: the delta is `scale * up @ down`."""

    module: str
    #: rank x in features.
    down: torch.Tensor
    #: out features x rank.
    up: torch.Tensor
    scale: float


class MergedLora:
    """The transformer's weights with one LoRA merged into them, or none.

    Every switch reads the weights that it changes anew from the model's files, so rounding never adds up.
    """

    def __init__(
        self, transformer: torch.nn.Module, weights: BaseWeights, dtype: torch.dtype, device: torch.device
    ) -> None:
        """Compute deltas on `device`; the transformer computes in `dtype`."""
        self._transformer, self._weights, self._dtype, self._device = transformer, weights, dtype, device
        self._merged: set[str] = set()
        self._active: str | None = None

    @property
    def active(self) -> str | None:
        """Name of the merged delta (`LoraRecipe.delta`); None: the base's own weights."""
        return self._active

    def switch(self, delta: str | None, factors: Callable[[], Iterable[Factors]] = tuple) -> None:
        """Merge a LoRA, or none, and take off the one before. Raises RecipeError for a module that is not there.

        An interrupt leaves the weights between the two; the next switch does everything again.
        """
        if delta == self._active:
            return
        self._active = _BETWEEN
        with self._weights.reading() as read, torch.no_grad(), exact_products():
            done: set[str] = set()
            for one in factors() if delta is not None else ():
                base = read(self._weight(one.module)).to(device=self._device, dtype=self._dtype)
                self._merged.add(one.module)  # before it is written, so that an interrupt leaves it to be restored
                write_weight(self._transformer, self._weight(one.module), merged(base, one))
                done.add(one.module)
            for module in sorted(self._merged - done):
                write_weight(self._transformer, self._weight(module), read(self._weight(module)))
            self._merged = done
        self._active = delta

    def _weight(self, module: str) -> str:
        """Return the name of a module's weight. Raises RecipeError where the transformer has none of that name."""
        name = f"{module}.weight"
        try:
            read_weight(self._transformer, name)
        except AttributeError as error:
            raise RecipeError(f"the transformer has no weight {name}", where="LoRA") from error
        return name


def file_factors(path: Path, base: Base, report: LoraReport, *, strength: float = 1.0) -> Iterator[Factors]:
    """Yield an inspected file's factors in float32, one module at a time; `report` must be of this file.

    `strength` is a factor on every delta.
    """
    for one in module_factors(path, base, report):
        # copied, because numpy's memory begins at any address, by which the CPU's kernels add in another order
        down, up = torch.from_numpy(one.down).clone(), torch.from_numpy(one.up).clone()
        yield Factors(module=one.name, down=down, up=up, scale=one.scale * strength)


def merged(weight: torch.Tensor, factors: Factors) -> torch.Tensor:
    """Return a weight with a LoRA's delta, by the report's formula, in the weight's dtype and on its device."""
    up, down = (factor.to(device=weight.device, dtype=torch.float32) for factor in (factors.up, factors.down))
    return (weight + factors.scale * torch.matmul(up, down)).type_as(weight)


@contextmanager
def exact_products() -> Iterator[None]:
    """Let float32 products be float32, not TF32, which would round the factors to 11 bits."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
