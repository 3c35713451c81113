"""Ornaments on both sides of a text."""

import pytest

from builders import line, reading, stack, texts
from qiltest.scoring import score


def scored(wanted, *shown, alone=False):
    return score(texts(wanted), reading(stack(*shown)), alone=alone).texts[0]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("MENU", "- MENU -"),
        ("MENU", "— MENU —"),
        ("MENU", "~ MENU ~"),
        ("MENU", "·MENU·"),
        ("MENU", "»MENU«"),
        ("MENU", "》MENU《"),
        ("数字游民生活", "≈≈数字游民生活 ≈"),
        ("15 SPECIALS", "= 15 SPECIALS ="),
        ("MENU", "～ MENU ～"),
        ("MENU", "｜MENU｜"),
        ("MENU", "— MENU –"),
        ("MENU", "· MENU •"),
    ],
)
def test_the_same_mark_on_both_sides_is_no_part_of_the_text(wanted, shown):
    found = scored(wanted, shown)
    assert (found.distance, len(found.beside)) == (0, 2)
    assert scored(wanted, shown, alone=True).distance > 0


def test_they_may_be_lines_apart():
    found = scored("GRAND OPENING", "— GRAND", "OPENING —")
    assert (found.distance, found.read, found.beside) == (0, "GRAND\nOPENING", ("—", "—"))


@pytest.mark.parametrize(
    ("wanted", "shown", "edits"),
    [
        ("MENU", "MENU -", 1),  # on one side
        ("MENU", "~ MENU =", 2),  # not the same
        ("MENU", "«MENU»", 2),  # brackets that enclose
        ("MENU", "《MENU》", 2),
        ("MENU", '"MENU"', 2),
        ("15", "-15-", 2),  # a sign
        ("¥15", "-¥15-", 2),
        ("usr", "/usr/", 2),  # a path
        ("-MENU-", "-MENU-", 0),  # asked for
        ("-MENU", "-MENU-", 1),
        ("A-B", "-A-B-", 2),  # a mark that the text has
        ("GRAND MENU", "- GRAND MEMU -", 1),  # an error inside
    ],
)
def test_other_marks_and_errors_count(wanted, shown, edits):
    assert scored(wanted, shown).distance == edits


def test_nothing_but_marks_is_no_text():
    assert score(texts("MENU"), reading([line("- -", 0, 0, 90, 40)])).texts[0].distance == 4


def test_two_in_one_row_are_two_ornaments():
    shown = [line("— MENU —", 100, 100, 300, 40), line("— OPEN —", 650, 100, 300, 40)]
    assert score(texts("MENU", "OPEN"), reading(shown)).distance == 0


def test_a_line_of_many_marks_takes_no_time():
    assert scored("MENU", "-" * 3000 + "MENU" + "-" * 3000).distance >= 4
