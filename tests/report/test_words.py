from __future__ import annotations

import math

import pytest

from qiltest.reading.records import Line
from qiltest.report.edits import edit_sentences
from qiltest.report.geometry import bounds, character_quad, wrong_quads
from qiltest.scoring import Edit, EditKind, TextScore
from qiltest.text.format import count, number, percent, seconds, times


def scored(expected: str, read: str, *edits: Edit, lines: tuple[int, ...] = (0,)) -> TextScore:
    return TextScore(expected=expected, read=read, distance=1, distance_alnum=1, length=1, edits=edits, lines=lines)


def edit(kind: EditKind, position: int, expected: str, read: str, **more: object) -> Edit:
    return Edit(kind=kind, position=position, expected=expected, read=read, **more)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0871, "87.1 ms"),
        (0.9996, "1 s"),
        (3.424, "3.42 s"),
        (99.94, "99.9 s"),
        (102.2, "1 min 42 s"),
        (3599.8, "1 h 0 min"),
        (math.nan, "not a number"),
    ],
)
def test_seconds_are_said_as_a_person_says_them(value: float, words: str) -> None:
    assert seconds(value).replace("\u00a0", " ") == words


def test_rates_factors_and_counts_in_words() -> None:
    assert [percent(value).replace("\u00a0", " ") for value in (0, 0.0123, 0.1, 1)] == ["0 %", "1.2 %", "10 %", "100 %"]
    assert (times(12.44), number(1.5), number(2.0)) == ("12.4×", "1.5", "2")
    assert (count(1, "picture"), count(0, "picture"), count(2, "entry", "entries")) == (
        "1 picture",
        "0 pictures",
        "2 entries",
    )


def test_an_edit_says_what_is_wrong_and_where() -> None:
    assert edit_sentences(scored("π 23846264", "", edit(EditKind.INSERT, 5, "", "4"))) == ("“4” too many after “2384”",)
    assert edit_sentences(scored("GOOD", "", edit(EditKind.SUBSTITUTE, 0, "G", "6"))) == (
        "“6” instead of “G” at the start (character 1)",
    )
    assert edit_sentences(scored("foundational", "", edit(EditKind.DELETE, 1, "o", ""))) == (
        "“o” missing after “f” (character 2)",
    )


def test_the_place_of_an_edit_is_said_in_the_text_as_it_was_written() -> None:
    said = edit_sentences(scored("Qwen Coffee", "", edit(EditKind.DELETE, 6, "f", "")))
    assert said == ("“f” missing after “n Co” (character 7)",)
    said = edit_sentences(scored("… end", "", edit(EditKind.INSERT, 6, "", "s")))
    assert said == ("“s” too many after “end”",)


def test_neighbouring_edits_are_one_sentence() -> None:
    inserted = [edit(EditKind.INSERT, 4, "", char) for char in "自动布局"]
    assert edit_sentences(scored("自动布局", "", *inserted)) == ("“自动布局” too many after “自动布局”",)
    deleted = [edit(EditKind.DELETE, place, "abcd"[place], "") for place in (1, 2)]
    assert edit_sentences(scored("abcd", "", *deleted)) == ("“bc” missing after “a” (character 2)",)


def test_a_look_alike_and_its_forgiveness_are_said() -> None:
    forgiven = edit(EditKind.SUBSTITUTE, 0, "I", "l", look_alike="I/l/1", counted=False)
    assert edit_sentences(scored("Il", "", forgiven)) == (
        "“l” instead of “I” at the start (character 1), a look-alike (I/l/1): forgiven by the case, not counted",
    )


def test_many_edits_are_cut_and_counted() -> None:
    edits = [edit(EditKind.SUBSTITUTE, place, "a", "b") for place in range(0, 20, 2)]
    said = edit_sentences(scored("a" * 20, "", *edits), limit=3)
    assert len(said) == 4
    assert said[-1] == "and 7 more edits"


def line(text: str, left: float, top: float, right: float, bottom: float) -> Line:
    return Line(text=text, box=((left, top), (right, top), (right, bottom), (left, bottom)), confidence=1.0)


def test_a_character_is_found_along_its_line() -> None:
    box = bounds([character_quad(line("龍鳳冰室", 0, 0, 400, 100), 1, 2)])
    assert box == (100, 0, 200, 100)


def test_a_character_of_an_upright_sign_is_found_down_its_line() -> None:
    box = bounds([character_quad(line("龍鳳冰室", 0, 0, 100, 400), 1, 2)])
    assert box == (0, 100, 100, 200)


def test_a_missing_character_has_a_sliver_at_its_place() -> None:
    box = bounds([character_quad(line("龍鳳冰室", 0, 0, 400, 100), 2, 2)])
    assert box is not None
    assert 190 < box[0] < 200 < box[2] < 210


def test_differing_characters_are_found_in_the_line_that_holds_them() -> None:
    lines = (line("龍鳳", 0, 0, 200, 100), line("冰室", 0, 200, 200, 300))
    quads = wrong_quads(scored("", "龍鳳\n冰室", lines=(0, 1)), lines, positions=(4,))
    assert [bounds([quad]) for quad in quads] == [(100, 200, 200, 300)]


def test_a_text_cut_out_of_a_line_is_found_inside_it_or_not_at_all() -> None:
    lines = (line("龍鳳冰室", 0, 0, 400, 100),)
    assert [bounds([quad]) for quad in wrong_quads(scored("", "冰室"), lines, positions=(0,))] == [(200, 0, 300, 100)]
    assert wrong_quads(scored("", "別的"), lines, positions=(0,)) == ()
