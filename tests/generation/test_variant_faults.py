"""What no generator makes of a size, whoever generates: refused before anything is loaded."""

import pytest

from qiltest.errors import RecipeError
from qiltest.generation.variant_faults import check_numbers
from qiltest.recipe import Size


def test_a_size_that_no_reader_takes_is_not_generated():
    check_numbers(Size(2048, 64), 1)
    for size in (Size(2064, 64), Size(64, 2064)):
        with pytest.raises(RecipeError, match=f"size {size} has one side more than 32 times the other"):
            check_numbers(size, 1)
    with pytest.raises(RecipeError, match="size 8x64 is below 16 pixels"):
        check_numbers(Size(8, 64), 1)
