"""Merge a LoRA into the transformer's weights, as the vendor's script of August 2025 does.

ModelTC/Qwen-Image-Lightning at 9dfb9a2, generate_with_diffusers.py: each weight becomes
`(weight + alpha / rank * up @ down)` with the delta in float32, cast back to the weight's dtype. diffusers' `fuse_lora`
rounds the factors to the weight's dtype first and so gives other weights in almost every module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from qiltest.errors import RecipeError
from qiltest.generation._place import read_weight, write_weight
from qiltest.generation._stream import Wanted, device_tensors, readable, streams
from qiltest.generation._weights import BaseWeights, ReadWeight
from qiltest.lora import Base, LoraReport
from qiltest.lora.factors import factor_places, module_factors

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

    The first LoRA is added to the base's weights where they are. Every later switch reads the weights that it changes
    anew from the model's files, so rounding never adds up.
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

    def switch(
        self, delta: str | None, factors: Callable[[], Iterable[Factors]] = tuple, modules: Sequence[str] = ()
    ) -> None:
        """Merge a LoRA, or none, and take off the one before. Raises RecipeError for a module that is not there.

        `modules` are those of the factors, in their order, where that is known: their weights are read ahead.
        An interrupt leaves the weights between the two; the next switch does everything again.
        """
        if delta == self._active:
            return
        self._active = _BETWEEN
        own = not self._merged  # the transformer's weights are the base's own: they need not be read
        ahead = [] if own else [*modules, *sorted(self._merged - set(modules))]
        names = [f"{module}.weight" for module in ahead]
        with self._weights.reading(names, self._device) as read, torch.no_grad(), exact_products():
            done: set[str] = set()
            for one in factors() if delta is not None else ():
                base = self._base(self._weight(one.module), read, own=own and one.module not in done)
                self._merged.add(one.module)  # before it is written, so that an interrupt leaves it to be restored
                write_weight(self._transformer, self._weight(one.module), merged(base, one))
                done.add(one.module)
            for module in sorted(self._merged - done):
                write_weight(self._transformer, self._weight(module), read(self._weight(module)))
            self._merged = done
        self._active = delta

    def _base(self, name: str, read: ReadWeight, *, own: bool) -> torch.Tensor:
        """Return a weight of the base in the dtype of computing, which its storage may have rounded to float8."""
        stored = read_weight(self._transformer, name) if own else None
        found = read(name) if stored is None or stored.dtype != self._dtype else stored
        return found.to(device=self._device, dtype=self._dtype)

    def _weight(self, module: str) -> str:
        """Return the name of a module's weight. Raises RecipeError where the transformer has none of that name."""
        name = f"{module}.weight"
        try:
            read_weight(self._transformer, name)
        except AttributeError as error:
            raise RecipeError(f"the transformer has no weight {name}", where="LoRA") from error
        return name


def file_factors(
    path: Path, base: Base, report: LoraReport, *, strength: float = 1.0, device: torch.device | None = None
) -> Iterator[Factors]:
    """Yield an inspected file's factors in float32, one module at a time; `report` must be of this file.

    `strength` is a factor on every delta. For a GPU they are read straight onto it, and widened there to the same
    values.
    """
    if device is not None and streams(device):
        file, places = factor_places(path, base, report)
        wanted = [Wanted(name=i.name, file=file, info=i) for place in places for i in (place.down, place.up)]
        if readable(wanted):
            with closing(device_tensors(wanted, device)) as tensors:
                for place in places:
                    down, up = (next(tensors)[1].float() for _ in range(2))
                    yield Factors(module=place.name, down=down, up=up, scale=place.scale * strength)
            return
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
