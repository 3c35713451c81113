"""The detector at two scales: the small copy's boxes come back in pixels of the image."""

import numpy as np
import pytest

from qiltest.reading.rapidocr.detection import FINER, SMALL, Detector


class Engine:
    """Finds one box around what is bright, or nothing."""

    def __init__(self):
        self.seen = []

    def __call__(self, bgr, **_):
        self.seen.append(bgr)
        rows, columns = np.nonzero(bgr[..., 0] > 127)
        left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
        return type("Found", (), {"boxes": [corners] if len(rows) < bgr.shape[0] * bgr.shape[1] else None})


@pytest.fixture
def detector():
    made = Detector.__new__(Detector)
    made._own, made._small = Engine(), Engine()
    return made


def bright(width, height, left, top, right, bottom):
    bgr = np.zeros((height, width, 3), np.uint8)
    bgr[top:bottom, left:right] = 255
    return bgr


def test_at_its_own_scale_the_detector_sees_the_image_itself(detector):
    bgr = bright(1328, 1328, 100, 200, 900, 500)
    (quad,) = detector.boxes(bgr)
    assert detector._own.seen[0] is bgr
    assert quad.dtype == np.float32
    assert quad.tolist() == [[100, 200], [900, 200], [900, 500], [100, 500]]


@pytest.mark.parametrize(("width", "height"), [(1328, 1328), (1664, 928), (928, 1664), (3000, 500)])
def test_boxes_of_the_small_copy_are_in_pixels_of_the_image(detector, width, height):
    left, top, right, bottom = width // 8, height // 4, width // 2, height // 2
    (quad,) = detector.boxes_of_copy(bright(width, height, left, top, right, bottom))
    (copy,) = detector._small.seen
    assert max(copy.shape[:2]) == FINER * SMALL
    pixel = max(width, height) / (FINER * SMALL)
    wanted = [[left, top], [right, top], [right, bottom], [left, bottom]]
    assert np.abs(quad - np.array(wanted)).max() <= 1.5 * pixel


def test_a_small_image_is_not_enlarged(detector):
    (quad,) = detector.boxes_of_copy(bright(300, 200, 30, 40, 130, 90))
    assert detector._small.seen[0].shape == (200, 300, 3)
    assert quad.tolist() == [[30, 40], [130, 40], [130, 90], [30, 90]]


def test_an_image_of_one_row_keeps_it(detector):
    detector.boxes_of_copy(bright(5000, 1, 10, 0, 2000, 1))
    assert detector._small.seen[0].shape[0] == 1


def test_nothing_found_is_no_box(detector):
    white = np.full((64, 64, 3), 255, np.uint8)
    assert detector.boxes(white) == []
    assert detector.boxes_of_copy(white) == []
