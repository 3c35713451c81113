"""What a join has to be worth: candidates, strain, doubt, each alone and together."""

import math

import numpy as np
import pytest

from qiltest.scoring.evidence import EDIT, FALL, SURE, USUAL, Piece, joints, stand_together
from qiltest.scoring.geometry import Place

LETTER, DIGIT, IDEOGRAPH = math.log2(5), math.log2(10), math.log2(56)


def place(left=0.0, top=0.0, width=100.0, size=20.0):
    return Place(left=left, top=top, right=left + width, bottom=top + size, size=size, angle=0.0, column=False)


def piece(text="abcde", confidence=0.9, **where):
    return Piece(text=text, place=place(**where), confidence=confidence, line=0)


def cost(bits, worth=LETTER):
    """What a join with so many bits against it costs."""
    return math.floor(bits / worth * EDIT) + 1


def joint(*pieces, first=0, second=1):
    costs = joints(pieces)
    assert (costs == costs.T).all()
    return int(costs[first, second])


def test_two_lines_that_stand_as_a_text_does_cost_next_to_nothing():
    assert joint(piece(), piece(top=25)) == 1
    assert joint(piece(), piece(top=50)) == 1  # a gap of one and a half: the usual strain
    assert joint(piece(), piece(top=20, size=50)) == 1  # touching, 2.5 times as large


@pytest.mark.parametrize(
    ("where", "gap"),
    [
        ({"left": 200}, 5),  # to the right
        ({"left": -200}, 5),  # to the left
        ({"top": 120}, 5),  # below
        ({"top": -120}, 5),  # above
        ({"left": 160, "top": 100}, 5),  # 3, 4, 5
        ({"left": 160, "top": 100, "size": 40, "width": 10}, 2.5),  # in the larger writing
    ],
)
def test_a_gap_beyond_the_usual_strain_costs_its_third_power(where, gap):
    ratio = where.get("size", 20) / 20
    assert joint(piece(), piece(**where)) == cost(3 * math.log2((1 + gap) * ratio / 2.5))


def test_a_difference_of_size_is_strain_too():
    assert joint(piece(), piece(top=20, size=100)) == cost(3 * math.log2(5 / 2.5))
    assert joint(piece(top=20, size=100), piece()) == cost(3 * math.log2(5 / 2.5))


def test_a_join_must_be_worth_more_than_the_line_that_says_less_per_character():
    far = {"left": 200}
    bits = 3 * math.log2(6 / 2.5)
    assert joint(piece("12345"), piece("abcde", **far)) == cost(bits, LETTER)
    assert joint(piece("12345"), piece("6789", **far)) == cost(bits, DIGIT)
    assert joint(piece("问问问"), piece("6789", **far)) == cost(bits, DIGIT)
    assert joint(piece("问问问"), piece("问", **far)) == cost(bits, IDEOGRAPH)


def test_every_line_that_stands_as_near_is_a_candidate():
    lines = [piece(), piece(top=40), piece(top=80), piece(top=120)]
    assert joint(*lines) == cost(1)  # the second line has two neighbours
    assert joint(*lines, second=2) == cost(math.log2(3) + 3 * math.log2(4 / 2.5))  # to the third, two are as near
    assert joint(*lines, first=1, second=2) == cost(1)
    assert joint(*lines, second=3) == cost(math.log2(3) + 3 * math.log2(6 / 2.5))


def test_a_doubtful_reading_costs_from_half_a_confidence_down():
    assert joint(piece(confidence=0.5), piece(top=25)) == 1
    assert joint(piece(confidence=0.25), piece(top=25)) == cost(3)
    assert joint(piece(confidence=0.9), piece(top=25, confidence=0.25)) == cost(3)
    assert joint(piece(confidence=0.25), piece(top=25, confidence=0.125)) == cost(6)  # of the less sure line
    assert joint(piece(confidence=0.0), piece(top=25)) == cost(3 * math.log2(50))


def test_what_speaks_against_a_join_adds_up():
    lines = [piece(), piece(top=220, size=40, confidence=0.25), piece(top=-30)]
    strain = (1 + 200 / 40) * 2
    assert joint(*lines) == cost(1 + 3 * math.log2(strain / 2.5) + 3)


def test_no_line_is_joined_to_itself_and_no_lines_have_no_joins():
    costs = joints([piece(), piece(top=25)])
    assert (np.diag(costs) > 30 * EDIT).all()
    assert joints([]).shape == (0, 0)
    assert joints([piece()]).shape == (1, 1)


def test_lines_stand_together_up_to_the_usual_strain():
    assert stand_together(place(), place(top=50))
    assert not stand_together(place(), place(top=50.1))
    assert stand_together(place(), place(top=20, size=50))
    assert not stand_together(place(), place(top=20, size=50.1))


def test_the_constants_are_those_of_the_docstring():
    assert (USUAL, FALL, SURE, EDIT) == (2.5, 3.0, 0.5, 1000)
