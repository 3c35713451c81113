import numpy as np

from qiltest.reading.rapidocr.ctc import LEAST_LOST, decode, lost, prepare

ALPHABET = ["", "a", "b", "c"]


def steps(*indices, sure=0.9):
    rows = np.full((len(indices), len(ALPHABET)), (1 - sure) / (len(ALPHABET) - 1), dtype=np.float32)
    rows[np.arange(len(indices)), indices] = sure
    return rows


def text(*indices):
    return "".join(character.text for character in decode(steps(*indices), ALPHABET))


def test_runs_are_one_character_and_blanks_none():
    assert text(0, 1, 1, 0, 2, 0) == "ab"


def test_a_blank_between_equal_characters_keeps_both():
    assert text(1, 0, 1) == "aa"
    assert text(1, 1, 1) == "a"


def test_nothing_but_blanks_is_nothing():
    assert text(0, 0, 0) == ""


def test_characters_come_with_place_confidence_and_alternatives():
    rows = steps(0, 1, 0, 0)
    rows[1] = [0.1, 0.6, 0.3, 0.0]
    (found,) = decode(rows, ALPHABET)
    assert (round(found.confidence, 3), found.place) == (0.6, 0.375)
    assert [(char, round(p, 3)) for char, p in found.alternatives] == [("b", 0.3)]


def test_places_ignore_the_padding():
    (found,) = decode(steps(0, 1, 0, 0, 0, 0, 0, 0), ALPHABET, used=0.5)
    assert found.place == 0.375


def test_a_line_is_scaled_to_the_networks_height_and_padded():
    batch, used = prepare(np.zeros((96, 192, 3), dtype=np.uint8))
    assert batch.shape == (1, 3, 48, 320)
    assert used == 96 / 320
    batch, used = prepare(np.zeros((48, 700, 3), dtype=np.uint8))
    assert (batch.shape, used) == ((1, 3, 48, 700), 1.0)


def test_a_character_that_lost_against_the_blank_is_found_once_at_its_peak():
    rows = steps(1, 0, 0, 0, 2, 0)
    rows[1:3, 3] = [0.2, 0.3]
    (found,) = lost(rows, "c", ALPHABET)
    assert (found.text, round(found.confidence, 3), round(found.place, 3)) == ("c", 0.3, round(2.5 / 6, 3))


def test_a_character_that_was_read_or_had_next_to_no_probability_did_not_lose():
    rows = steps(3, 0, 1, 0, sure=0.97)
    rows[1, 3] = LEAST_LOST / 2
    assert lost(rows, "c", ALPHABET) == ()
    assert lost(rows, "'", ALPHABET) == ()
