"""A run narrowed to some cases."""

import pytest

import builders as make
from qiltest.errors import StoreError
from qiltest.recipe import Size
from qiltest.runs.filter import only_cases
from qiltest.runs.records import CaseResult

SMALL, LARGE = make.sample(), make.sample(size=Size(512, 512))
OTHER, PLANNED = make.sample(case="poster"), make.sample(case="slide")
RUN = make.run(
    "a",
    results=tuple(CaseResult(sample=sample) for sample in (SMALL, LARGE, OTHER)),
    planned=(SMALL, LARGE, OTHER, PLANNED),
)


def kept(*names):
    found = only_cases(RUN, names)
    assert found.id == RUN.id
    return found.planned, tuple(result.sample for result in found.results)


def test_no_name_keeps_the_whole_run():
    assert only_cases(RUN, ()) is RUN


def test_a_case_is_kept_at_all_its_sizes_and_a_case_with_a_size_at_that_one():
    assert kept("coffee") == ((SMALL, LARGE), (SMALL, LARGE))
    assert kept("coffee@512x512") == ((LARGE,), (LARGE,))
    assert kept("coffee@512x512", "poster") == ((LARGE, OTHER), (LARGE, OTHER))


def test_a_case_that_was_only_planned_is_known():
    assert kept("slide") == ((PLANNED,), ())


def test_a_name_that_is_not_in_the_run_is_refused_with_those_that_are():
    with pytest.raises(StoreError) as error:
        only_cases(RUN, ["poster", "coffee@1x1"])
    assert error.value.what == "no image of case 'coffee@1x1'"
    assert error.value.where == str(RUN.path)
    assert error.value.remedy == "its cases: coffee, poster, slide"


def test_an_empty_run_has_no_cases():
    with pytest.raises(StoreError) as error:
        only_cases(make.run("b"), ["coffee"])
    assert error.value.remedy == "its cases: none"
