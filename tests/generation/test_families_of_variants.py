"""A variant is for a family that there is; one for another than the model's is left out, and so would be a typo."""

import pytest

import builders as make
from qiltest.errors import CaseError
from qiltest.generation.families import FAMILIES, check_families


def test_a_mistyped_family_is_named_with_the_one_that_was_meant():
    with pytest.raises(CaseError) as error:
        check_families([make.variant("base"), make.variant("fast", family="qwen-imag")])
    assert error.value.what == 'variant fast is for qwen-imag, which is no family (did you mean "qwen-image"?)'
    assert error.value.remedy == f"set family to one of {', '.join(family.name for family in FAMILIES)}"


def test_each_family_and_none_is_taken():
    check_families([make.variant("base"), *(make.variant("fast", family=family.name) for family in FAMILIES)])
