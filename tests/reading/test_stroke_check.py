"""Characters of a reading are judged by a network that is told what was read, within bounds."""

from dataclasses import replace

import numpy as np
import pytest

import builders as make
from qiltest.reading import stroke_check
from qiltest.reading.glyphs.crop import SIDE, Crop
from qiltest.reading.stroke_check import with_strokes

IMAGE = np.zeros((50, 400, 3), np.uint8)
BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


class Network:
    """Gives the log-odds that a test names by character; judges no others, and none below 10 pixels."""

    fingerprint = "abc"

    def __init__(self, **odds):
        self.odds, self.asked = odds, []

    def judges(self, char, height):
        return char in self.odds and height >= 10

    def log_odds(self, crops, chars):
        assert crops.shape == (len(chars), SIDE, SIDE)
        self.asked.append(list(chars))
        return np.asarray([self.odds[char] for char in chars], np.float32)


@pytest.fixture(autouse=True)
def cut(monkeypatch):
    """Crops as high as their line, none of white space; returns the places that were asked for."""
    asked = []

    def crops(image, box, text, places):
        assert image is IMAGE
        asked.append(places)
        crop = Crop(ink=np.zeros((SIDE, SIDE), np.float32), height=box[2][1] - box[0][1], box=BOX)
        return tuple(None if char.isspace() else crop for char in text)

    monkeypatch.setattr(stroke_check, "crops", crops)
    return asked


def line(text, left=0, top=0, width=40, height=20, *, confidence=0.9, places=None):
    placed = tuple((k + 0.5) / len(text) for k in range(len(text))) if places is None else places
    return replace(make.line(text, left, top, width, height, confidence), places=placed)


def judged(*lines, network):
    return with_strokes(IMAGE, make.reading(lines), network)


def test_each_character_has_its_log_odds_and_the_reading_names_the_network():
    found = judged(line("abca"), network=Network(a=-1.234, b=2.0))
    assert found.lines[0].strokes == (-1.23, 2.0, None, -1.23)
    assert found.glyphs == "abc"


def test_what_the_network_is_silent_about_has_none():
    small, noise = line("a", height=8), line("a", confidence=0.3)
    found = judged(small, noise, line("c "), network=Network(a=5.0))
    assert [line.strokes for line in found.lines] == [(), (), ()]
    assert found.glyphs == "abc"


def test_several_lines_are_judged_at_once():
    network = Network(a=1.0, b=-1.0)
    found = judged(line("ab"), line("ba", top=30), network=network)
    assert network.asked == [["a", "b", "b", "a"]]
    assert [line.strokes for line in found.lines] == [(1.0, -1.0), (-1.0, 1.0)]


def test_characters_are_cut_where_the_reader_found_them_and_nowhere_else(cut):
    unplaced = make.line("aa", 0, 0, 40, 20)
    found = judged(line("ab", places=(0.1, 0.7)), unplaced, network=Network(a=1.0))
    assert cut == [(0.1, 0.7)]
    assert [each.strokes for each in found.lines] == [(1.0, None), ()]


def test_only_so_many_characters_of_an_image_are_looked_at(monkeypatch, cut):
    monkeypatch.setattr(stroke_check, "MOST", 5)
    monkeypatch.setattr(stroke_check, "_BATCH", 2)
    network = Network(a=1.0)
    lines = [line(text) for text in ("aaa", "aa", "a")]
    found = judged(*lines, network=network)
    assert [len(batch) for batch in network.asked] == [2, 2, 1]
    assert [line.strokes for line in found.lines] == [(1.0,) * 3, (1.0,) * 2, ()]
    assert len(cut) == 2


def test_a_line_without_characters_is_as_it_was(cut):
    empty = line("")
    assert judged(empty, network=Network(a=1.0)).lines == (empty,)
    assert cut == []


def test_all_else_of_the_reading_stays():
    before = make.reading([replace(line("ab"), characters=(0.9, 0.8))])
    after = with_strokes(IMAGE, before, Network(a=1.0))
    assert replace(after, lines=(replace(after.lines[0], strokes=()),), glyphs="") == before
