"""Limits on the measures of quality, and the sentence for an image beyond one.

Each limit stands well above what images without the fault show (docs/measurements/quality.md has the distributions
and the rates of false alarms); only noise, grid and blank gate, because only they are wrong in every image that
shows them.
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
    """Return what is wrong with an image, gating faults first; none for a healthy one.

    Limits are written so that a figure that is not a number is beyond them.
    """
    found = [*_gating(health), *_reported(health)]
    return tuple(sorted(found, key=lambda symptom: not symptom.gates))


def gating(health: Health) -> tuple[Symptom, ...]:
    """Return the symptoms that an image does not hold with."""
    return tuple(symptom for symptom in symptoms(health) if symptom.gates)


def _gating(health: Health) -> Iterator[Symptom]:
    if not health.spread >= BLANK_BELOW:
        yield _symptom(
            Fault.BLANK,
            f"the image is blank: its values vary by {health.spread:.2f} of 255 (least {BLANK_BELOW:g})",
            gates=True,
        )
        return
    noise = max(health.noise_fine, health.noise_coarse)
    if not (health.noise_fine <= NOISE and health.noise_coarse <= NOISE):
        yield _symptom(
            Fault.NOISE,
            f"noise of {noise:.1f} grey levels in the flattest parts (limit {NOISE:g}): the denoising did not end; "
            "look at the scheduler (shift 3, sigmas to 0) and whether the LoRA's steps are those of the variant",
            gates=True,
        )
    yield from _grids(health)


def _grids(health: Health) -> Iterator[Symptom]:
    periods = (("16 pixels, a patch", health.grid_patch), ("8 pixels, a latent", health.grid_latent))
    name, strength = max(periods, key=lambda period: period[1])
    if not (health.grid_patch <= GRID and health.grid_latent <= GRID):
        yield _symptom(
            Fault.GRID,
            f"a grid that repeats every {name}, of {strength:.1f} grey levels (limit {GRID:g}): look at the base's "
            "dtype; a LoRA trained on bf16 over an fp8 base generates one",
            gates=True,
        )


def _reported(health: Health) -> Iterator[Symptom]:
    if not health.spread >= UNIFORM:
        yield _symptom(Fault.UNIFORM, f"nearly uniform: its values vary by {health.spread:.1f} of 255")
    if health.specks is not None and not health.specks <= SPECKS:
        yield _symptom(
            Fault.SPECKS,
            f"specks of {health.specks:.1f} grey levels in the flattest parts outside text (usual: below {SPECKS:g}): "
            "much noise left in the latents looks so; look at the scheduler and the steps",
        )
    if health.blur is None and health.spread >= UNIFORM:
        yield _symptom(
            Fault.BLUR, "blurred, or without any edge: nowhere do neighbouring pixels differ as writing does"
        )
    if health.blur is not None and not health.blur <= BLUR:
        yield _symptom(
            Fault.BLUR,
            f"blurred: even the sharpest edges are {health.blur:.1f} pixels wide (usual: below {BLUR:g}); LoRA keys "
            "that were not applied and a wrong scheduler do this",
        )
    if not health.clipped <= CLIPPED:
        yield _symptom(Fault.CLIPPED, f"{health.clipped:.0%} of its values are clipped to 0 or 255")
    if not health.saturation <= SATURATED:
        yield _symptom(
            Fault.SATURATED,
            f"over-saturated: mean chroma {health.saturation:.0%} (usual: below {SATURATED:.0%}); true CFG above 1 on "
            "a distilled model does this",
        )


def _symptom(fault: Fault, message: str, *, gates: bool = False) -> Symptom:
    return Symptom(fault=fault, gates=gates, message=message)
