"""Limits on the measures of image quality, and the message for an image beyond one.

Each limit is well above the values of images without the fault (docs/measurements/quality.md has the distributions and
the rates of false alarms). Only noise, grid and blank gate, because only they are wrong in every image.
"""

from __future__ import annotations

from collections.abc import Iterator

from qiltest.generation.images import BLANK_BELOW
from qiltest.quality.records import Fault, Health, Symptom

#: 8-bit units; the flattest of the good images has 37.
UNIFORM = 12.0
#: Grey levels of luma; good images reach 1.8 (a poster with a grained ground), nine in ten stay below 0.6.
NOISE = 2.5
#: Grey levels of luma, root mean square; good images reach 1.5 (the same poster).
SPECKS = 2.5
#: Grey levels of luma; good images reach 0.41, Qwen-Image's 0.32.
GRID = 0.8
#: Pixels; good images reach 0.5.
BLUR = 0.9
#: Share of channel values; a white page reaches 0.79, other images 0.35.
CLIPPED = 0.5
#: Share of 255; good images reach 0.25.
SATURATED = 0.3


def symptoms(health: Health) -> tuple[Symptom, ...]:
    """Return the faults of an image, gating ones first. NaN is beyond every limit."""
    found = [*_gating(health), *_reported(health)]
    return tuple(sorted(found, key=lambda symptom: not symptom.gates))


def gating(health: Health) -> tuple[Symptom, ...]:
    """Return the faults that fail an image."""
    return tuple(symptom for symptom in symptoms(health) if symptom.gates)


def _gating(health: Health) -> Iterator[Symptom]:
    if not health.spread >= BLANK_BELOW:
        yield _symptom(
            Fault.BLANK,
            f"the image is blank: its values vary by {health.spread:.2f} of 255 (at least {BLANK_BELOW:g} expected)",
            gates=True,
        )
        return
    noise = max(health.noise_fine, health.noise_coarse)
    if not (health.noise_fine <= NOISE and health.noise_coarse <= NOISE):
        yield _symptom(
            Fault.NOISE,
            f"noise of {noise:.1f} grey levels in the flattest parts (limit {NOISE:g}): denoising is incomplete; check "
            "the scheduler (shift 3, sigmas to 0) and that the LoRA is for this number of steps",
            gates=True,
        )
    yield from _grids(health)


def _grids(health: Health) -> Iterator[Symptom]:
    periods = (("16 pixels, a patch", health.grid_patch), ("8 pixels, a latent", health.grid_latent))
    name, strength = max(periods, key=lambda period: period[1])
    if not (health.grid_patch <= GRID and health.grid_latent <= GRID):
        yield _symptom(
            Fault.GRID,
            f"grid artefact of {strength:.1f} grey levels that repeats every {name} (limit {GRID:g}): check the base's "
            "dtype; a LoRA trained on bf16 over an fp8 base causes this",
            gates=True,
        )


def _reported(health: Health) -> Iterator[Symptom]:
    if not health.spread >= UNIFORM:
        yield _symptom(Fault.UNIFORM, f"nearly uniform: its values vary by {health.spread:.1f} of 255")
    if health.specks is not None and not health.specks <= SPECKS:
        yield _symptom(
            Fault.SPECKS,
            f"specks of {health.specks:.1f} grey levels in the flattest parts outside text (usually below {SPECKS:g}): "
            "noise left in the latents causes this; check the scheduler and the number of steps",
        )
    if health.blur is None and health.spread >= UNIFORM:
        yield _symptom(Fault.BLUR, "blurred, or without any edge: no neighbouring pixels differ as much as in text")
    if health.blur is not None and not health.blur <= BLUR:
        yield _symptom(
            Fault.BLUR,
            f"blurred: even the sharpest edges are {health.blur:.1f} pixels wide (usually below {BLUR:g}); LoRA keys "
            "that were not applied or a wrong scheduler cause this",
        )
    if not health.clipped <= CLIPPED:
        yield _symptom(
            Fault.CLIPPED, f"clipped: {health.clipped:.0%} of the values are 0 or 255 (usually below {CLIPPED:.0%})"
        )
    if not health.saturation <= SATURATED:
        yield _symptom(
            Fault.SATURATED,
            f"over-saturated: mean chroma {health.saturation:.0%} (usually below {SATURATED:.0%}); true CFG above 1 "
            "on a distilled model causes this",
        )


def _symptom(fault: Fault, message: str, *, gates: bool = False) -> Symptom:
    return Symptom(fault=fault, gates=gates, message=message)
