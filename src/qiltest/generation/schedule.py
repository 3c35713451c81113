"""Compute the sigmas that each scheduler config requires, and compare them with the live scheduler's. Needs no torch.

The formulas are those of FlowMatchEulerDiscreteScheduler and of QwenImagePipeline's `calculate_shift`. Sigmas are
unitless, from 1 downwards, without the final 0.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from qiltest.errors import RecipeError
from qiltest.recipe import Scalar
from qiltest.suite.variants import CONVERSIONS, SchedulerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qiltest.suite.variants import Variant

SchedulerConfig = tuple[tuple[str, Scalar], ...]

_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
#: Qwen-Image's own config (Qwen/Qwen-Image, scheduler/scheduler_config.json), for random weights.
QWEN_IMAGE: dict[str, Scalar] = {
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "invert_sigmas": False,
    "max_image_seq_len": 8192,
    "max_shift": 0.9,
    "num_train_timesteps": 1000,
    "shift": 1.0,
    "shift_terminal": 0.02,
    "stochastic_sampling": False,
    "time_shift_type": "exponential",
    "use_beta_sigmas": False,
    "use_dynamic_shifting": True,
    "use_exponential_sigmas": False,
    "use_karras_sigmas": False,
}
#: Lightning's, as the vendor sets it (ModelTC/Qwen-Image-Lightning: generate_with_diffusers.py): shift 3 for every
#: size, since exp(log 3) = 3, and no terminal.
LIGHTNING: dict[str, Scalar] = {
    **QWEN_IMAGE,
    "base_shift": math.log(3),
    "max_shift": math.log(3),
    "shift_terminal": None,
}
#: what the logarithm of a shift becomes, by the setting `time_shift_type`.
_TIME_SHIFTS: dict[Scalar, Callable[[float], float]] = {"exponential": math.exp, "linear": float}
#: the exponent of Karras' sigmas, and both parameters of the beta distribution, as diffusers has them.
_RHO, _BETA = 7.0, 0.6
#: float32 sigmas against float64 ones.
TOLERANCE = 2e-6


def config_of(variant: Variant, own: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the scheduler settings of a variant; `own` are those of the model.

    Raises RecipeError where the two ask for two conversions of the sigmas, which diffusers refuses.
    """
    if variant.scheduler is SchedulerKind.LIGHTNING:
        return dict(LIGHTNING)
    config = {**own, **dict(variant.scheduler_settings)}
    conversions = [name for name in CONVERSIONS if config.get(name)]
    if variant.scheduler_settings and len(conversions) > 1:
        kept = [name for name in conversions if name not in dict(variant.scheduler_settings)]
        raise RecipeError(
            f"{' and '.join(conversions)} exclude each other{f'; the model itself has {kept[0]}' if kept else ''}",
            where=f"variant {variant.name}",
            remedy=f"write {kept[0] if kept else conversions[0]} = false into the variant's scheduler",
        )
    return config


def as_tuple(config: Mapping[str, object], class_name: str) -> SchedulerConfig:
    """Return a scheduler's config for the recipe: sorted, with its class, without private keys."""
    kept = {key: value for key, value in config.items() if not key.startswith("_")}
    strange = [key for key, value in kept.items() if not isinstance(value, (str, int, float, bool, type(None)))]
    if strange:
        raise RecipeError(f"scheduler settings that are not plain values: {', '.join(sorted(strange))}")
    return tuple(sorted({**kept, "class": class_name}.items()))  # type: ignore[arg-type]


def expected_sigmas(
    config: SchedulerConfig, *, steps: int, image_tokens: int, given: Sequence[float] = ()
) -> tuple[float, ...] | None:
    """Return the sigmas that a config requires, or None where its formula is not implemented here.

    `image_tokens` is the length of the packed latent sequence: width / 16 times height / 16. `given` are the sigmas
    before the shift; without any they are evenly spaced from 1 to 1 / `steps`.
    """
    values = dict(config)
    kind = values.get("time_shift_type", "exponential")
    if values.get("class") != _SCHEDULER or values.get("invert_sigmas") or kind not in _TIME_SHIFTS:
        return None
    linear = list(given) or [1 - place * (1 - 1 / steps) / max(1, steps - 1) for place in range(steps)]
    if not values.get("use_dynamic_shifting"):
        shift = _number(values, "shift", 1.0)
        shifted = [shift * sigma / (1 + (shift - 1) * sigma) for sigma in linear]
    else:
        shift = _TIME_SHIFTS[kind](_mu(values, image_tokens))
        shifted = [shift / (shift + (1 / sigma - 1)) for sigma in linear]
    terminal = values.get("shift_terminal")
    stretched = _stretch(shifted, float(terminal)) if terminal else shifted
    return tuple(_converted(stretched, next((name for name in CONVERSIONS if values.get(name)), "")))


