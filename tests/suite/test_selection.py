"""Which images are generated: names, sizes and seeds of the command line against a suite."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.errors import CaseError
from qiltest.recipe import Size
from qiltest.suite.cases import TaskKind
from qiltest.suite.load import Suite, load_suite
from qiltest.suite.selection import select, variants_of, without_inputs
from qiltest.suite.variants import ModelBase, ModelKind

REAL, TINY = ModelKind.REAL, ModelKind.TINY


@pytest.fixture(scope="module")
def suite() -> Suite:
    return load_suite(Path(__file__).parents[2] / "cases", keep_doubtful=True)


def test_nothing_named_draws_the_reports_eleven_images_by_three_variants(suite: Suite) -> None:
    tasks = select(suite, kind=TINY)
    assert len(tasks) == 33
    assert Counter(task.variant.name for task in tasks) == {"base": 11, "8step": 11, "4step": 11}
    assert {task.seed for task in tasks} == {42}
    assert len({task.sample for task in tasks}) == 33


def test_tasks_come_by_case_resolution_variant_and_seed(suite: Suite) -> None:
    tasks = select(suite, kind=REAL, cases=["coffee-shop", "capybara"], variants=["4step", "base"], seeds=[2, 1])
    assert [task.sample.id for task in tasks] == [
        f"{case}@{size}-{variant}-s{seed}"
        for case, size in (("coffee-shop", "713x1280"), ("coffee-shop", "1280x1280"), ("capybara", "1328x1328"))
        for variant in ("4step", "base")
        for seed in (2, 1)
    ]


def test_the_embedded_model_draws_stand_ins_of_the_same_images(suite: Suite) -> None:
    (real,) = select(suite, kind=REAL, cases=["coffee-shop@713x1280"], variants=["base"])
    (tiny,) = select(suite, kind=TINY, cases=["coffee-shop@713x1280"], variants=["base"])
    assert real.sample == tiny.sample
    assert (real.size, tiny.size) == (Size(713, 1280), real.resolution.tiny)


def test_a_task_knows_its_prompt_and_what_the_report_said(suite: Suite) -> None:
    (task,) = select(suite, kind=TINY, cases=["classroom"], variants=["base"])
    assert task.prompt == f"{task.case.prompt}Ultra HD, 4K, cinematic composition."
    said = task.resolution.verdict(task.variant.name)
    assert said is not None
    assert (said.passes, said.finding) == (False, '"fundational" in image is wrong')


def test_an_image_that_the_report_lacks_has_no_verdict(suite: Suite) -> None:
    (task,) = select(suite, kind=REAL, cases=["classroom"], variants=["8steps-V2.0"])
    assert task.variant.name == "8steps-v2.0"
    assert task.resolution.verdict(task.variant.name) is None


def test_sizes_filter_and_names_given_twice_count_once(suite: Suite) -> None:
    tasks = select(suite, kind=REAL, sizes=["713x1280", "1280x1280"], variants=["base", "base"], seeds=[1])
    assert [str(task.size) for task in tasks] == ["713x1280", "1280x1280"]
    both = select(suite, kind=REAL, cases=["coffee-shop", "coffee-shop@713x1280"], variants=["base"])
    assert len(both) == 2


def test_a_groups_name_selects_all_of_it_and_each_of_them_once(suite: Suite) -> None:
    tasks = select(suite, kind=TINY, cases=["capybara"], variants=["LATER", "4step-later", "8step"])
    assert [task.variant.name for task in tasks] == ["base-later", "8step-later", "4step-later", "8step"]


def test_a_group_where_one_variant_is_needed_is_refused_with_its_members(suite: Suite) -> None:
    with pytest.raises(CaseError) as caught:
        suite.variant("later")
    assert str(caught.value) == (
        '"later" is a group of variants, one is needed here\n  -> choose among: base-later, 8step-later, 4step-later'
    )


@pytest.mark.parametrize(
    ("asked", "what", "remedy"),
    [
        ({"cases": ["coffe-shop"]}, 'no case is called "coffe-shop" (did you mean "coffee-shop"?)', "anime-street"),
        ({"cases": ["zzz"]}, 'no case is called "zzz"\n', "whiteboard"),
        ({"variants": ["8-step"]}, 'no variant is called "8-step" (did you mean "8step"?)', "2512-4steps-v1.0"),
        ({"sizes": ["1024x1024"]}, 'no resolution of the selected cases is called "1024x1024"', "1328x1328"),
        ({"cases": ["capybara"], "sizes": ["713x1280"]}, '"713x1280"', "choose among: 1328x1328"),
        ({"cases": ["coffee-shop@1x1"]}, 'no resolution of case coffee-shop is called "1x1"', "713x1280, 1280x1280"),
        ({"variants": ["4steps-v2.0"]}, "4steps-v2.0 has no LoRA for the embedded model", "base, 8step, 4step"),
        ({"seeds": [1, -1]}, "seed -1 is negative", "0 or more"),
        ({"seeds": [1, 2**63]}, "seed 9223372036854775808 is too large", "0 to 9223372036854775807"),
        ({"seeds": [1, 2, 1]}, "a seed is given twice in 1, 2, 1", "each seed once"),
    ],
)
def test_what_does_not_exist_is_named_beside_what_does(
    suite: Suite, asked: dict[str, Any], what: str, remedy: str
) -> None:
    with pytest.raises(CaseError) as caught:
        select(suite, kind=TINY, **asked)
    head, _, tail = str(caught.value).partition("->")
    assert what in head
    assert remedy in tail


def test_no_seed_follows_the_largest(suite: Suite) -> None:
    case = replace(suite.case("capybara")[0], seeds=(2**63 - 1,))
    last = replace(suite, cases=(case,))
    assert [task.seed for task in select(last, kind=REAL, variants=["base"], seed_count=1)] == [2**63 - 1]
    with pytest.raises(CaseError, match="no 2 seeds: none follows the largest of its own, 9223372036854775807"):
        select(last, kind=REAL, seed_count=2)


def test_a_suite_without_default_variants_says_what_to_do(suite: Suite) -> None:
    others = Suite(cases=suite.cases, variants=tuple(v for v in suite.variants if not v.default))
    with pytest.raises(CaseError, match="set default = true"):
        select(others, kind=REAL)


def test_an_empty_suite_selects_nothing_aloud(suite: Suite) -> None:
    with pytest.raises(CaseError, match="no case is selected"):
        select(Suite(cases=(), variants=suite.variants), kind=REAL)


def base_of(identity: str | None) -> ModelBase:
    return ModelBase(model="/models/any", id=identity, evidence="its folder's name")


@pytest.mark.parametrize(
    ("identity", "names"),
    [
        ("Qwen/Qwen-Image", ["base", "8step", "4step"]),
        (None, ["base", "8step", "4step"]),
        ("Qwen/Qwen-Image-2512", ["2512-4steps-v1.0", "2512-8steps-v1.0", "2512-base"]),
    ],
)
def test_by_default_the_variants_of_the_models_base_are_generated(
    suite: Suite, identity: str | None, names: list[str]
) -> None:
    tasks = select(suite, kind=REAL, cases=["capybara"], base=base_of(identity))
    assert [task.variant.name for task in tasks] == names


def test_all_variants_are_those_of_the_models_base(suite: Suite) -> None:
    tasks = select(suite, kind=REAL, cases=["capybara"], variants=["all"], base=base_of("Qwen/Qwen-Image"))
    assert {task.variant.base_model for task in tasks} == {"Qwen/Qwen-Image"}
    assert len(tasks) > 3


@pytest.mark.parametrize("name", ["base", "8step", "4step", "later"])
def test_a_named_variant_of_another_base_is_refused_by_name(suite: Suite, name: str) -> None:
    with pytest.raises(CaseError) as caught:
        select(suite, kind=REAL, variants=[name], base=base_of("Qwen/Qwen-Image-2512"))
    message = str(caught.value)
    assert message.startswith(
        f"/models/any: variant {'base-later' if name == 'later' else name} is for Qwen/Qwen-Image, "
    )
    assert "the model is Qwen/Qwen-Image-2512 (its folder's name)" in message
    assert "choose among its own: 2512-4steps-v1.0, 2512-8steps-v1.0, 2512-base" in message
    assert "--qil-base=ID" in message


def test_where_nothing_tells_the_base_a_named_variant_is_generated(suite: Suite) -> None:
    (task,) = select(suite, kind=REAL, cases=["capybara"], variants=["2512-base"], base=base_of(None))
    assert task.variant.name == "2512-base"


def test_a_base_without_variants_says_so(suite: Suite) -> None:
    with pytest.raises(CaseError, match=r"no variant is generated by default with Qwen/Qwen-Image-Edit \(its folder"):
        select(suite, kind=REAL, base=base_of("Qwen/Qwen-Image-Edit"))


def test_variants_of_another_family_are_left_out_by_default_and_refused_by_name(suite: Suite) -> None:
    own, other = (replace(suite.variants[0], name=name, family=name, base_model=None) for name in ("own", "other"))
    both = replace(suite, variants=(own, other))
    base = ModelBase(model="folder", family="own")
    assert {task.variant.name for task in select(both, kind=REAL, base=base)} == {"own"}
    with pytest.raises(CaseError, match="variant other is for the family other, the model is of own") as caught:
        select(both, kind=REAL, variants=["other"], base=base)
    assert "choose among own, or a model of other" in str(caught.value)


EDITS = frozenset({TaskKind.EDIT})
TINY_EDIT = ModelBase(model="tiny-edit", id="tiny-edit", evidence="its name", family="qwen-image-edit-plus")


def test_the_embedded_editing_model_draws_the_edits_whose_images_are_here_by_its_own_variants(suite: Suite) -> None:
    tasks = select(suite, kind=TINY, base=TINY_EDIT, able=EDITS)
    assert {task.case.id for task in tasks} == {"edit-anime-street", "edit-capybara", "edit-menu", "edit-notice"}
    assert {task.variant.name for task in tasks} == {"edit-base", "edit-8step", "edit-4step"}
    assert {case.id for case in without_inputs(suite, cases=(), able=EDITS, kind=TINY)} == {
        case.id for case in suite.edits if case.id not in {task.case.id for task in tasks}
    }
    (named,) = select(suite, kind=TINY, base=TINY_EDIT, able=EDITS, cases=["edit-blocks-en"], variants=["edit-8step"])
    assert named.size == Size(384, 256)


def test_a_real_editing_model_draws_edits_whose_images_have_to_be_got_first(suite: Suite) -> None:
    suite = replace(suite, variants=tuple(replace(one, base_model=None) for one in suite.variants[:1]))
    drawn = {task.case.id for task in select(suite, kind=REAL, able=EDITS)}
    assert drawn == {case.id for case in suite.edits}
    assert without_inputs(suite, cases=(), able=EDITS, kind=REAL) == ()


def test_variants_of_the_embedded_editing_model_are_no_other_models(suite: Suite) -> None:
    edits = {"edit-base", "edit-8step", "edit-4step"}
    assert not edits & {task.variant.name for task in select(suite, kind=TINY, variants=["all"])}
    folder = ModelBase(model="models/mine", family="qwen-image-edit-plus")
    assert not edits & {variant.name for variant in variants_of(suite, folder)}
    for base, variant in ((folder, "edit-8step"), (TINY_EDIT, "8step")):
        with pytest.raises(CaseError, match=f"variant {variant} is for"):
            select(suite, kind=TINY, base=base, able=EDITS, variants=[variant])
