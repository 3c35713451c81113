"""The peft config that a LoRA file may carry in its metadata, and the scale that it gives each module.

diffusers saves the config under `lora_adapter_metadata`, and makes a `LoraConfig` of it when it loads the file. Its
scale `lora_alpha / r` multiplies the delta on top of the alphas that are tensors in the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from qiltest.lora.patterns import MOST_ENTRIES, Pattern, can_be_followed
from qiltest.strict_json import StrictJsonError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
#: key of a safetensors file's metadata: `LORA_ADAPTER_METADATA_KEY` of diffusers.
METADATA_KEY = "lora_adapter_metadata"
#: entries of other components are not for the transformer.
_COMPONENT = "transformer."
#: `r` and `lora_alpha` of a `LoraConfig` that does not name them.
_DEFAULT = 8
#: settings of a `LoraConfig` of peft 0.21: with any other, diffusers cannot make one of the metadata.
SETTINGS = frozenset(
    (  # noqa: SIM905  a list would be 40 lines
        "alora_invocation_tokens alpha_pattern arrow_config auto_mapping base_model_name_or_path bias corda_config "
        "ensure_weight_tying eva_config exclude_modules fan_in_fan_out inference_mode init_lora_weights kasa_config "
        "layer_replication layers_pattern layers_to_transform loftq_config lora_alpha lora_bias lora_dropout "
        "lora_ga_config megatron_config megatron_core modules_to_save monteclora_config peft_type peft_version "
        "qalora_group_size r rank_pattern revision runtime_config target_modules target_parameters task_type "
        "trainable_token_indices use_bdlora use_dora use_qalora use_rslora velora_config "
    ).split()
)
#: most characters of a config; one with a rank and an alpha for each of Qwen-Image's modules has 72,000.
_LONGEST = 1_000_000
_MOST_RANK = 1 << 20
_MOST_ALPHA = 1e9
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """The numbers of a peft `LoraConfig` that decide a module's rank and scale."""

    r: int = _DEFAULT
    lora_alpha: float = _DEFAULT
    rank_pattern: Pattern[int] = field(default_factory=Pattern)
    alpha_pattern: Pattern[float] = field(default_factory=Pattern)
    use_rslora: bool = False
    use_dora: bool = False

    def rank(self, module: str) -> int:
        """Return the rank that peft gives a module."""
        return self.rank_pattern.first(module, self.r)

    def scale(self, module: str) -> float:
        """Return what peft multiplies a module's `up @ down` by."""
        rank = self.rank(module)
        return self.alpha_pattern.first(module, self.lora_alpha) / (math.sqrt(rank) if self.use_rslora else rank)


class AdapterConfigError(ValueError):
    """The metadata is no config that can be followed; the message says why."""


def adapter_config(metadata: Mapping[str, str]) -> AdapterConfig | None:
    """Return the config in a file's metadata, None where it has none. Raises AdapterConfigError."""
    if METADATA_KEY not in metadata:
        return None
    if len(metadata[METADATA_KEY]) > _LONGEST:
        length = len(metadata[METADATA_KEY])
        raise AdapterConfigError(
            f"`{METADATA_KEY}` has {length:,} characters, more than the {_LONGEST:,} that are read"
        )
    try:
        found = parse(metadata[METADATA_KEY])
    except StrictJsonError as error:
        raise AdapterConfigError(f"`{METADATA_KEY}` is not JSON ({str(error)[:100]})") from error
    if not isinstance(found, dict):
        raise AdapterConfigError(f"`{METADATA_KEY}` is not a JSON object")
    entries = {name.removeprefix(_COMPONENT): value for name, value in found.items() if name.startswith(_COMPONENT)}
    strangers = sorted(set(entries) - SETTINGS)
    if strangers:
        raise AdapterConfigError(
            f"`{METADATA_KEY}` has settings that peft 0.21 does not: {_short(', '.join(strangers[:5]))}"
        )
    if not entries.get("target_modules"):  # peft then looks for the modules of a language model
        raise AdapterConfigError(f"`{METADATA_KEY}` names no modules of the transformer (target_modules)")
    return AdapterConfig(
        r=_rank("r", entries.get("r", _DEFAULT)),
        lora_alpha=_alpha("lora_alpha", entries.get("lora_alpha", _DEFAULT)),
        rank_pattern=_pattern(entries, "rank_pattern", _rank),
        alpha_pattern=_pattern(entries, "alpha_pattern", _alpha),
        use_rslora=bool(entries.get("use_rslora")),
        use_dora=bool(entries.get("use_dora")),
    )


def _rank(name: str, value: Any) -> int:  # noqa: ANN401  JSON
    if type(value) is not int or not 0 < value < _MOST_RANK:
        raise AdapterConfigError(f"`{METADATA_KEY}` gives {_short(name)} the rank {_short(value)}")
    return value


def _alpha(name: str, value: Any) -> float:  # noqa: ANN401  JSON
    if type(value) not in (int, float) or not abs(value) < _MOST_ALPHA:
        raise AdapterConfigError(f"`{METADATA_KEY}` gives {_short(name)} the alpha {_short(value)}")
    return float(value)


def _pattern(entries: dict[str, Any], name: str, value_of: Callable[[str, Any], T]) -> Pattern[T]:
    found = entries.get(name) or {}
    if not isinstance(found, dict):
        raise AdapterConfigError(f"{name} of `{METADATA_KEY}` is not a JSON object")
    if len(found) > MOST_ENTRIES:
        raise AdapterConfigError(f"{name} of `{METADATA_KEY}` has {len(found):,} entries, over {MOST_ENTRIES:,}")
    if not can_be_followed(list(found)):
        raise AdapterConfigError(f"{name} of `{METADATA_KEY}` has regular expressions that are too complex to follow")
    return Pattern(entries=tuple((key, value_of(key, value)) for key, value in found.items()))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
