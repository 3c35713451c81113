"""Which characters of an expected text have broken strokes: only those that were read as expected count."""

from dataclasses import replace

import builders as make
from qiltest.scoring import score
from qiltest.scoring.records import BrokenCharacter
from qiltest.scoring.strokes import strokes_of


def line(text, *odds):
    return replace(make.line(text, 0, 0, 200, 20), strokes=odds)


def scored(*lines, wanted):
    reading = make.reading(lines, glyphs="net-1")
    return score(make.texts(*wanted), reading)


def test_each_character_of_a_text_has_a_mark():
    (text,) = scored(line("通义千问", -3.0, 2.5, None, 0.0), wanted=["通义千问"]).texts
    assert text.strokes == ".x-?"
    broken = BrokenCharacter(char="义", position=1, line=0, index=1, log_odds=2.5, place=(75.0, 10.0))
    assert text.broken == (broken,)
    assert text.distance == 0


def test_a_misread_character_is_an_edit_and_not_judged_besides():
    (text,) = scored(line("通又千问", -3.0, 9.0, -3.0, -3.0), wanted=["通义千问"]).texts
    assert (text.strokes, text.broken, text.distance) == (".-..", (), 1)


def test_positions_are_those_of_the_text_without_white_space_and_optional_marks():
    found = score(
        make.texts("千 ☕ 问", marks=("☕",)), make.reading([line("千  问", -4.0, None, None, 4.0)], glyphs="net-1")
    )
    (text,) = found.texts
    assert text.length == 2
    assert text.strokes == ".x"
    assert [(item.position, item.index) for item in text.broken] == [(1, 3)]


def test_the_lines_of_a_wrapped_text_are_judged_in_their_order():
    below = replace(make.line("千问", 0, 30, 200, 20), strokes=(1.0, -4.0))
    (text,) = scored(line("通义", -4.0, -4.0), below, wanted=["通义千问"]).texts
    assert text.strokes == "..x."
    assert [(item.line, item.index) for item in text.broken] == [(1, 0)]


def test_what_stands_beside_a_text_is_none_of_it():
    found = strokes_of("千问", ["千问"], [0], [line("通义千问", 5.0, 5.0, -4.0, 5.0)])
    assert (found.marks, [item.index for item in found.broken]) == (".x", [3])


def test_a_score_counts_over_its_texts_and_names_the_network():
    first, second = line("通义", -4.0, 3.0), replace(make.line("千问好", 0, 90, 300, 20), strokes=())
    found = scored(first, second, wanted=["通义", "千问好"])
    assert (found.strokes, found.judged, found.broken, found.glyphs) == (".x---", 2, 1, "net-1")
    assert [text.strokes for text in found.texts] == [".x", ""]


def test_where_nothing_was_judged_there_are_no_marks():
    found = score(make.texts("通义"), make.reading([make.line("通义", 0, 0, 40, 20)]))
    assert (found.strokes, found.glyphs, found.judged, found.broken) == ("", "", 0, 0)
    assert scored(line("通义", None, None), wanted=["通义"]).strokes == ""


def test_letters_and_digits_do_not_count_whatever_the_network_says():
    (text,) = scored(line("Qwen千问2", 9.0, 9.0, 9.0, 9.0, -4.0, 3.0, 9.0), wanted=["Qwen千问2"]).texts
    assert text.strokes == "----.x-"
    assert [item.char for item in text.broken] == ["问"]


def test_a_text_that_is_not_literally_in_its_line_is_not_judged():
    decomposed = line("か\u3099千", 1.0, 1.0, 1.0)
    (text,) = scored(decomposed, wanted=["が千"]).texts
    assert (text.distance, text.strokes) == (0, "")


def test_lines_too_long_to_align_are_not_judged():
    text = "千" * 2_001
    assert strokes_of(text, [text], [0], [line(text, *[1.0] * 2_001)]).marks == ""
