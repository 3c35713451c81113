"""The small rules that matching is made of, each at its bounds."""

import math
from dataclasses import replace

import pytest

from builders import column, line
from qiltest.scoring import assign as assigning
from qiltest.scoring.assign import assign
from qiltest.scoring.chains import relevant
from qiltest.scoring.distance import align
from qiltest.scoring.evidence import Piece
from qiltest.scoring.extras import Taken, extra_of
from qiltest.scoring.geometry import Place, encloses, place_of
from qiltest.scoring.records import EditKind, ExtraKind
from qiltest.scoring.split import Cut, cuts_of, pieces_of
from qiltest.suite.cases import LineBreaks
from qiltest.text.normalise import normalise, units


def place(left=0.0, top=0.0, right=100.0, bottom=20.0, size=20.0):
    return Place(left=left, top=top, right=right, bottom=bottom, size=size, angle=0.0, column=False)


def piece(text, at=None, confidence=0.9, number=0):
    return Piece(text=text, place=at or place(), confidence=confidence, line=number)


BLOCK = [place(), place(top=60, bottom=90, right=200, size=30)]  # 200 x 90


@pytest.mark.parametrize(
    ("x", "y", "size", "inside"),
    [
        (100, 45, 20, True),
        (0, 45, 20, True),
        (200, 45, 20, True),
        (-1, 45, 20, False),
        (201, 45, 20, False),
        (100, 0, 20, True),
        (100, 90, 20, True),
        (100, -1, 20, False),
        (100, 91, 20, False),
        (100, 45, 12.5, True),  # 20 / 1.6
        (100, 45, 12.4, False),
        (100, 45, 48, True),  # 30 * 1.6
        (100, 45, 48.1, False),
    ],
)
def test_a_block_encloses_what_stands_in_it_in_writing_of_its_size(x, y, size, inside):
    other = place(left=x - 5, right=x + 5, top=y - 2, bottom=y + 2, size=size)
    assert encloses(BLOCK, other) is inside


def kind_of(text, wanted, read=None, at=None, confidence=0.9):
    taken = Taken(text=wanted, read=wanted if read is None else read, pieces=(piece(wanted),))
    found = extra_of(piece(text, at, confidence, number=7), text, [taken])
    assert (found.line, found.text) == (7, text)
    assert found.of == ("" if found.kind is ExtraKind.OTHER and found.of == "" else wanted)
    assert found.distance == (0 if found.kind is ExtraKind.OTHER else len(text))
    return found.kind


FAR = place(left=5000, right=5100)


@pytest.mark.parametrize(
    ("text", "wanted", "kind"),
    [
        ("ABCDE", "ABCDE", ExtraKind.DOUBLED),
        ("ABCDx", "ABCDE", ExtraKind.DOUBLED),  # one in five may differ
        ("ABCxx", "ABCDE", ExtraKind.OTHER),
        ("ABCD", "ABCD", ExtraKind.DOUBLED),
        ("ABC", "ABC", ExtraKind.OTHER),  # too little to accuse of
        ("wxyzABCD", "ABCD", ExtraKind.LEAKED),
        ("wxyzABC", "ABC", ExtraKind.OTHER),
        ("ABCDEFGHI", "ABCDEFGHIJKLMNOPQRST", ExtraKind.LEAKED),
        ("ABCDEFGH", "ABCDEFGHIJKLMNOPQRST", ExtraKind.OTHER),  # one common word
        ("ABCDEFGHIx", "ABCDEFGHIJKLMNOPQRST", ExtraKind.LEAKED),
        ("ABCDEFGxxx", "ABCDEFGHIJKLMNOPQRST", ExtraKind.OTHER),
    ],
)
def test_what_nobody_asked_for_is_named_by_how_much_of_a_text_it_holds(text, wanted, kind):
    assert kind_of(text, wanted, at=FAR) is kind


def test_a_fragment_beside_its_text_is_a_repetition_and_elsewhere_a_leak():
    assert kind_of("ABCDEFGHI", "ABCDEFGHIJKLMNOPQRST", at=place(top=30, bottom=50)) is ExtraKind.DOUBLED
    assert kind_of("ABCDEFGHI", "ABCDEFGHIJKLMNOPQRST", at=FAR) is ExtraKind.LEAKED


def test_a_fragment_that_its_text_lacks_is_no_repetition():
    assert kind_of("ABCDEFGHIJ", "ABCDEFGHIJKLMNOPQRST", read="KLMNOPQRST", at=FAR) is ExtraKind.OTHER


@pytest.mark.parametrize(("confidence", "kind"), [(0.5, ExtraKind.DOUBLED), (0.49, ExtraKind.OTHER)])
def test_a_line_is_accused_only_where_the_reader_is_sure(confidence, kind):
    assert kind_of("ABCDE", "ABCDE", at=FAR, confidence=confidence) is kind


def box_of(at):
    return tuple(round(value, 6) for value in (at.left, at.top, at.right, at.bottom))


