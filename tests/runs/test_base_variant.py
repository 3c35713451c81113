"""Which variant a speed-up refers to: that of the same base model."""

import builders as make
from qiltest.runs.aggregate import base_variant

OLD, NEW = "Qwen/Qwen-Image", "Qwen/Qwen-Image-2512"


def plain(name, base, steps=50, **fields):
    return make.variant(name, steps=steps, true_cfg_scale=4.0, negative_prompt=" ", base_model=base, **fields)


def few(name, base, **fields):
    return make.variant(name, base_model=base, loras=(("real", None),), **fields)


RUN = make.run(
    "a",
    variants=(
        plain("base", OLD),
        few("4step", OLD),
        few("2512-4steps", NEW),
        plain("2512-base", NEW, steps=40),
        plain("base-later", OLD, group="later"),
        few("4step-later", OLD, group="later"),
        few("own", None),
        few("edit-4steps", "Qwen/Qwen-Image-Edit"),
    ),
)


def test_a_variant_is_compared_with_the_base_of_its_own_base_model_and_group():
    wanted = {"4step": "base", "2512-4steps": "2512-base", "4step-later": "base-later", "own": "base"}
    assert {name: base_variant(RUN, name) for name in wanted} == wanted


def test_a_variant_whose_base_was_not_generated_is_compared_with_none():
    assert base_variant(RUN, "edit-4steps") is None


def test_of_a_run_of_one_base_model_it_is_the_one_with_most_forwards():
    assert base_variant(RUN) == "base"
    assert base_variant(make.run("b", variants=(few("4step", OLD),))) is None
