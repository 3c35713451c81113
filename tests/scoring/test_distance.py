import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiltest.scoring.distance import align, distance
from qiltest.scoring.records import EditKind
from qiltest.suite.cases import LineBreaks
from qiltest.text.normalise import units

WORDS = st.text(alphabet="abAB1l问间-", max_size=12)


def plain(expected, read, **options):
    return align(units(expected), [read], line_breaks=LineBreaks.STRICT, **options)


@given(WORDS, WORDS)
def test_the_distance_is_levenshtein(a, b):
    assert plain(a, b).distance == distance(a, b)


@given(WORDS, WORDS)
def test_the_distance_is_symmetric(a, b):
    assert plain(a, b).distance == plain(b, a).distance


@given(WORDS, WORDS)
def test_only_equal_texts_have_distance_zero(a, b):
    assert (plain(a, b).distance == 0) == (a == b)


@given(WORDS, WORDS, WORDS)
def test_the_triangle_inequality_holds(a, b, c):
    assert plain(a, c).distance <= plain(a, b).distance + plain(b, c).distance


@given(st.text(alphabet="abcXYZ19", min_size=1, max_size=15), st.text(alphabet="abcXYZ19", max_size=15))
def test_jiwer_finds_the_same_character_error_rate(expected, read):
    # jiwer refuses an empty hypothesis' alignment in some versions; its CER is then 1 by definition.
    assert plain(expected, read).distance / len(expected) == pytest.approx(jiwer.cer(expected, read) if read else 1.0)


@given(WORDS, WORDS)
def test_the_edits_turn_the_expected_text_into_the_read_one(expected, read):
    built, at = "", 0
    for edit in plain(expected, read).edits:
        built += expected[at : edit.position] + edit.read
        at = edit.position + len(edit.expected)
    assert built + expected[at:] == read


@given(WORDS, WORDS)
def test_the_alignment_is_the_same_every_time(expected, read):
    assert plain(expected, read) == plain(expected, read)


def test_an_inserted_digit_is_named_with_its_place():
    (edit,) = plain("23846264", "238446264").edits
    assert (edit.kind, edit.read) == (EditKind.INSERT, "4")
    assert edit.position in (3, 4)


def test_a_missing_letter_is_named_with_its_place():
    (edit,) = plain("foundational", "fundational").edits
    assert (edit.kind, edit.position, edit.expected) == (EditKind.DELETE, 1, "o")


@pytest.mark.parametrize(
    ("expected", "read", "kind"),
    [
        ("Il", "II", "I/l/1"),
        ("20", "2O", "O/0"),
        ("一、", "一,", "、/,"),
        ("龍", "龙", "simplified/traditional"),
        ("问", "间", "问/间"),
        ("World", "world", "c/C"),
        ("Hello", "hello", "upper/lower"),
    ],
)
def test_look_alikes_are_named_and_counted(expected, read, kind):
    found = plain(expected, read)
    assert [edit.look_alike for edit in found.edits] == [kind]
    assert found.distance == 1


def test_a_forgiven_look_alike_is_reported_and_not_counted():
    found = plain("Illusion", "lllusion", forgiven=("I/l/1",))
    assert found.distance == 0
    assert found.distance_alnum == 0
    assert [(edit.look_alike, edit.counted) for edit in found.edits] == [("I/l/1", False)]


def test_a_profile_forgives_nothing_else():
    assert plain("Illusion", "lllusiom", forgiven=("I/l/1",)).distance == 1


def test_a_hyphen_at_a_line_break_is_layout():
    missing = align(units("53589793-23846264"), ["53589793", "23846264"])
    added = align(units("foundational"), ["founda-", "tional"])
    assert (missing.distance, added.distance) == (0, 0)
    assert missing.layout == ("hyphen '-' missing at a line break",)
    assert added.layout == ("extra hyphen '-' at a line break",)


def test_a_hyphen_at_a_line_break_counts_where_line_breaks_are_strict():
    assert align(units("53589793-23846264"), ["53589793", "23846264"], line_breaks=LineBreaks.STRICT).distance == 1


def test_a_hyphen_inside_a_line_counts():
    assert align(units("53589793-23846264"), ["5358979323846264"]).distance == 1


def test_only_one_hyphen_is_free_at_a_line_break():
    assert align(units("foundational"), ["founda--", "tional"]).distance == 1


@pytest.mark.parametrize(
    "read", ["Coffee$2", "Coffee☺$2", "Coffee©$2", "Coffee:)$2", "CoffeeO$2", "Coffee回$2", "Coffee😊$2"]
)
def test_an_optional_mark_may_be_missing_or_read_as_one_odd_glyph(read):
    assert align(units("Coffee😊$2", ["😊"]), [read]).distance == 0


@pytest.mark.parametrize(("read", "distance"), [("Coffeee$2", 1), ("Coffee2", 1), ("Coffe☺$2", 1), ("Coffee☺☺☺2", 1)])
def test_an_optional_mark_hides_no_typo_beside_it(read, distance):
    assert align(units("Coffee😊$2", ["😊"]), [read]).distance >= distance


def test_a_comma_that_is_optional_is_not_read_as_a_ring():
    assert align(units("per cup,", [","]), ["percupO"]).distance == 1
    assert align(units("per cup,", [","]), ["percup."]).distance == 0


def test_decoration_that_nobody_asked_for_is_told_and_not_counted():
    found = align(units("a powerful model"), ["★apowerfulmodel"])
    assert (found.distance, found.layout) == (0, ("decoration '★'",))


def test_decoration_that_was_asked_for_counts():
    assert align(units("★ sale"), ["☆sale"]).distance == 1


def test_the_lenient_distance_ignores_punctuation_and_case():
    found = plain('"anima.cpp"', "Anima.cpp")
    assert (found.distance, found.distance_alnum) == (3, 0)