def parts(read, wanted, at=None):
    made = at or line(read, 100, 50, 600, 30)
    return [
        (
            found.text,
            tuple(round(v, 6) for v in (found.place.left, found.place.top, found.place.right, found.place.bottom)),
        )
        for found in pieces_of(made, read, 3, cuts_of(read, wanted))
    ]


def test_a_line_with_two_signs_is_cut_where_one_ends():
    assert parts("ABCDEFUVWXYZ", ["ABCDEF", "UVWXYZ"]) == [
        ("ABCDEF", (100, 50, 400, 80)),
        ("UVWXYZ", (400, 50, 700, 80)),
    ]


def test_a_column_with_two_signs_is_cut_across():
    tall = column("ABCDUVWXYZ", 100, 50, size=30)  # 300 high
    assert parts("ABCDUVWXYZ", ["ABCD", "UVWXYZ"], tall) == [
        ("ABCD", (100, 50, 130, 170)),
        ("UVWXYZ", (100, 170, 130, 350)),
    ]


def test_a_tilted_line_is_cut_along_its_edges():
    tilted = replace(line("", 0, 0, 1, 1), box=((0, 0), (400, 100), (390, 140), (-10, 40)))
    first, second = pieces_of(tilted, "ABCDUVWX", 3, [Cut(end=4, start=4)])
    assert (first.place.right, second.place.left) == (200, 190)
    assert (first.place.bottom, second.place.top) == (90, 50)
    assert (first.line, first.confidence) == (3, 0.99)


def test_a_cut_needs_every_part_to_be_a_text_of_its_own():
    whole = [("ABCDEFUVWXYZ", (100, 50, 700, 80))]
    assert parts("ABCDEFUVWXYZ", ["ABCDEF"]) == whole
    assert parts("ABCDEFUVWXYZ", ["ABCDEF", "QRSTUV"]) == whole
    assert parts("ABCDEFABCDEF", ["ABCDEF"])[0][0] == "ABCDEFABCDEF"  # twice the same is no second text
    assert parts("ABCDEFUVWXYZ", ["ABCDEF", "UVWXYZ", "ABCDEFUVWXYZ"]) == whole  # one text says it all
    assert parts("AUVWXYZ", ["A", "UVWXYZ"])[0][0] == "AUVWXYZ"  # one character is found everywhere


def test_two_characters_are_enough_of_a_text_to_be_cut_out():
    assert [text for text, _ in parts("ABUVWXYZ", ["AB", "UVWXYZ"])] == ["AB", "UVWXYZ"]


def test_a_cut_allows_for_a_third_wrong_and_takes_the_best_place():
    assert [text for text, _ in parts("ABxDEFUVWXYZ", ["ABCDEF", "UVWXYZ"])] == ["ABxDEF", "UVWXYZ"]
    assert [text for text, _ in parts("ABCDEUVWXYZ", ["ABCDEF", "UVWXYZ"])] == ["ABCDE", "UVWXYZ"]
    assert [text for text, _ in parts("ABxxxFUVWXYZ", ["ABCDEF", "UVWXYZ"])] == ["ABxxxFUVWXYZ"]


def test_three_signs_in_any_order_are_three_pieces():
    assert [text for text, _ in parts("UVWXABCDLMNO", ["ABCD", "LMNO", "UVWX"])] == ["UVWX", "ABCD", "LMNO"]


def test_a_search_that_is_too_long_still_gives_no_piece_twice(monkeypatch):
    monkeypatch.setattr(assigning, "MOST_STATES", 0)
    pieces = [piece("HELLO", number=i, at=place(left=1000 * i, right=1000 * i + 100)) for i in range(2)]
    chains = assign(["HELLO", "HELLO", "HELLO"], pieces)
    assert sorted(chain.pieces for chain in chains) == [(), (0,), (1,)]
    assert sum(chain.cost for chain in chains) == 5000


def test_the_most_similar_lines_are_kept_where_there_are_too_many():
    pieces = [piece("HELLx", number=i) for i in range(28)] + [piece("HELLO", number=28)]
    kept = relevant("HELLO", pieces)
    assert len(kept) == 28
    assert 28 in kept
    assert kept == sorted(kept)
    assert relevant("ABCD", [piece("ABxy"), piece("Axyz")]) == [0]


def aligned(expected, *lines, marks=(), **policy):
    return align(units(expected, marks), [normalise(part) for part in lines], **policy)


def kinds(found):
    return [(edit.kind, edit.position, edit.expected, edit.read) for edit in found.edits]


def test_an_optional_mark_is_told_as_read_or_not_read():
    assert aligned("Hi☺", "Hi", marks=("☺",)).layout == ("optional mark '☺' not read",)
    assert aligned("Hi☺", "Hi*", marks=("☺",)).layout == ("optional mark '☺' read as '*'",)
    assert aligned("Hi☺!", "Hi:)!", marks=("☺",)).layout == ("optional mark '☺' read as ':)'",)
    assert aligned("☺Hi", ":)Hi", marks=("☺",)).layout == ("optional mark '☺' read as ':)'",)


