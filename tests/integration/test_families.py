"""Whole sessions on models of other families: stand-ins of random weights, which write nothing that a reader sees."""

import sys
from pathlib import Path

import pytest

import apart

sys.path.insert(0, str(Path(__file__).parents[1]))
from generation import stand_in_21

VARIANTS = """
[plain]
title = "Plain"
steps = 2
true_cfg_scale = 1.0
scheduler = "model"
family = "qwen-image-2.1"

[grid]
title = "A grid of its own"
steps = 3
true_cfg_scale = 1.0
scheduler = { use_dynamic_shifting = false, shift_terminal = "none" }
sigmas = [1.0, 0.7, 0.3]
family = "qwen-image-2.1"

[other]
title = "Of another family"
steps = 2
true_cfg_scale = 1.0
scheduler = "model"
family = "qwen-image"
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return stand_in_21.build(tmp_path_factory.mktemp("model") / "stand-in-21")


@pytest.mark.slow
def test_a_session_on_another_family_generates_its_own_variants_and_keeps_their_recipes(suite, model):
    suite.pytester.makeconftest("")
    (suite.path / "cases" / "variants.toml").write_text(VARIANTS)
    for case in suite.path.glob("cases/[!v]*.toml"):
        # small, and no multiples of 32 as 1328 is none
        case.write_text(case.read_text().replace('size = "1328x1328"', 'size = "208x144"'))
    result = suite.run_apart(f"--qil-model={model}", "--qil-device=cpu", "--qil-update=missing", loads=apart.MODEL)
    text = result.stdout.str()
    assert "the reader rapidocr returned no text" in text
    recipes = {result.sample.variant: result.recipe for result in suite.latest().results}
    assert recipes.keys() == {"plain", "grid"}
    assert recipes["grid"].given_sigmas == (1.0, 0.7, 0.3)
    assert recipes["grid"].sigmas == pytest.approx((1.0, 0.7, 0.3))
    assert recipes["plain"].given_sigmas == ()
    assert all(side % 32 == 0 for recipe in recipes.values() for side in vars(recipe.effective).values())


@pytest.mark.slow
def test_a_variant_of_another_family_is_refused_by_name_before_anything_is_loaded(suite, model):
    suite.pytester.makeconftest("")
    (suite.path / "cases" / "variants.toml").write_text(VARIANTS)
    result = suite.run_apart(f"--qil-model={model}", "--qil-device=cpu", "--qil-variant=other")
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert "variant other is for the family qwen-image, the model is of qwen-image-2.1" in text
    assert "Traceback" not in text
