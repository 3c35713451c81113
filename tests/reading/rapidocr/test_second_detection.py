"""Where two detections differ about large writing, the lines with more evidence stand; nothing is read twice."""

import numpy as np
import pytest

from qiltest.reading.rapidocr.second_detection import LARGE, LINE, MARGIN, Difference, better, differences, evidence
from qiltest.reading.rapidocr.views import NOISE
from qiltest.reading.records import Line

SIDE = 1000.0


def box(left, top, width, height):
    return np.array(
        [[left, top], [left + width, top], [left + width, top + height], [left, top + height]], dtype=np.float32
    )


def line(text, confidence):
    return Line(text=text, box=((0, 0),) * 4, confidence=confidence, characters=(confidence,) * len(text))


def test_two_detections_that_agree_differ_nowhere():
    banner = box(100, 100, 700, 200)
    assert differences([banner], [box(105, 98, 700, 205)], side=SIDE) == ()


def test_a_banner_that_the_first_cut_in_pieces_is_one_difference():
    pieces = [box(100, 100, 300, 200), box(420, 110, 100, 180), box(540, 100, 300, 200)]
    assert differences(pieces, [box(100, 100, 740, 200)], side=SIDE) == (Difference(first=(0, 1, 2), second=(0,)),)


def test_a_banner_that_the_first_lost_is_a_difference_with_nothing_on_its_side():
    caption = box(100, 900, 300, 30)
    assert differences([caption], [box(100, 100, 740, 200)], side=SIDE) == (Difference(first=(), second=(0,)),)


@pytest.mark.parametrize(("height", "counted"), [(LARGE * SIDE + 1, True), (LARGE * SIDE - 1, False)])
def test_the_second_counts_for_large_writing_alone(height, counted):
    assert bool(differences([], [box(100, 100, 500, height)], side=SIDE)) is counted
    column = box(100, 100, height, 500)
    assert bool(differences([], [column], side=SIDE)) is counted


def test_a_small_line_beside_large_writing_is_in_no_difference():
    first = [box(100, 100, 740, 90), box(100, 195, 740, 90), box(100, 320, 200, 30)]
    assert differences(first, [box(100, 100, 740, 185)], side=SIDE) == (Difference(first=(0, 1), second=(0,)),)


def test_boxes_that_touch_through_a_box_of_the_other_detection_are_one_difference():
    first = [box(100, 100, 200, 200), box(250, 100, 300, 200), box(800, 700, 150, 150)]
    second = [box(100, 100, 320, 200), box(420, 100, 130, 200), box(800, 700, 152, 150)]
    assert differences(first, second, side=SIDE) == (Difference(first=(0, 1), second=(0, 1)),)


def test_boxes_whose_rectangles_overlap_and_whose_own_areas_do_not_are_apart():
    def slanted(shift):
        corners = [[100, 300 + shift], [500, 0 + shift], [500, 100 + shift], [100, 400 + shift]]
        return np.array(corners, dtype=np.float32)

    assert differences([slanted(120)], [slanted(0)], side=SIDE) == (Difference(first=(), second=(0,)),)


def test_evidence_is_how_much_surer_than_noise_each_character_is_less_the_cost_of_its_line():
    assert evidence([]) == 0
    assert evidence([line("ab", 1.0)]) == pytest.approx(2 * (1 - NOISE) - LINE)
    assert evidence([line("a b", 1.0)]) == pytest.approx(2 * (1 - NOISE) - LINE)
    assert evidence([line("ab", NOISE)]) == pytest.approx(-LINE)
    assert evidence([line("a", 1.0), line("b", 1.0)]) == pytest.approx(2 * (1 - NOISE) - 2 * LINE)


def test_a_word_in_one_line_stands_in_place_of_its_letters():
    letters = [line(letter, 0.9) for letter in "HUNYUAN"]
    assert better([line("HUNYUAN", 0.9)], letters)
    assert not better(letters, [line("HUNYUAN", 0.9)])


def test_what_the_first_read_stays_where_the_second_says_hardly_more():
    first, same = [line("MAG3.08", 0.8)], [line("MAG3.08", 0.8)]
    assert not better(same, first)
    gain = MARGIN / len("MAG3.08")
    assert not better([line("MAG3.08", 0.8 + 0.9 * gain)], first)
    assert better([line("MAG3.08", 0.8 + 1.1 * gain)], first)


def test_noise_is_not_added_where_the_first_found_nothing():
    assert not better([line("l", 0.7)], [])
    assert not better([], [])
    assert better([line("SALE", 0.9)], [])