def test_a_ring_or_a_foreign_script_stands_for_a_face_but_not_a_letter_of_the_text():
    assert aligned("Hi☺", "HiO", marks=("☺",)).distance == 0
    assert aligned("Hi☺", "Hi问", marks=("☺",)).distance == 0
    assert aligned("Hi☺", "Hix", marks=("☺",)).distance == 1
    assert aligned("Hi☺", "Hi7", marks=("☺",)).distance == 1  # digits go with letters
    assert aligned("42☺", "42x", marks=("☺",)).distance == 1
    assert aligned("Hi,", "Hix", marks=(",",)).distance == 1  # no pictograph: only a symbol stands for it


def test_a_mark_does_not_count_in_the_lenient_distance_either():
    found = aligned("Hi☺there", "HiOthere", marks=("☺",))
    assert (found.distance, found.distance_alnum) == (0, 0)
    found = aligned("ab☺cd", "abOcx", marks=("☺",))
    assert (found.distance, found.distance_alnum) == (1, 1)


def test_decoration_is_free_unless_the_text_itself_is_decorated():
    assert aligned("Menu", "★Menu").layout == ("decoration '★'",)
    assert aligned("Menu", "★Menu").distance == 0
    assert aligned("★Menu", "★Menu★").distance == 1
    assert aligned("Menu☺", "★Menu", marks=("☺",)).distance == 0


def test_hyphens_are_free_at_each_line_break_and_nowhere_else():
    assert aligned("ab-cd-ef", "ab", "cd", "ef").distance == 0
    assert aligned("abcdef", "ab-", "cd", "-ef").distance == 0
    assert aligned("abcdef", "ab-cd", "ef").distance == 1
    assert aligned("ab-cdef", "ab", "cdef", line_breaks=LineBreaks.LAYOUT).layout == (
        "hyphen '-' missing at a line break",
    )
    assert aligned("abcdef", "abcdef-").distance == 1  # the end is no break


def test_each_edit_is_named_by_kind_and_place():
    assert kinds(aligned("abcdef", "abxdef")) == [(EditKind.SUBSTITUTE, 2, "c", "x")]
    assert kinds(aligned("abcdef", "abdef")) == [(EditKind.DELETE, 2, "c", "")]
    assert kinds(aligned("abcdef", "abcxdef")) == [(EditKind.INSERT, 3, "", "x")]


def test_of_equally_cheap_ways_the_one_with_look_alikes_is_taken():
    found = aligned("x0", "Oy0")  # x-O and an inserted y, or an inserted O and x-y
    assert found.distance == 2
    found = aligned("a0b", "aOcb")
    assert kinds(found) == [(EditKind.SUBSTITUTE, 1, "0", "O"), (EditKind.INSERT, 2, "", "c")]


def test_a_forgiven_look_alike_is_cheaper_than_any_edit_that_counts():
    found = aligned("l0", "10", forgiven=("I/l/1",))
    assert [(edit.look_alike, edit.counted) for edit in found.edits] == [("I/l/1", False)]
    assert (found.distance, found.distance_alnum) == (0, 0)
    found = aligned("l0-x", "10-y", forgiven=("I/l/1",))
    assert (found.distance, found.distance_alnum) == (1, 1)


def test_a_single_letter_is_measured_by_its_larger_side():
    letter = place_of(line("I", 0, 0, 10, 50), 1)
    assert (letter.size, letter.column, letter.angle) == (50, False, 0.0)
    word = place_of(line("II", 0, 0, 10, 50), 2)
    assert (word.size, word.column) == (10, True)
    assert place_of(line("II", 0, 0, 34, 50), 2).column is False


def test_a_quadrilateral_is_measured_by_the_means_of_its_sides():
    row = place_of(replace(line("", 0, 0, 1, 1), box=((5, 0), (45, 0), (49, 10), (5, 20))), 3)
    assert row.size == pytest.approx((20 + math.hypot(4, 10)) / 2)
    assert (row.left, row.top, row.right, row.bottom, row.column) == (5, 0, 49, 20, False)
    tall = place_of(replace(line("", 0, 0, 1, 1), box=((5, 0), (15, 0), (17, 50), (5, 40))), 3)
    assert tall.size == pytest.approx((10 + math.hypot(12, 10)) / 2)
    assert (tall.column, tall.angle) == (True, 0.0)
    tilted = place_of(replace(line("", 0, 0, 1, 1), box=((0, 10), (40, 0), (42, 10), (2, 20))), 3)
    assert tilted.angle == pytest.approx(math.atan2(-10, 40))


def test_a_line_is_cut_across_only_where_it_is_a_column():
    flat = replace(
        line("", 0, 0, 1, 1), box=((100, 50), (140, 50), (140, 109), (100, 109))
    )  # less than 1.5 times as high
    first, second = pieces_of(flat, "ABCDUVWX", 3, [Cut(end=4, start=4)])
    assert (box_of(first.place), box_of(second.place)) == ((100, 50, 120, 109), (120, 50, 140, 109))
    tall = replace(flat, box=((100, 50), (140, 50), (140, 112), (100, 112)))
    first, second = pieces_of(tall, "ABCDUVWX", 3, [Cut(end=4, start=4)])
    assert (box_of(first.place), box_of(second.place)) == ((100, 50, 140, 81), (100, 81, 140, 112))
