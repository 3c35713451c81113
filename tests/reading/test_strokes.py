"""Broken strokes: by the glyph network's log-odds, by the reader's confidence where it is silent."""

from dataclasses import replace

import pytest

from builders import FAKE
from qiltest.reading import Line, Reading, broken_strokes
from qiltest.reading.strokes import DOUBT, fills_square, is_broken


def line(text, characters=(), strokes=(), *, box=((0, 0), (100, 0), (100, 20), (0, 20)), confidence=0.9):
    return Line(text=text, box=box, confidence=confidence, characters=tuple(characters), strokes=tuple(strokes))


def reading(*lines):
    return Reading(reader=FAKE, width=200, height=200, lines=lines, seconds=0.0)


def test_a_broken_character_is_reported_with_its_place_and_log_odds():
    (found,) = broken_strokes(reading(line("籽粒渐趋", [0.99] * 4, [-2.0, -0.1, 1.5, -3.0])))
    assert (found.text, found.line, found.index) == ("渐", 0, 2)
    assert (found.log_odds, found.confidence, found.judged) == (1.5, 0.99, True)
    assert found.place == (62.5, 10.0)


def test_the_readers_confidence_counts_only_where_the_network_is_silent():
    found = broken_strokes(reading(line("籽粒渐", [0.1, 0.1, 0.99], [-2.0, None, None])))
    assert [(item.text, item.judged, item.confidence) for item in found] == [("粒", False, 0.1)]


def test_in_a_reading_of_before_strokes_were_judged_the_confidence_stands_in():
    (found,) = broken_strokes(reading(line("籽粒渐趋", [0.99, 0.98, 0.4, 0.99])))
    assert (found.text, found.log_odds, found.confidence) == ("渐", None, 0.4)


def test_in_a_column_the_place_runs_down():
    column = line("通义", [0.99, 0.3], box=((0, 0), (20, 0), (20, 100), (0, 100)))
    assert broken_strokes(reading(column))[0].place == (10.0, 75.0)


def test_noise_and_blanks_have_no_strokes():
    noise = replace(line("%7", [0.2, 0.2], [9.0, 9.0]), confidence=0.2)
    assert broken_strokes(reading(noise, line("a b", [0.9, 0.1, 0.9]))) == ()


def test_only_the_lines_asked_for_are_looked_at():
    both = reading(line("a", [0.1]), line("b", [0.1]))
    assert [item.text for item in broken_strokes(both, {1})] == ["b"]


def test_nothing_is_said_of_a_reader_without_confidence_per_character():
    assert broken_strokes(reading(line("ab"))) == ()


@pytest.mark.parametrize(
    ("log_odds", "confidence", "broken"),
    [(0.0, 0.1, False), (0.01, 0.99, True), (None, DOUBT, False), (None, 0.79, True), (None, None, False)],
)
def test_a_character_is_broken_above_even_odds(log_odds, confidence, broken):
    assert is_broken(log_odds, confidence) is broken


def test_of_letters_and_digits_the_readers_confidence_counts_whatever_the_network_says():
    found = broken_strokes(reading(line("Q2千ア", [0.99, 0.3, 0.99, 0.99], [9.0, -9.0, 2.0, 3.0])))
    assert [(item.text, item.judged) for item in found] == [("2", False), ("千", True), ("ア", True)]


def test_kana_chinese_and_compatibility_ideographs_fill_a_square_and_nothing_else_does():
    chars = [chr(code) for code in range(0x20, 0x10000) if not 0xD800 <= code < 0xE000]
    blocks = (range(0x3040, 0x3100), range(0x3400, 0xA000), range(0xF900, 0xFB00))
    square = {chr(code) for block in blocks for code in block} | {"\u3005", "\u3007"}
    assert [char for char in chars if fills_square(char) != (char in square)] == []
