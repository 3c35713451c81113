"""What is said beyond a limit, and what it does to a verdict."""

import math
from dataclasses import replace

import numpy as np
import pytest

import builders as make
from qiltest.gate import Verdict
from qiltest.gate.verdict import with_quality
from qiltest.quality import Fault, examine, gating, symptoms

GOOD = replace(make.HEALTHY, noise_coarse=0.3, grid_patch=0.1, detail=None)
PASSED = make.judgement(Verdict.PASS, reasons=(), distance=0, limit=0, golden_distance=0, noise_floor=0.0)


def faults(health):
    return [symptom.fault for symptom in symptoms(health)]


def test_a_healthy_image_shows_nothing(wall):
    assert symptoms(GOOD) == symptoms(examine(wall).health) == ()


@pytest.mark.parametrize(
    ("change", "fault", "gates"),
    [
        ({"noise_fine": 3.0}, Fault.NOISE, True),
        ({"noise_coarse": 3.0}, Fault.NOISE, True),
        ({"grid_latent": 1.0}, Fault.GRID, True),
        ({"grid_patch": 1.0}, Fault.GRID, True),
        ({"specks": 3.0}, Fault.SPECKS, False),
        ({"specks": math.nan}, Fault.SPECKS, False),
        ({"spread": 5.0}, Fault.UNIFORM, False),
        ({"blur": 2.0}, Fault.BLUR, False),
        ({"blur": None}, Fault.BLUR, False),
        ({"clipped": 0.9}, Fault.CLIPPED, False),
        ({"saturation": 0.5}, Fault.SATURATED, False),
    ],
)
def test_each_fault_is_found_and_gates_or_is_reported(change, fault, gates):
    (symptom,) = symptoms(replace(GOOD, **change))
    assert (symptom.fault, symptom.gates) == (fault, gates)


@pytest.mark.parametrize(
    "name", ["noise_fine", "noise_coarse", "grid_patch", "blur", "clipped", "saturation", "spread"]
)
def test_a_figure_that_is_not_a_number_is_beyond_its_limit(name):
    assert faults(replace(GOOD, **{name: math.nan}))


def test_messages_name_the_likely_cause():
    (noise,) = symptoms(replace(GOOD, noise_fine=6.0))
    assert "6.0 grey levels" in noise.message
    assert "scheduler" in noise.message
    (grid,) = symptoms(replace(GOOD, grid_patch=3.0))
    assert "fp8 base" in grid.message


def test_a_blank_image_is_blank_and_nearly_uniform_and_nothing_else():
    assert faults(examine(np.full((256, 256, 3), 90, np.uint8)).health) == [Fault.BLANK, Fault.UNIFORM]


def test_gating_faults_come_first():
    assert [s.gates for s in symptoms(replace(GOOD, blur=3.0, noise_fine=9.0))] == [True, False]


def test_noise_fails_an_image_whose_text_is_right_and_says_so_first():
    noisy = replace(GOOD, noise_fine=6.0)
    judged = with_quality(PASSED, noisy)
    assert judged.verdict is Verdict.FAIL
    assert judged.reasons == tuple(symptom.message for symptom in gating(noisy))


def test_a_blank_image_is_an_error():
    assert with_quality(PASSED, replace(GOOD, spread=0.0)).verdict is Verdict.ERROR


def test_what_is_only_reported_leaves_the_verdict():
    assert with_quality(PASSED, replace(GOOD, blur=3.0, clipped=0.9)) == PASSED


def test_a_case_that_asks_for_grain_is_not_failed_for_it():
    assert with_quality(PASSED, replace(GOOD, noise_fine=6.0), gates=False) == PASSED


def test_an_image_that_was_not_measured_keeps_its_verdict():
    assert with_quality(PASSED, None) == PASSED
