"""The factors of an inspected LoRA file, module by module, for whoever merges them into a model's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.errors import RecipeError
from qiltest.lora.contents import contents_of
from qiltest.lora.safetensors_file import open_safetensors

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


def module_factors(path: Path, base: Base, report: LoraReport) -> Iterator[ModuleFactors]:
    """Yield the factors of each module of a report, in the file's order, whatever the file's naming.

    One module is read at a time. 8- and 16-bit values are widened exactly; float64 is rounded. Raises RecipeError
    where the file no longer has the tensors of the report.
    """
    file = open_safetensors(path)
    pairs = {pair.module: pair for pair in contents_of(file, base).pairs}
    if file.size != report.bytes or list(pairs) != [module.name for module in report.modules]:
        raise RecipeError("the file changed after its inspection", where=str(path), remedy="repeat the command")
    for module in report.modules:
        pair = pairs[module.name]
        yield ModuleFactors(name=module.name, down=file.read(pair.down), up=file.read(pair.up), scale=module.scale)
