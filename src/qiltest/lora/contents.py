"""What the tensors of a LoRA file are to one base: pairs of factors with a scale each, and what is left over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.lora.adapter_config import METADATA_KEY, AdapterConfig, AdapterConfigError, adapter_config
from qiltest.lora.deltas import FactorPair, pair_up
from qiltest.lora.keys import Key, Prefix, beside_lora_unet, parse_key
from qiltest.lora.kinds import Tensors, of_text_encoder, refused_kind
from qiltest.text.format import count

if TYPE_CHECKING:
    from qiltest.lora.bases import Base
    from qiltest.lora.safetensors_file import SafetensorsFile


_DORA = (
    f"a DoRA, says `{METADATA_KEY}` (use_dora), but without magnitudes: export it again, without DoRA or with all of it"
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A file's tensors, paired by the modules of one base, and the names of those that do not fit."""

    keys: tuple[Key, ...]
    #: pairs of modules that the base has, in the file's order.
    pairs: tuple[FactorPair, ...]
    unknown: tuple[str, ...]
    missing: tuple[str, ...]
    #: tensors of a text encoder, which diffusers leaves out for Qwen-Image.
    encoder: tuple[str, ...]
    #: why the file is refused as a whole: it is no LoRA, or one of another model; None for a LoRA.
    kind: str | None
    has_alpha: bool
    #: keys have peft's adapter name `default`.
    has_default: bool
    config: AdapterConfig | None
    #: why the config in the metadata cannot be followed; None where it can, or there is none.
    config_fault: str | None

    def factor(self, module: str) -> float:
        """Return what the metadata multiplies a module's delta by, on top of `alpha / rank`."""
        return 1.0 if self.config is None else self.config.scale(module)


def takes(base: Base, pair: FactorPair) -> bool:
    """Return whether a module of the base takes a pair of factors: its shape, and a rank that a module can have."""
    return base.modules.get(pair.module) == pair.delta_shape and pair.down.shape[0] <= base.most_rank


def contents_of(file: SafetensorsFile, base: Base) -> Contents:
    """Pair the tensors of a file."""
    encoder = tuple(raw for raw in file.tensors if of_text_encoder(raw))
    parsed = {raw: parse_key(raw, base) for raw in file.tensors if not of_text_encoder(raw)}
    keys = [key for key in parsed.values() if key]
    if any(key.prefix is Prefix.LORA_UNET for key in keys):
        keys = [beside_lora_unet(key, base) for key in keys]
    unparsed = [raw for raw, key in parsed.items() if key is None]
    pairs, missing, useless = pair_up(keys, file)
    strangers = [pair for pair in pairs if pair.module not in base.modules]
    known = tuple(pair for pair in pairs if pair.module in base.modules)
    has_alpha = any(raw.endswith(".alpha") for raw in file.tensors)
    has_default = any("default." in raw for raw in file.tensors)
    rewritten = (
        has_alpha or has_default or any(key.prefix in (Prefix.DIFFUSION_MODEL, Prefix.LORA_UNET) for key in keys)
    )
    config, fault = _config(file, known)
    tensors = Tensors(file=file, base=base, keys=keys, unparsed=unparsed, encoder=encoder, rewritten=rewritten)
    return Contents(
        keys=tuple(keys),
        pairs=known,
        unknown=(*unparsed, *useless, *(raw for pair in strangers for raw in (pair.down.name, pair.up.name))),
        missing=tuple(missing),
        encoder=encoder,
        kind=refused_kind(tensors) or (_DORA if config is not None and config.use_dora else None),
        has_alpha=has_alpha,
        has_default=has_default,
        config=config,
        config_fault=fault,
    )


def _config(file: SafetensorsFile, pairs: tuple[FactorPair, ...]) -> tuple[AdapterConfig | None, str | None]:
    """Return the config of the metadata, and why diffusers would not load the file with it."""
    try:
        config = adapter_config(file.metadata)
    except AdapterConfigError as error:
        return None, str(error)
    if config is None:
        return None, None
    other = [pair for pair in pairs if config.rank(pair.module) != pair.down.shape[0]]
    if not other:
        return config, None
    first = other[0]
    return config, (
        f"`{METADATA_KEY}` says rank {config.rank(first.module)} for {first.module}, whose factors have "
        f"{first.down.shape[0]} (and so for {count(len(other), 'module')})"
    )
