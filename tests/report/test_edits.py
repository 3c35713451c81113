"""Edits in words, and where in the image a character stands."""

from __future__ import annotations

from qiltest.reading.records import Line
from qiltest.report.edits import edit_sentences
from qiltest.report.geometry import bounds, character_quad, wrong_quads
from qiltest.scoring import Edit, EditKind, TextScore


def scored(expected: str, read: str, *edits: Edit, lines: tuple[int, ...] = (0,)) -> TextScore:
    return TextScore(expected=expected, read=read, distance=1, distance_alnum=1, length=1, edits=edits, lines=lines)


def edit(kind: EditKind, position: int, expected: str, read: str, **more: object) -> Edit:
    return Edit(kind=kind, position=position, expected=expected, read=read, **more)


def test_an_edit_says_what_is_wrong_and_where() -> None:
    assert edit_sentences(scored("π 23846264", "", edit(EditKind.INSERT, 5, "", "4"))) == ("extra “4” after “2384”",)
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
    assert said == ("extra “s” after “end”",)


def test_neighbouring_edits_are_one_sentence() -> None:
    inserted = [edit(EditKind.INSERT, 4, "", char) for char in "自动布局"]
    assert edit_sentences(scored("自动布局", "", *inserted)) == ("extra “自动布局” after “自动布局”",)
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
