"""Which way up a tall box is read."""

import numpy as np

from qiltest.reading.rapidocr.crops import extent, is_column
from qiltest.reading.rapidocr.ctc import Character, Recognition
from qiltest.reading.rapidocr.ways import turned, way_of, widened

TALL = np.array([[10, 5], [30, 5], [30, 105], [10, 105]], dtype=np.float32)
WIDE = np.array([[10, 5], [110, 5], [110, 25], [10, 25]], dtype=np.float32)


def look(text, confidence=0.99):
    return Recognition(characters=tuple(Character(text=char, confidence=confidence, place=0.5) for char in text))


def way(down, up=None, upright=None):
    """The way that a tall box is read, with what it reads; also how many looks that took."""
    looks = []

    def seen(quad):
        looks.append(quad)
        if is_column(quad):
            return down
        return up if np.allclose(quad, turned(TALL)) else upright

    quad, found = way_of(TALL, seen)
    return quad, found, len(looks)


def test_a_row_is_not_looked_at():
    quad, found = way_of(WIDE, lambda _: None)
    assert quad is WIDE
    assert found is None


def test_a_column_that_reads_surely_takes_one_look():
    quad, found, looks = way(look("春眠不觉晓"))
    assert quad is TALL
    assert (found.text, looks) == ("春眠不觉晓", 1)


def test_text_that_runs_up_is_read_from_the_bottom():
    quad, found, _ = way(look("Swnt ms", 0.7), look("Sweet Dreams"))
    assert found.text == "Sweet Dreams"
    assert quad.tolist() == [[10, 105], [10, 5], [30, 5], [30, 105]]
    assert extent(quad) == (100, 20)


def test_an_unsure_column_stays_where_the_other_way_is_no_better():
    assert way(look("明月照人", 0.95), look("旧人", 0.7))[0] is TALL
    assert way(look("明月", 0.95), look("日月", 0.99))[0] is TALL


def test_one_upright_letter_in_a_tall_box_is_read_as_it_stands():
    quad, found, _ = way(look("_", 0.9), look("_", 0.97), look("I", 0.99))
    assert found.text == "I"
    assert quad.tolist() == widened(TALL).tolist()
    assert not is_column(quad)
    assert quad.mean(axis=0).tolist() == TALL.mean(axis=0).tolist()


def test_one_letter_of_a_tall_box_stays_where_upright_it_is_no_surer():
    assert way(look("一", 0.99), look("一", 0.9), look("l", 0.8))[0] is TALL
    assert way(look("", 0.0), look("", 0.0), look("I", 0.5))[0] is TALL
