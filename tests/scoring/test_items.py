"""The number of a list's item before a Chinese text, told by how far it stands from the text."""

from dataclasses import replace

import pytest

from builders import line, reading, texts
from qiltest.scoring import score

TEXT = "防骗必备"


def numbered(number, gap, text=TEXT, size=40):
    """A line with a number whose last digit is `gap` characters from the text."""
    centres = [0.5 + 0.5 * i for i in range(len(number))]
    centres += [centres[-1] + gap + i for i in range(len(text))]
    length = centres[-1] + 0.5
    shown = line(number + text, 100, 100, length * size, size)
    return replace(shown, places=tuple(centre / length for centre in centres))


def distance(shown, *wanted, alone=False):
    return score(texts(*wanted), reading([shown]), alone=alone).distance


@pytest.mark.parametrize("number", ["3", "12"])
@pytest.mark.parametrize("gap", [1.6, 2.5, 4.0])
def test_a_number_apart_is_no_part_of_the_text(number, gap):
    assert distance(numbered(number, gap), TEXT) == 0


@pytest.mark.parametrize("gap", [0.75, 1.0, 1.4])
def test_one_beside_the_text_is(gap):
    assert distance(numbered("3", gap), TEXT) == 1


def test_longer_numbers_and_numbers_behind_a_text_count():
    assert distance(numbered("123", 2.5), TEXT) == 3
    behind = replace(line("自动布局2", 100, 100, 240, 40), places=(0.08, 0.25, 0.42, 0.58, 0.95))
    assert distance(behind, "自动布局") == 1


def test_a_number_that_is_asked_for_is_part_of_its_text():
    assert distance(numbered("3", 2.5), "3 防骗必备") == 0
    assert distance(numbered("3", 2.5), "4 防骗必备") == 1


def test_a_text_that_is_to_stand_alone_has_no_number():
    assert distance(numbered("3", 2.5), TEXT, alone=True) == 1


@pytest.mark.parametrize("number", ["01 ", "3 "])
def test_white_space_that_was_read_sets_a_number_apart(number):
    assert distance(numbered(number, 0.6), TEXT) == 0
    assert distance(numbered(number, 0.6), f"{number}{TEXT}") == 0


def test_of_two_characters_too():
    assert distance(numbered("3", 2.5, "菜单"), "菜单") == 0


@pytest.mark.parametrize("places", [(0.5,) * 5, (float("nan"),) * 5, (0.9, 0.7, 0.5, 0.3, 0.1)])
def test_places_that_say_nothing_set_nothing_apart(places):
    assert distance(replace(numbered("3", 2.5), places=places), TEXT) == 1


def test_without_places_nothing_is_known():
    assert distance(replace(numbered("3", 2.5), places=()), TEXT) == 1
