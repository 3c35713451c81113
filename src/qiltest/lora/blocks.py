"""Norms per transformer block, outliers, and modules that some blocks lack."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import median
from typing import TYPE_CHECKING

from qiltest.lora.bases import BLOCK
from qiltest.lora.report import BlockNorm, ModuleDelta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiltest.lora.bases import Base

#: a module is an outlier if its norm is this many times above or below the median of the same module in all blocks ...
RATIO = 4.0
#: ... and its logarithm this many robust standard deviations (1.4826 x median absolute deviation) away from theirs.
DEVIATIONS = 6.0
_FEWEST = 4
#: a module has no effect where its norm is below this share of the largest of the same module in all blocks; trained
#: ones are above 0.3 (the embedded model's LoRAs).
SILENT = 1e-3


def split_name(name: str) -> tuple[int | None, str]:
    """Return the block's number (None outside of all blocks) and the module's name within the block."""
    match = BLOCK.fullmatch(name)
    return (int(match[1]), match[2]) if match else (None, name)


def block_norms(modules: Sequence[ModuleDelta]) -> tuple[BlockNorm, ...]:
    """Sum up the modules of each block; modules outside of blocks come last."""
    outliers = set(_outliers(modules))
    blocks: dict[int | None, list[ModuleDelta]] = defaultdict(list)
    for module in modules:
        blocks[split_name(module.name)[0]].append(module)
    numbers = sorted(blocks, key=lambda block: (block is None, block or 0))
    return tuple(
        BlockNorm(
            block=block,
            modules=len(blocks[block]),
            norm=math.sqrt(sum(module.norm**2 for module in blocks[block])),
            outliers=tuple(module.name for module in blocks[block] if module.name in outliers),
        )
        for block in numbers
    )


def _outliers(modules: Sequence[ModuleDelta]) -> list[str]:
    kinds: dict[str, list[ModuleDelta]] = defaultdict(list)
    for module in modules:
        block, kind = split_name(module.name)
        if block is not None and math.isfinite(module.norm) and module.norm > 0:
            kinds[kind].append(module)
    return [module.name for group in kinds.values() if len(group) >= _FEWEST for module in _far(group)]


def _far(group: list[ModuleDelta]) -> list[ModuleDelta]:
    logs = [math.log(module.norm) for module in group]
    middle = median(logs)
    spread = 1.4826 * median(abs(value - middle) for value in logs)
    limit = max(math.log(RATIO), DEVIATIONS * spread)
    return [module for module, value in zip(group, logs, strict=True) if abs(value - middle) > limit]


def left_out(modules: Sequence[ModuleDelta], base: Base) -> tuple[str, ...]:
    """Name modules that the file leaves out although it covers the same module in other blocks.

    Modules of the last block that cannot change the image may be missing.
    """
    covered = {module.name for module in modules}
    there = covered | base.unused
    kinds = {split_name(name)[1] for name in covered if split_name(name)[0] is not None}
    expected = (f"transformer_blocks.{block}.{kind}" for block in range(base.num_layers) for kind in sorted(kinds))
    return tuple(name for name in expected if name in base.modules and name not in there)


def silenced(modules: Sequence[ModuleDelta], base: Base) -> tuple[str, ...]:
    """Name modules whose delta is (almost) zero although the same module has one in other blocks.

    To the image this is like leaving them out. Modules of the last block that cannot change the image get no gradient.
    """
    largest: dict[str, float] = defaultdict(float)
    for module in modules:
        kind = split_name(module.name)[1]
        largest[kind] = max(largest[kind], module.norm if math.isfinite(module.norm) else 0.0)
    return tuple(
        module.name
        for module in modules
        if split_name(module.name)[0] is not None
        and module.name not in base.unused
        and module.norm < SILENT * largest[split_name(module.name)[1]]
    )
