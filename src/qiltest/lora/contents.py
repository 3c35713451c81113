"""What the tensors of a LoRA file are to one base: pairs of factors with a scale each, and what is left over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.lora.adapter_config import AdapterConfig, AdapterConfigError, adapter_config
from qiltest.lora.deltas import FactorPair, pair_up
from qiltest.lora.keys import Key, parse_key

if TYPE_CHECKING:
    from qiltest.lora.bases import Base
    from qiltest.lora.safetensors_file import SafetensorsFile


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A file's tensors, paired by the modules of one base, and the names of those that do not fit."""

    keys: tuple[Key, ...]
    #: pairs of modules that the base has, in the file's order.
    pairs: tuple[FactorPair, ...]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]
    config: AdapterConfig | None
    #: why the config in the metadata cannot be followed; None where it can, or there is none.
    config_fault: str | None

    def factor(self, module: str) -> float:
        """Return what the metadata multiplies a module's delta by, on top of `alpha / rank`."""
        return 1.0 if self.config is None else self.config.scale(module)


def contents_of(file: SafetensorsFile, base: Base) -> Contents:
    """Pair the tensors of a file."""
    parsed = {raw: parse_key(raw, base) for raw in file.tensors}
    keys = [key for key in parsed.values() if key]
    pairs, missing, useless = pair_up(keys, file)
    strangers = [pair for pair in pairs if pair.module not in base.modules]
    config, fault = None, None
    try:
        config = adapter_config(file.metadata)
    except AdapterConfigError as error:
        fault = str(error)
    return Contents(
        keys=tuple(keys),
        pairs=tuple(pair for pair in pairs if pair.module in base.modules),
        unknown=(
            *(raw for raw, key in parsed.items() if key is None),
            *useless,
            *(raw for pair in strangers for raw in (pair.down.name, pair.up.name)),
        ),
        missing=tuple(missing),
        config=config,
        config_fault=fault,
    )
