import pytest

from qiltest.reading.quad import extent, is_column, stretch

WIDE = ((0.0, 0.0), (40.0, 0.0), (40.0, 20.0), (0.0, 20.0))
TILTED = ((0.0, 0.0), (30.0, 40.0), (14.0, 52.0), (-16.0, 12.0))


def test_the_extent_is_taken_along_the_sides_of_a_tilted_line():
    assert extent(TILTED) == pytest.approx((50.0, 20.0))


@pytest.mark.parametrize(("height", "column"), [(59.0, False), (60.0, True), (200.0, True)])
def test_a_column_is_at_least_one_and_a_half_times_as_high_as_wide(height, column):
    assert is_column(((0.0, 0.0), (40.0, 0.0), (40.0, height), (0.0, height))) is column


def test_a_stretch_of_a_row_goes_along_its_width_and_of_a_column_along_its_height():
    assert stretch(WIDE, 0.25, 0.5, column=False) == ((10.0, 0.0), (20.0, 0.0), (20.0, 20.0), (10.0, 20.0))
    assert stretch(WIDE, 0.25, 0.5, column=True) == ((0.0, 5.0), (40.0, 5.0), (40.0, 10.0), (0.0, 10.0))
