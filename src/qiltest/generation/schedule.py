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
from qiltest.suite.variants import SchedulerKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
#: float32 sigmas against float64 ones.
TOLERANCE = 2e-6


def config_of(variant: Variant, own: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the scheduler settings of a variant; `own` are those of the model."""
    if variant.scheduler is SchedulerKind.LIGHTNING:
        return dict(LIGHTNING)
    return {**own, **dict(variant.scheduler_settings)}


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
    other = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "invert_sigmas")
    if values.get("class") != _SCHEDULER or any(values.get(key) for key in other):
        return None
    linear = list(given) or [1 - place * (1 - 1 / steps) / max(1, steps - 1) for place in range(steps)]
    if not values.get("use_dynamic_shifting"):
        shift = _number(values, "shift", 1.0)
        shifted = [shift * sigma / (1 + (shift - 1) * sigma) for sigma in linear]
    elif values.get("time_shift_type", "exponential") == "exponential":
        shift = math.exp(_mu(values, image_tokens))
        shifted = [shift / (shift + (1 / sigma - 1)) for sigma in linear]
    else:
        return None
    terminal = values.get("shift_terminal")
    return tuple(_stretch(shifted, float(terminal)) if terminal else shifted)


def _number(values: Mapping[str, Scalar], key: str, default: float) -> float:
    found = values.get(key, default)
    return float(found) if isinstance(found, (int, float)) else default


def _mu(values: Mapping[str, Scalar], image_tokens: int) -> float:
    """Return the shift's logarithm: linear in the sequence length between two points (`calculate_shift`)."""
    shortest, longest = _number(values, "base_image_seq_len", 256), _number(values, "max_image_seq_len", 4096)
    low, high = _number(values, "base_shift", 0.5), _number(values, "max_shift", 1.15)
    slope = (high - low) / (longest - shortest)
    return image_tokens * slope + low - slope * shortest


def _stretch(sigmas: Sequence[float], terminal: float) -> list[float]:
    """Stretch so that the last sigma is `terminal` (`stretch_shift_to_terminal`)."""
    if sigmas[-1] >= 1:
        return [math.nan] * len(sigmas)
    factor = (1 - sigmas[-1]) / (1 - terminal)
    return [1 - (1 - sigma) / factor for sigma in sigmas]


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
