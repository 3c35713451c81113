from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from qiltest.report.diff import Mark, Marked, Span, marked
from qiltest.scoring import Edit, EditKind, TextScore
from qiltest.text.normalise import normalise


def scored(expected: str, read: str, *edits: Edit) -> TextScore:
    return TextScore(
        expected=expected,
        read=read,
        distance=len(edits),
        distance_alnum=0,
        length=len(normalise(expected)),
        edits=edits,
        lines=(),
    )


def edit(kind: EditKind, position: int, expected: str, read: str, *, counted: bool = True) -> Edit:
    return Edit(kind=kind, position=position, expected=expected, read=read, counted=counted)


def by_levenshtein(expected: str, read: str) -> TextScore:
    wanted, seen = normalise(expected), normalise(read)
    edits = []
    for op in Levenshtein.editops(wanted, seen):
        kind = {"replace": EditKind.SUBSTITUTE, "insert": EditKind.INSERT, "delete": EditKind.DELETE}[op.tag]
        gone = "" if op.tag == "insert" else wanted[op.src_pos]
        came = "" if op.tag == "delete" else seen[op.dest_pos]
        edits.append(edit(kind, op.src_pos, gone, came))
    return scored(expected, read, *edits)


def differing(spans: tuple[Span, ...]) -> list[str]:
    return [span.text for span in spans if span.mark is Mark.DIFFERS]


def test_a_character_too_many_is_marked_where_it_was_read_and_leaves_a_gap_where_it_was_not_asked() -> None:
    sides = marked(scored("-23846264-", "-238446264-", edit(EditKind.INSERT, 5, "", "4")))
    assert differing(sides.read) == ["4"]
    assert sides.read_positions == (5,)
    assert [(span.text, span.mark, span.other) for span in sides.expected] == [
        ("-2384", Mark.SAME, ""),
        ("", Mark.GAP, "4"),
        ("6264-", Mark.SAME, ""),
    ]


def test_a_missing_character_is_marked_where_it_was_asked_and_leaves_a_gap_in_the_reading() -> None:
    sides = marked(scored("foundational", "fundational", edit(EditKind.DELETE, 1, "o", "")))
    assert differing(sides.expected) == ["o"]
    assert [span.other for span in sides.read if span.mark is Mark.GAP] == ["o"]
    assert sides.read_gaps == (1,)


def test_white_space_and_line_breaks_are_shown_but_not_marked() -> None:
    sides = marked(scored("Hello World", "Hello\nWor1d", edit(EditKind.SUBSTITUTE, 8, "l", "1")))
    assert "".join(span.text for span in sides.read) == "Hello\nWor1d"
    assert differing(sides.read) == ["1"]
    assert [span.text for span in sides.read if span.mark is Mark.LAYOUT] == ["\n"]


def test_a_hyphen_that_layout_added_is_not_marked() -> None:
    sides = marked(scored("53589793", "53589-\n793"))
    assert not differing(sides.read)
    assert "".join(span.text for span in sides.read) == "53589-\n793"


def test_a_hyphen_that_layout_dropped_is_not_put_into_the_reading() -> None:
    sides = marked(scored("53589-793", "53589\n793"))
    assert "".join(span.text for span in sides.read) == "53589\n793"
    assert not differing(sides.read)


def test_the_text_is_shown_as_read_and_not_as_compared() -> None:
    sides = marked(scored("$2 per cup", "＄3 per cup", edit(EditKind.SUBSTITUTE, 1, "2", "3")))
    assert "".join(span.text for span in sides.read) == "＄3 per cup"
    assert differing(sides.read) == ["3"]


def test_a_forgiven_look_alike_is_not_marked_as_differing() -> None:
    sides = marked(scored("Il", "ll", edit(EditKind.SUBSTITUTE, 0, "I", "l", counted=False)))
    assert not differing(sides.read)
    assert sides.read[0].mark is Mark.FORGIVEN
    assert sides.read_positions == ()


def test_a_combining_mark_is_marked_with_its_letter() -> None:
    sides = marked(scored("cafe", "cafe\u0301", edit(EditKind.SUBSTITUTE, 3, "e", "é")))
    assert differing(sides.read) == ["e\u0301"]


def test_nothing_read_marks_all_that_was_asked() -> None:
    edits = [edit(EditKind.DELETE, place, char, "") for place, char in enumerate("通义千问")]
    sides = marked(scored("通义千问", "", *edits))
    assert differing(sides.expected) == ["通义千问"]
    assert sides.read == ()


TEXTS = st.text(alphabet="ab1-＄é龍 \n😊", max_size=12)


def whole(sides: Marked) -> tuple[str, str]:
    return "".join(span.text for span in sides.expected), "".join(span.text for span in sides.read)


@given(TEXTS, TEXTS)
def test_nothing_is_lost_or_added_by_marking(expected: str, read: str) -> None:
    assert whole(marked(by_levenshtein(expected, read))) == (expected, read)


@given(TEXTS, TEXTS)
def test_every_counted_edit_shows_on_a_side(expected: str, read: str) -> None:
    score = by_levenshtein(expected, read)
    sides = marked(score)
    shown = any(span.mark in {Mark.DIFFERS, Mark.GAP} for span in (*sides.expected, *sides.read))
    assert shown == bool(score.edits)


@given(TEXTS, TEXTS)
def test_positions_point_at_the_characters_that_are_marked(expected: str, read: str) -> None:
    sides = marked(by_levenshtein(expected, read))
    marks = "".join(("x" if span.mark is Mark.DIFFERS else ".") * len(span.text) for span in sides.read)
    assert all(marks[position] == "x" for position in sides.read_positions)
