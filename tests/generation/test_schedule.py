"""The written-down formulas against diffusers' scheduler, for any size and number of steps."""

import math

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

import builders as make
from qiltest.errors import RecipeError
from qiltest.generation._recipes import sigmas_of
from qiltest.generation.schedule import LIGHTNING, QWEN_IMAGE, as_tuple, check_sigmas, config_of, expected_sigmas
from qiltest.suite.variants import CONVERSIONS, SchedulerKind

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


@pytest.mark.parametrize("own", [QWEN_IMAGE, LIGHTNING], ids=["own", "lightning"])
@pytest.mark.parametrize("kind", ["exponential", "linear"])
@pytest.mark.parametrize("name", [*CONVERSIONS, "stochastic_sampling"])
@pytest.mark.parametrize("given", [(), (1.0, 0.9, 0.2, 0.1)], ids=["spaced", "given"])
def test_a_conversion_of_the_sigmas_is_known_too(own, kind, name, given):
    settings = {**own, name: True, "time_shift_type": kind}
    sigmas = sigmas_of(FlowMatchEulerDiscreteScheduler.from_config(settings), 4, 1000, given)
    config = as_tuple(settings, "FlowMatchEulerDiscreteScheduler")
    assert sigmas == pytest.approx(expected_sigmas(config, steps=4, image_tokens=1000, given=given), abs=2e-6)


def test_one_step_of_a_conversion_is_the_first_sigma():
    for name in CONVERSIONS:
        config = as_tuple({**LIGHTNING, name: True}, "FlowMatchEulerDiscreteScheduler")
        assert expected_sigmas(config, steps=1, image_tokens=256) == pytest.approx((1.0,))


def test_a_formula_that_is_not_written_down_is_said_to_be_unknown():
    config = as_tuple({**QWEN_IMAGE, "invert_sigmas": True}, "FlowMatchEulerDiscreteScheduler")
    assert expected_sigmas(config, steps=4, image_tokens=256) is None


def test_a_shift_between_two_equal_numbers_of_tokens_is_one_clear_error():
    config = as_tuple({**QWEN_IMAGE, "base_image_seq_len": 8192}, "FlowMatchEulerDiscreteScheduler")
    with pytest.raises(RecipeError, match="are both 8192: no shift can be computed"):
        expected_sigmas(config, steps=4, image_tokens=256)


def test_a_conversion_beside_the_models_own_is_the_variants_fault():
    settings = (("use_beta_sigmas", True),)
    variant = make.variant("x", scheduler=SchedulerKind.SETTINGS, scheduler_settings=settings)
    with pytest.raises(RecipeError, match="exclude each other; the model itself has use_karras_sigmas") as caught:
        config_of(variant, {**QWEN_IMAGE, "use_karras_sigmas": True})
    assert "use_karras_sigmas = false" in caught.value.remedy
    assert config_of(variant, QWEN_IMAGE)["use_beta_sigmas"] is True


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
