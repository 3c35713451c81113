"""Which of several ways from the expected to the read text counts, and how lines of several texts are cut."""

import pytest

import builders
from qiltest.scoring import score_case
from qiltest.scoring.distance import align
from qiltest.scoring.geometry import place_of
from qiltest.scoring.split import Cut, cuts_of, pieces_of
from qiltest.text.normalise import units

ALIKE = ("I/l/1",)


def aligned(expected, read, *marks, **options):
    return align(units(expected, marks), [read], **options)


def test_where_look_alikes_are_forgiven_several_of_them_are_better_than_one_edit_that_counts():
    found = aligned("1lI", "lI1", forgiven=ALIKE)
    assert (found.distance, [edit.counted for edit in found.edits]) == (0, [False] * 3)


def test_where_look_alikes_are_not_forgiven_the_fewest_edits_count():
    found = aligned("1lI", "lI1")
    assert (found.distance, len(found.edits)) == (2, 2)


def test_a_text_that_was_read_as_it_is_has_no_edits_and_no_layout():
    found = aligned("ab", "ab")
    assert (found.distance, found.distance_alnum, found.edits, found.layout) == (0, 0, (), ())


def test_a_mark_of_several_characters_that_was_read_is_no_difference():
    found = aligned("ab👍🏽", "ab👍🏽", "👍🏽")
    assert (found.distance, found.edits, found.layout) == (0, (), ())


def test_letters_are_never_taken_for_a_mark_that_was_not_read():
    assert aligned("ab😊", "abcd", "😊").distance == 2


def test_letters_of_another_text_in_the_line_count_where_the_case_says_that_its_text_stands_alone():
    texts = ("OPEN", "CLOSED ON MONDAYS")
    reading = builders.reading([builders.line("OPEN CLOSED ON MONDAYS", 100, 100, 900, 40)])
    assert score_case(builders.case("x", *texts), reading).distance == 0
    assert score_case(builders.case("x", *texts[:1], alone=True), reading).distance > 0


@pytest.mark.parametrize("text", ["OPENCLOSED", "OPENCLOSEDX"])
def test_a_line_of_two_texts_is_cut_where_the_second_begins(text):
    assert cuts_of(text, ["OPEN", "CLOSED"]) == [Cut(end=4, start=4)]
    assert cuts_of(text, ["OPEN"]) == []
    assert cuts_of(text, ["OPEN", "SHUT"]) == []


def test_a_part_of_a_line_has_its_share_of_the_box_and_its_text_as_it_was_read():
    line = builders.line("OPEN  CLOSED", 0, 0, 1000, 40, confidence=0.5)
    first, second = pieces_of(line, "OPENCLOSED", 3, [Cut(end=4, start=4)])
    assert [(piece.text, piece.raw) for piece in (first, second)] == [("OPEN", "OPEN"), ("CLOSED", "CLOSED")]
    assert [(piece.line, piece.confidence) for piece in (first, second)] == [(3, 0.5)] * 2
    assert (first.place.left, first.place.right) == (0, pytest.approx(400))
    assert (second.place.left, second.place.right) == (pytest.approx(400), 1000)


def test_a_part_of_one_character_is_measured_as_one_character():
    first, second = pieces_of(builders.line("AB", 0, 0, 300, 100), "AB", 0, [Cut(end=1, start=1)])
    for piece, left in ((first, 0), (second, 150)):
        assert piece.place == place_of(builders.line("A", left, 0, 150, 100), 1)


def test_a_line_that_is_not_cut_keeps_its_place():
    line = builders.line("OPEN", 10, 20, 100, 40)
    (piece,) = pieces_of(line, "OPEN", 0, [])
    assert (piece.place, piece.raw) == (place_of(line, 4), "OPEN")


def test_a_part_that_the_line_cannot_be_cut_at_is_shown_in_its_normalised_form():
    line = builders.line("A℻B", 0, 0, 400, 40)  # one character that stands for three
    first, second = pieces_of(line, "AFAXB", 0, [Cut(end=2, start=2)])
    assert (first.raw, second.raw) == ("AF", "AXB")


def test_a_text_that_stands_alone_is_not_looked_for_within_a_sentence():
    sentence = builders.line("that we are OPEN from morning", 100, 100, 900, 40)
    reading = builders.reading([sentence, builders.line("OXYN", 100, 900, 200, 80)])
    for alone, read, lines in ((True, "OXYN", (1,)), (False, "OPEN", (0,))):
        (text,) = score_case(builders.case("x", "OPEN", alone=alone), reading).texts
        assert (text.read, text.lines) == (read, lines)


def test_every_line_of_several_texts_is_cut_at_its_own_places():
    lines = [builders.line("OPENCLOSED", 100, 100, 900, 40), builders.line("SALEMENU", 100, 900, 200, 80)]
    found = score_case(builders.case("x", "OPEN", "CLOSED", "SALE", "MENU"), builders.reading(lines))
    assert [(text.read, text.lines) for text in found.texts] == [
        ("OPEN", (0,)), ("CLOSED", (0,)), ("SALE", (1,)), ("MENU", (1,)),
    ]  # fmt: skip
    assert (found.distance, found.extra) == (0, ())


def test_a_part_that_no_text_took_belongs_to_the_text_beside_it():
    lines = [builders.line("OPENCLOSEP", 100, 100, 900, 40), builders.line("CLOSED", 100, 900, 400, 80)]
    found = score_case(builders.case("x", "OPEN", "CLOSED"), builders.reading(lines))
    assert [(text.read, text.lines) for text in found.texts] == [("OPENCLOSEP", (0,)), ("CLOSED", (1,))]
    assert (found.distance, found.extra) == (6, ())
