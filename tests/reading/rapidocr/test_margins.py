"""Tall images are given margins, because the detector enlarges their shorter side; others are as they are."""

import numpy as np
import pytest

from qiltest.reading.rapidocr.margins import LONGEST, MOST, with_margins


def image(width, height):
    return np.full((height, width, 3), 200, np.uint8)


@pytest.mark.parametrize("size", [(1328, 1328), (928, 1664), (100, 100 * MOST), (3200, 100), (1, 1)])
def test_an_image_that_is_not_tall_is_seen_as_it_is(size):
    bgr, seen = image(*size), []
    assert with_margins(bgr, lambda pixels: seen.append(pixels) or ["boxes"]) == ["boxes"]
    assert seen[0] is bgr


@pytest.mark.parametrize(
    ("size", "widened"),
    [((100, 900), (224, 900)), ((62, 1984), (496, 1984)), ((1581, 50592), (499, LONGEST)), ((2, 64), (16, 64))],
)
def test_a_tall_image_is_seen_small_and_with_black_margins_at_both_sides(size, widened):
    seen = []
    with_margins(image(*size), lambda pixels: seen.append(pixels) or [])
    (pixels,) = seen
    assert (pixels.shape[1], pixels.shape[0]) == widened
    written = np.flatnonzero((pixels > 0).any(axis=(0, 2)))
    assert written[0] == widened[0] - 1 - written[-1] > 0
    assert (pixels[:, written[0] : written[-1] + 1] == 200).all()


@pytest.mark.parametrize("size", [(62, 1984), (150, 4800)])
def test_the_boxes_of_a_tall_image_are_in_its_own_pixels(size):
    width, height = size
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[height // 2 : height // 2 + 48, 12:36] = 255

    def bright(pixels):
        rows, columns = (np.flatnonzero((pixels > 127).any(axis=axis)) for axis in ((1, 2), (0, 2)))
        left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return [np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)]

    (quad,) = with_margins(bgr, bright)
    assert quad.dtype == np.float32
    wanted = [[12, height // 2], [36, height // 2], [36, height // 2 + 48], [12, height // 2 + 48]]
    assert np.abs(quad - wanted).max() <= height / LONGEST + 1


def test_a_box_in_a_margin_ends_at_the_image():
    (quad,) = with_margins(image(62, 1984), lambda pixels: [np.array([[0, 0], [500, 0], [500, 9], [0, 9]], np.float32)])
    assert quad.tolist() == [[0, 0], [62, 0], [62, 9], [0, 9]]
