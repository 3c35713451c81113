"""What stands between two texts of one line, and is part of neither."""

import pytest

from builders import line, reading, texts
from qiltest.scoring import score


def found(shown, *expected, alone=False):
    return score(texts(*expected), reading([line(shown, 0, 0, 20 * len(shown), 40)]), alone=alone)


def distances(shown, *expected, alone=False):
    return [text.distance for text in found(shown, *expected, alone=alone).texts]


@pytest.mark.parametrize("mark", [" | ", "|", " / ", "/", " — ", ": ", " → ", " · ", "•", " I ", " l "])
def test_a_mark_that_sets_two_texts_apart_is_part_of_neither(mark):
    assert distances(f"Conquer the Wild{mark}Book Your Adventure", "Conquer the Wild", "Book Your Adventure") == [0, 0]
    assert distances(f"入口{mark}出口", "入口", "出口") == [0, 0]


def test_so_do_several_in_one_line():
    assert distances("LONDON | PARIS | ROME", "LONDON", "PARIS", "ROME") == [0, 0, 0]


def test_marks_that_end_a_sentence_are_part_of_it():
    assert sum(distances("Hello. World", "Hello", "World")) == 1
    assert sum(distances("Hello, World", "Hello", "World")) == 1
    assert sum(distances("Hello! World", "Hello", "World")) == 1


def test_a_mark_that_a_text_asks_for_is_part_of_it():
    assert distances("Name: Jamez Bondos", "Name:", "Jamez Bondos") == [0, 0]
    assert sum(distances("Name Jamez Bondos", "Name:", "Jamez Bondos")) == 1


def test_errors_beside_a_separator_count():
    assert distances("Conquer the Wild | Book Your Advonture", "Conquer the Wild", "Book Your Adventure") == [0, 1]
    assert distances("Conquer the Wilde | Book Your Adventure", "Conquer the Wild", "Book Your Adventure") == [1, 0]


def test_where_texts_are_to_stand_alone_separators_count():
    shown = "Conquer the Wild | Book Your Adventure"
    assert sum(distances(shown, "Conquer the Wild", "Book Your Adventure", alone=True)) == 1


def test_a_lone_stroke_between_words_is_a_bar():
    shown = "Conquer the Wild I Book Your Adventure"
    assert distances(shown, "Conquer the Wild | Book Your Adventure") == [0]
    assert found(shown, "Book Your Adventure").texts[0].beside == ("Conquer the Wild |",)


def test_where_the_word_i_is_asked_for_it_is_no_bar():
    assert distances("You and I agree", "You and I agree") == [0]
    assert distances("You and I agree", "You and me agree", "I am here") != [0, 0]
    assert found("Elizabeth I Queen", "Elizabeth I Queen", "Part I").texts[0].read == "Elizabeth I Queen"


def test_a_stroke_inside_a_text_counts():
    assert distances("Book I Your Adventure", "Book Your Adventure") == [1]
    assert distances("I Book Your Adventure", "Book Your Adventure") == [1]
