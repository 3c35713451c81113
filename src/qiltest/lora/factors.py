"""The factors of an inspected LoRA file, module by module, for whoever merges them into a model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.errors import RecipeError
from qiltest.lora.contents import contents_of
from qiltest.lora.safetensors_file import SafetensorsFile, TensorInfo, open_safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from qiltest.lora.bases import Base
    from qiltest.lora.report import LoraReport


@dataclass(frozen=True, kw_only=True)
class ModuleFactors:
    """What a file adds to one linear module's weight: `scale * up @ down`."""

    #: dotted, as in the model.
    name: str
    #: (rank, in features), as stored, widened to float32.
    down: NDArray[np.float32]
    #: (out features, rank), as stored, widened to float32.
    up: NDArray[np.float32]
    #: alpha / rank of the file's tensors times that of the config in its metadata; 1 where the file has neither.
    scale: float


@dataclass(frozen=True, kw_only=True)
class FactorPlace:
    """Where a module's factors lie in a file, and their scale as in `ModuleFactors`."""

    name: str
    down: TensorInfo
    up: TensorInfo
    scale: float


def factor_places(path: Path, base: Base, report: LoraReport) -> tuple[SafetensorsFile, tuple[FactorPlace, ...]]:
    """Return a file and the places of each module of its report, in the file's order.

    Raises RecipeError where the file no longer has the tensors of the report.
    """
    file = open_safetensors(path)
    pairs = {pair.module: pair for pair in contents_of(file, base).pairs}
    if file.size != report.bytes or list(pairs) != [module.name for module in report.modules]:
        raise RecipeError("the file changed after its inspection", where=str(path), remedy="repeat the command")
    places = ((module, pairs[module.name]) for module in report.modules)
    return file, tuple(
        FactorPlace(name=module.name, down=pair.down, up=pair.up, scale=module.scale) for module, pair in places
    )


def module_factors(path: Path, base: Base, report: LoraReport) -> Iterator[ModuleFactors]:
    """Yield the factors of each module of a report, in the file's order, whatever the file's naming.

    One module is read at a time. 8- and 16-bit values are widened exactly; float64 is rounded. Raises RecipeError
    where the file no longer has the tensors of the report.
    """
    file, places = factor_places(path, base, report)
    for one in places:
        yield ModuleFactors(name=one.name, down=file.read(one.down), up=file.read(one.up), scale=one.scale)
