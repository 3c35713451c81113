"""Chinese characters, chosen by what the recogniser guesses and by their strokes."""

import numpy as np
import pytest

from qiltest.reading.glyphs.crop import SIDE, Crop
from qiltest.reading.rapidocr import han
from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.end_marks import Written
from qiltest.reading.rapidocr.han import by_strokes

QUAD = np.array([[0, 0], [200, 0], [200, 50], [0, 50]], dtype=np.float32)
IMAGE = np.zeros((60, 210, 3), dtype=np.uint8)
CROP = Crop(ink=np.zeros((SIDE, SIDE), dtype=np.float32), height=40.0, box=((0, 0), (50, 0), (50, 50), (0, 50)))


class Network:
    """Says of each character how broken its strokes are; knows no others."""

    fingerprint = "drawn up for tests"

    def __init__(self, **odds):
        self.odds = odds
        self.asked = []

    def judges(self, char, height):
        return char in self.odds and height >= 18

    def log_odds(self, crops, chars):
        assert crops.shape == (len(chars), SIDE, SIDE)
        self.asked.append("".join(chars))
        return np.array([self.odds[char] for char in chars], dtype=np.float32)


def line(*guesses, confidence=0.99):
    """A line of 自行, a character with these guesses (text, probability), and 的."""
    (text, probability), *others = guesses
    middle = Character(text=text, confidence=probability, place=0.625, alternatives=tuple(others))
    around = [Character(text=char, confidence=confidence, place=x) for char, x in (("自", 0.125), ("行", 0.375))]
    last = Character(text="的", confidence=confidence, place=0.875)
    return Written(box=QUAD, characters=(*around, middle, last))


@pytest.fixture
def cut(monkeypatch):
    monkeypatch.setattr(han, "crops", lambda image, box, text, places, *, bgr: tuple(CROP for _ in text))


def read(written, network):
    return "".join(character.text for character in by_strokes(IMAGE, written, network).characters)


@pytest.mark.usefixtures("cut")
def test_strokes_that_are_anothers_outweigh_a_guess_that_is_likelier():
    written = line(("車", 0.96), ("车", 0.03))
    assert read(written, Network(車=2.0, 车=-3.0)) == "自行车的"
    assert read(written, Network(車=-1.0, 车=-3.0)) == "自行車的"


@pytest.mark.usefixtures("cut")
def test_its_confidence_is_that_of_both_kinds_of_evidence_together():
    found = by_strokes(IMAGE, line(("車", 0.5), ("车", 0.5)), Network(車=1.0, 车=-1.0)).characters[2]
    assert found.text == "车"
    assert found.confidence == pytest.approx(np.e**2 / (1 + np.e**2))


@pytest.mark.usefixtures("cut")
@pytest.mark.parametrize("guesses", [[("車", 1.0)], [("車", 0.5), ("x", 0.5)], [("w", 0.6), ("W", 0.4)]])
def test_where_no_other_chinese_character_was_guessed_nothing_is_asked(guesses):
    network = Network(車=5.0, x=-5.0, w=5.0, W=-5.0)
    written = line(*guesses)
    assert by_strokes(IMAGE, written, network) == written
    assert network.asked == []


@pytest.mark.usefixtures("cut")
def test_what_the_network_does_not_know_stays():
    assert read(line(("車", 0.6), ("车", 0.4)), Network(车=-5.0)) == "自行車的"
    assert read(line(("車", 0.6), ("车", 0.4)), Network(車=5.0)) == "自行車的"


@pytest.mark.usefixtures("cut")
def test_a_line_of_noise_is_not_asked_about():
    network = Network(車=5.0, 车=-5.0)
    assert read(line(("車", 0.5), ("车", 0.5), confidence=0.5), network) == "自行車的"
    assert network.asked == []


def test_a_character_that_cannot_be_cut_out_stays(monkeypatch):
    monkeypatch.setattr(han, "crops", lambda image, box, text, places, *, bgr: (None,) * len(text))
    assert read(line(("車", 0.6), ("车", 0.4)), Network(車=5.0, 车=-5.0)) == "自行車的"
