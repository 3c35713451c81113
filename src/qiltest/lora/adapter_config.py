"""The peft config that a LoRA file may carry in its metadata, and the scale that it gives each module.

diffusers saves the config under `lora_adapter_metadata`, and makes a `LoraConfig` of it when it loads the file. Its
scale `lora_alpha / r` multiplies the delta on top of the alphas that are tensors in the file.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_LITERAL = re.compile(r"\^?[\w.]+")
#: patterns are regular expressions out of a file: none with groups, and few repetitions, so that matching is fast.
_HARMLESS = re.compile(r"[^(){}|*+?]*(?:[*+?][^(){}|*+?]*){0,2}")
_MOST_EXPRESSIONS = 64
_MOST_PATTERNS = 4096
_MOST_RANK = 1 << 20
_MOST_ALPHA = 1e9


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """The numbers of a peft `LoraConfig` that decide a module's rank and scale."""

    r: int = _DEFAULT
    lora_alpha: float = _DEFAULT
    rank_pattern: tuple[tuple[str, int], ...] = ()
    alpha_pattern: tuple[tuple[str, float], ...] = ()
    use_rslora: bool = False
    use_dora: bool = False

    def rank(self, module: str) -> int:
        """Return the rank that peft gives a module."""
        return _first(self.rank_pattern, module, self.r)

    def scale(self, module: str) -> float:
        """Return what peft multiplies a module's `up @ down` by."""
        rank = self.rank(module)
        return _first(self.alpha_pattern, module, self.lora_alpha) / (math.sqrt(rank) if self.use_rslora else rank)


class AdapterConfigError(ValueError):
    """The metadata is no config that can be followed; the message says why."""


def adapter_config(metadata: Mapping[str, str]) -> AdapterConfig | None:
    """Return the config in a file's metadata, None where it has none. Raises AdapterConfigError."""
    if METADATA_KEY not in metadata:
        return None
    try:
        found = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise AdapterConfigError(f"`{METADATA_KEY}` is not JSON") from error
    if not isinstance(found, dict):
        raise AdapterConfigError(f"`{METADATA_KEY}` is not a JSON object")
    entries = {name.removeprefix(_COMPONENT): value for name, value in found.items() if name.startswith(_COMPONENT)}
    strangers = sorted(set(entries) - SETTINGS)
    if strangers:
        raise AdapterConfigError(f"`{METADATA_KEY}` has settings that peft 0.21 does not: {', '.join(strangers[:5])}")
    if not entries.get("target_modules"):  # peft then looks for the modules of a language model
        raise AdapterConfigError(f"`{METADATA_KEY}` names no modules of the transformer (target_modules)")
    return AdapterConfig(
        r=_rank("r", entries.get("r", _DEFAULT)),
        lora_alpha=_alpha("lora_alpha", entries.get("lora_alpha", _DEFAULT)),
        rank_pattern=tuple((key, _rank(key, value)) for key, value in _pattern(entries, "rank_pattern")),
        alpha_pattern=tuple((key, _alpha(key, value)) for key, value in _pattern(entries, "alpha_pattern")),
        use_rslora=bool(entries.get("use_rslora")),
        use_dora=bool(entries.get("use_dora")),
    )


def _rank(name: str, value: Any) -> int:  # noqa: ANN401  JSON
    if type(value) is not int or not 0 < value < _MOST_RANK:
        raise AdapterConfigError(f"`{METADATA_KEY}` gives {name!r} the rank {value!r}")
    return value


def _alpha(name: str, value: Any) -> float:  # noqa: ANN401  JSON
    if type(value) not in (int, float) or not abs(value) < _MOST_ALPHA:
        raise AdapterConfigError(f"`{METADATA_KEY}` gives {name!r} the alpha {value!r}")
    return float(value)


def _pattern(entries: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    found = entries.get(name) or {}
    if not isinstance(found, dict):
        raise AdapterConfigError(f"{name} of `{METADATA_KEY}` is not a JSON object")
    if len(found) > _MOST_PATTERNS:
        raise AdapterConfigError(f"{name} of `{METADATA_KEY}` has {len(found):,} entries, over {_MOST_PATTERNS:,}")
    expressions = [key for key in found if not _LITERAL.fullmatch(key)]
    if len(expressions) > _MOST_EXPRESSIONS or not all(map(_is_harmless, expressions)):
        raise AdapterConfigError(f"{name} of `{METADATA_KEY}` has regular expressions that are too complex to follow")
    return list(found.items())


def _is_harmless(expression: str) -> bool:
    try:
        re.compile(expression)
    except (re.error, RecursionError, OverflowError):
        return False
    return len(expression) < 256 and _HARMLESS.fullmatch(expression) is not None


def _first(pattern: tuple[tuple[str, T], ...], module: str, otherwise: T) -> T:
    """Return the value of the first key that matches the end of a module's name, as peft's `get_pattern_key` does."""
    return next((value for key, value in pattern if _matches(key, module)), otherwise)


def _matches(key: str, module: str) -> bool:
    if _LITERAL.fullmatch(key):
        literal = key.removeprefix("^")
        return module == literal or (literal == key and module.endswith(f".{key}"))
    return re.match(rf"(.*\.)?({key})$", module) is not None
