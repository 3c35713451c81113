"""The written-down formulas against diffusers' scheduler, for any size and number of steps."""

import math

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from qiltest.errors import RecipeError
from qiltest.generation._recipes import sigmas_of
from qiltest.generation.schedule import LIGHTNING, QWEN_IMAGE, as_tuple, check_sigmas, expected_sigmas

sides = st.integers(1, 120).map(lambda cells: 16 * cells)


@settings(deadline=None)
@given(steps=st.integers(2, 60), width=sides, height=sides, lightning=st.booleans())
def test_the_formulas_are_those_of_the_scheduler(steps, width, height, lightning):
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING if lightning else QWEN_IMAGE)
    sigmas = sigmas_of(scheduler, steps, (width // 16) * (height // 16))
    config = as_tuple(scheduler.config, "FlowMatchEulerDiscreteScheduler")
    assert sigmas == pytest.approx(expected_sigmas(config, steps=steps, image_tokens=width * height // 256), abs=2e-6)
    assert sigmas[-1] == pytest.approx(3 / (2 + steps) if lightning else 0.02, abs=1e-6)


def test_a_static_shift_is_known_too():
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    sigmas = sigmas_of(scheduler, 4, 16)
    assert sigmas == pytest.approx([3 * s / (1 + 2 * s) for s in (1, 0.75, 0.5, 0.25)], abs=1e-6)


@pytest.mark.parametrize("name", ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"])
def test_a_formula_that_is_not_written_down_is_said_to_be_unknown(name):
    config = as_tuple({**QWEN_IMAGE, name: True}, "FlowMatchEulerDiscreteScheduler")
    assert expected_sigmas(config, steps=4, image_tokens=256) is None


@pytest.mark.parametrize(
    "sigmas",
    [(1.0, math.nan), (1.0, math.inf), (0.5, 1.0), (1.0,), (1.0, 0.0), (1.5, 0.5), (1.0, 0.6)],
    ids=str,
)
def test_sigmas_that_are_not_what_the_config_means_are_refused(sigmas):
    config = as_tuple(LIGHTNING, "FlowMatchEulerDiscreteScheduler")
    with pytest.raises(RecipeError):
        check_sigmas(sigmas, config, steps=2, image_tokens=256)
    check_sigmas((1.0, 0.75), config, steps=2, image_tokens=256)
