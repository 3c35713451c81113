"""What a score says beside its distance, what a case's policies change in it, and the messages of what has none."""

import pytest

import builders as make
from builders import FAKE, column, line, reading, stack, texts
from qiltest.errors import CaseError
from qiltest.recipe import Size
from qiltest.scoring import EmptyReadingError, ExtraKind, score, score_case
from qiltest.scoring.records import EditKind
from qiltest.suite.cases import ExpectedText, LineBreaks


def case(*wanted, **fields):
    return make.case("sign", size=Size(1328, 1328), tiny=make.SIZE, texts=wanted, **fields)


def test_a_score_names_its_reader_and_counts_required_characters_alone():
    wanted = [*texts("Hello"), ExpectedText(text="Logo", required=False)]
    found = score(wanted, reading([line("Hello", 100, 100, 200, 40), line("Logo", 100, 900, 160, 40)]))
    assert found.reader == FAKE
    assert found.length == 5
    assert [text.length for text in found.texts] == [5, 4]
    assert [text.required for text in found.texts] == [True, False]
    assert [text.lines for text in found.texts] == [(0,), (1,)]


def test_a_text_that_may_be_missing_costs_nothing_where_it_is_missing():
    wanted = [*texts("Hello"), ExpectedText(text="Logo", required=False)]
    found = score(wanted, reading([line("Hello", 100, 100, 200, 40)]))
    logo = found.texts[1]
    assert (logo.distance, logo.distance_alnum, logo.edits, logo.read, logo.lines) == (0, 0, (), "", ())
    assert (found.distance, found.distance_alnum) == (0, 0)


def test_a_text_that_may_be_missing_is_scored_where_it_is_drawn():
    wanted = [*texts("Hello"), ExpectedText(text="Alibaba", required=False)]
    found = score(wanted, reading([line("Hello", 100, 100, 200, 40), line("Alibabx", 100, 900, 280, 40)]))
    assert (found.texts[1].distance, found.texts[1].distance_alnum, len(found.texts[1].edits)) == (1, 1, 1)
    assert (found.distance, found.distance_alnum) == (1, 1)


def test_a_missing_required_text_costs_all_its_characters_in_both_distances():
    found = score(texts("Hello", "a-b-c"), reading([line("Hello", 100, 100, 200, 40)]))
    assert (found.texts[1].distance, found.texts[1].distance_alnum) == (5, 3)
    assert (found.distance, found.distance_alnum) == (5, 3)
    assert [edit.kind for edit in found.texts[1].edits] == [EditKind.DELETE] * 5


def test_an_extra_counts_its_letters_and_digits_in_the_lenient_distance():
    found = score(
        texts("NOW-HIRING!"), reading([line("NOW-HIRING!", 0, 0, 400, 50), line("NOW-HIRING!", 0, 900, 400, 50)])
    )
    assert [(item.kind, item.distance, item.of, item.line) for item in found.extra] == [
        (ExtraKind.DOUBLED, 11, "NOW-HIRING!", 1)
    ]
    assert (found.distance, found.distance_alnum) == (11, 9)


def test_other_text_is_shown_as_read_and_counts_nothing():
    found = score(texts("Hello"), reading([line("Hello", 100, 100, 200, 40), line("shop 12", 100, 900, 200, 40)]))
    (extra,) = found.extra
    assert (extra.text, extra.kind, extra.line, extra.distance, extra.of) == ("shop 12", ExtraKind.OTHER, 1, 0, "")
    assert (found.distance, found.distance_alnum) == (0, 0)


def test_what_was_read_is_shown_as_read():
    found = score(texts("Hello World"), reading([line("Ｈello  World", 100, 100, 400, 40)]))
    assert found.texts[0].read == "Ｈello  World"
    assert found.distance == 0


def test_a_part_of_a_line_is_shown_without_the_rest_of_the_line():
    found = score(texts("NORTH GATE", "SOUTH GATE"), reading([line("NORTH GATE SOUTH GATE", 100, 100, 800, 40)]))
    assert [text.read for text in found.texts] == ["NORTH GATE", "SOUTH GATE"]
    assert found.distance == 0


def test_layout_is_told_beside_the_edits():
    found = score(texts("3.14-159"), reading(stack("3.14", "159")))
    assert found.texts[0].layout == ("hyphen '-' missing at a line break",)
    assert found.distance == 0


def test_a_case_is_scored_by_its_own_policies():
    wrapped = reading(stack("3.14", "159"))
    wanted = ExpectedText(text="3.14-159")
    assert score_case(case(wanted), wrapped).distance == 0
    assert score_case(case(wanted, line_breaks=LineBreaks.STRICT), wrapped).distance == 1
    alike = reading([line("Hell0", 100, 100, 200, 40)])
    assert score_case(case(ExpectedText(text="Hello")), alike).distance == 1
    forgiving = score_case(case(ExpectedText(text="Hello"), forgiven=("O/0",)), alike)
    assert (forgiving.distance, forgiving.distance_alnum) == (0, 0)
    assert [edit.counted for edit in forgiving.texts[0].edits] == [False]


def test_nothing_read_is_an_error_that_says_what_to_do():
    with pytest.raises(EmptyReadingError) as refused:
        score(texts("Hello"), reading([line("  ", 0, 0, 10, 10)], width=640, height=480))
    assert refused.value.what == "the reader fake returned no text"
    assert refused.value.where == "image of 640x480"
    assert refused.value.remedy == "look at the image: if it shows text, try another reader (--qil-reader)"


def test_an_unknown_look_alike_class_is_an_error_that_names_the_known_ones():
    with pytest.raises(CaseError) as refused:
        score(texts("Hello"), reading([line("Hello", 0, 0, 200, 40)]), forgiven=("x/y", "a/b", "O/0"))
    assert refused.value.what == "unknown look-alike class: 'a/b', 'x/y'"
    assert refused.value.where == "forgiven"
    assert refused.value.remedy.startswith("choose from: c/C, upper/lower, simplified/traditional, I/l/1, O/0, ")


@pytest.mark.parametrize(
    ("wanted", "what"),
    [(texts("Hello", "☺", marks=("☺",)), "nothing to compare in ['☺']"), ([], "no expected text")],
)
def test_nothing_to_compare_is_an_error(wanted, what):
    with pytest.raises(CaseError) as refused:
        score(wanted, reading([line("Hello", 0, 0, 200, 40)]))
    assert refused.value.what == what
    assert refused.value.where == "texts"
    assert refused.value.remedy == "give texts with at least one character that is not optional"


def test_a_line_inside_a_block_that_nobody_took_is_part_of_it():
    block = stack("HAPPY", "MONDAY", "HAIR")
    wanted = texts("HAPPY HAIR")
    found = score(wanted, reading(block))
    assert found.texts[0].read == "HAPPY\nMONDAY\nHAIR"
    assert found.distance == 6


@pytest.mark.parametrize(("confidence", "text"), [(0.2, "MONDAY"), (0.99, "x")])
def test_a_doubtful_or_tiny_line_inside_a_block_is_left_out(confidence, text):
    first, middle, last = stack("HAPPY", text, "HAIR")
    doubtful = line(text, 100, middle.box[0][1], 120, 40, confidence)
    found = score(texts("HAPPY HAIR"), reading([first, doubtful, last]))
    assert found.texts[0].read == "HAPPY\nHAIR"
    assert found.distance == 0


def test_a_column_is_read_downwards():
    found = score(texts("义本生知人机同道"), reading([column("义本生知人机同道", 100, 100)]))
    assert found.distance == 0