def _number(values: Mapping[str, Scalar], key: str, default: float) -> float:
    found = values.get(key, default)
    return float(found) if isinstance(found, (int, float)) else default


def _mu(values: Mapping[str, Scalar], image_tokens: int) -> float:
    """Return the shift's logarithm: linear in the sequence length between two points (`calculate_shift`)."""
    shortest, longest = _number(values, "base_image_seq_len", 256), _number(values, "max_image_seq_len", 4096)
    low, high = _number(values, "base_shift", 0.5), _number(values, "max_shift", 1.15)
    if shortest == longest:
        raise RecipeError(
            f"the scheduler's base_image_seq_len and max_image_seq_len are both {shortest:g}: no shift can be computed",
            remedy="set one of them in the variant's scheduler, or correct the model's scheduler_config.json",
        )
    slope = (high - low) / (longest - shortest)
    return image_tokens * slope + low - slope * shortest


def _stretch(sigmas: Sequence[float], terminal: float) -> list[float]:
    """Stretch so that the last sigma is `terminal` (`stretch_shift_to_terminal`)."""
    if sigmas[-1] >= 1:
        return [math.nan] * len(sigmas)
    factor = (1 - sigmas[-1]) / (1 - terminal)
    return [1 - (1 - sigma) / factor for sigma in sigmas]


def _converted(sigmas: Sequence[float], name: str) -> Sequence[float]:
    """Return the sigmas that a conversion makes of the first and the last one, as many as there were."""
    if not name:
        return sigmas
    first, last = sigmas[0], sigmas[-1]
    if not 0 < last <= first:
        return [math.nan] * len(sigmas)
    ways = [place / max(1, len(sigmas) - 1) for place in range(len(sigmas))]
    if name == "use_karras_sigmas":  # Karras et al. 2022, equation 5
        ends = first ** (1 / _RHO), last ** (1 / _RHO)
        return [(ends[0] + way * (ends[1] - ends[0])) ** _RHO for way in ways]
    if name == "use_exponential_sigmas":
        return [math.exp(math.log(first) + way * (math.log(last) - math.log(first))) for way in ways]
    from scipy.stats import beta  # Lee et al. 2024, "Beta Sampling is All You Need"

    return [last + float(beta.ppf(1 - way, _BETA, _BETA)) * (first - last) for way in ways]


def check_sigmas(
    sigmas: Sequence[float], config: SchedulerConfig, *, steps: int, image_tokens: int, given: Sequence[float] = ()
) -> None:
    """Raise RecipeError unless the scheduler's sigmas are finite, falling, and those that the config requires."""
    if not all(math.isfinite(sigma) for sigma in sigmas):
        raise RecipeError(
            f"{steps} step(s) with shift_terminal {dict(config).get('shift_terminal')} give sigmas that are not finite",
            remedy="the model's own scheduler needs at least 2 steps; use the Lightning scheduler for 1",
        )
    falling = all(first > second for first, second in pairwise(sigmas))
    if len(sigmas) != steps or not falling or not all(0 < sigma <= 1 + TOLERANCE for sigma in sigmas):
        raise RecipeError(f"sigmas are not {steps} falling numbers between 1 and 0: {_short(sigmas)}")
    wanted = expected_sigmas(config, steps=steps, image_tokens=image_tokens, given=given)
    if wanted is None:
        return
    if not max(abs(have - want) for have, want in zip(sigmas, wanted, strict=True)) <= TOLERANCE:
        raise RecipeError(
            f"the scheduler gives sigmas {_short(sigmas)}, its config requires {_short(wanted)}",
            remedy="the scheduler is not the one that the variant names",
        )


def _short(sigmas: Sequence[float]) -> str:
    shown = ", ".join(f"{sigma:.4f}" for sigma in sigmas[:6])
    return f"[{shown}{', ...' if len(sigmas) > 6 else ''}]"
