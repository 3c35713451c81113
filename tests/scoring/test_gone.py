"""Texts that an edit had to remove: what of them still stands, and what only looks like it."""

import pytest

import builders as make
from qiltest.reading.records import Line, Reading
from qiltest.scoring.gone import left_of
from qiltest.scoring.scorer import score
from qiltest.suite.cases import ExpectedText


def read(*texts):
    """A reading of these lines, one below the other."""
    lines = []
    for row, text in enumerate(texts):
        top, right = 20.0 + 60 * row, 10.0 + 14 * len(text)
        box = ((10.0, top), (right, top), (right, top + 30), (10.0, top + 30))
        lines.append(Line(text=text, box=box, confidence=0.95))
    return Reading(reader=make.FAKE, width=900, height=900, lines=tuple(lines), seconds=0.0)


def left(gone, wanted, *lines):
    """What is read of a text that must be gone, and all that counts against the image."""
    found = score([ExpectedText(text=text) for text in wanted], read(*lines), gone=[gone])
    (one,) = found.gone
    assert one.distance == left_of(gone, one.read)
    return one.read, found.distance


@pytest.mark.parametrize(
    ("gone", "wanted", "lines", "expected"),
    [
        ("SALE 50%", ["SALE 70%"], ["SALE 50%"], ("SALE 50%", 1 + 6)),
        ("SALE 50%", ["SALE 70%"], ["SALE 70%", "SALE 50%"], ("SALE 50%", 7 + 6)),
        ("BIG SALE", ["SALE"], ["BIG SALE"], ("BIG SALE", 3 + 7)),
        ("SALE", ["BIG SALE"], ["BIG SALE", "SALE"], ("SALE", 4)),
        ("BIG", ["SALE"], ["BIG SALE"], ("BIG", 3 + 3)),
        ("HEALTH INSURANCE", ["Tomorrow"], ["Tomorrow", "INSURANCE"], ("INSURANCE", 9)),
        ("HEALTH INSURANCE", ["Tomorrow"], ["Tomorrow", "HEALTH", "INSURANCE"], ("HEALTH\nINSURANCE", 15)),
        ("HEALTH INSURANCE", ["Tomorrow"], ["Tomorrow", "HEALTM INSURAMCE"], ("HEALTM INSURAMCE", 13)),
        ("OK", ["Yes"], ["Yes", "OK"], ("OK", 2)),
        ("HEALTH", ["Tomorrow"], ["Tomorrow", "H. E A. L. T. H."], ("H. E A. L. T. H.", 6)),
    ],
)
def test_a_text_that_still_stands_counts_by_its_characters(gone, wanted, lines, expected):
    assert left(gone, wanted, *lines) == expected


@pytest.mark.parametrize(
    ("gone", "wanted", "lines", "edits"),
    [
        ("SALE 50%", ["SALE 70%"], ["SALE 70%"], 0),
        ("SALE 50%", ["SALE 70%"], ["SALE 60%"], 1),  # as far from the one as from the other
        ("SALE", ["BIG SALE"], ["BIG SALE"], 0),
        ("SALE", ["BIG SALE"], ["SALE"], 3),  # the line is what was found of the wanted text
        ("SALE", ["OPEN 24H"], ["OPEN 24H", "WHOLESALE PRICES"], 0),
        ("OK", ["Yes"], ["Yes", "BOOKS"], 0),
        ("HEALTH INSURANCE", ["Tomorrow will be better"], ["Tomorrow will", "be better"], 0),
        ("通义千问", ["云计算"], ["通义 云计算"], 0),
    ],
)
def test_what_another_text_or_chance_explains_is_no_rest_of_it(gone, wanted, lines, edits):
    assert left(gone, wanted, *lines) == ("", edits)


def test_the_same_lines_without_a_text_to_remove_have_the_same_score():
    texts = [ExpectedText(text="OPEN 24H")]
    plain, with_gone = score(texts, read("OPEN 24H")), score(texts, read("OPEN 24H"), gone=["CLOSED"])
    assert (plain.texts, plain.distance, plain.gone) == (with_gone.texts, with_gone.distance, ())
