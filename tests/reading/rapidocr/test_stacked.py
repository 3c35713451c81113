"""Marks that differ in how many pieces of ink they have."""

import pytest

from qiltest.reading.rapidocr.ctc import Character
from qiltest.reading.rapidocr.stacked import with_marks_counted
from qiltest.reading.rapidocr.strip import Glyph, Strip

WAVES = [(0.0, 0.5, 0.35, 0.5), (0.0, 0.5, 0.6, 0.75)]
DOTS = [(0.2, 0.3, 0.2, 0.3), (0.2, 0.3, 0.45, 0.55), (0.2, 0.3, 0.7, 0.8)]
RING = (0.05, 0.25, 0.15, 0.35)


def counted(text, *pieces, at=1):
    """What a line becomes in which the character at `at` has these pieces of ink and all others are letters."""
    letters = [(0.05, 0.55, 0.15, 0.85)]
    parts = [
        Glyph(left=i + left, right=i + right, top=top, bottom=bottom)
        for i in range(len(text))
        for left, right, top, bottom in (pieces if i == at else letters)
    ]
    characters = [
        Character(text=char, confidence=0.9, place=(i + 0.25) / len(text), alternatives=())
        for i, char in enumerate(text)
    ]
    strip = Strip(length=float(len(text)), parts=tuple(sorted(parts, key=lambda part: (part.left, part.top))))
    return "".join(character.text for character in with_marks_counted(characters, strip))


@pytest.mark.parametrize("wave", "~～〜")
def test_two_waves_over_one_another_are_about_equal(wave):
    assert counted(f"π{wave}3", *WAVES) == "π≈3"


@pytest.mark.parametrize("colon", ":：")
def test_three_dots_over_one_another_are_no_colon(colon):
    assert counted(f"5{colon}A", *DOTS) == "5⋮A"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("5~8", WAVES[:1]),
        ("5~8", [*WAVES, DOTS[0]]),
        ("5~8", [WAVES[0], (0.6, 1.0, 0.6, 0.75)]),
        ("5~8", [WAVES[0], (0.2, 0.3, 0.6, 0.75)]),
        ("5~8", [(0.2, 0.3, 0.1, 0.5), (0.2, 0.3, 0.6, 1.0)]),
        ("5:8", DOTS[:2]),
        ("5:8", [*DOTS[:2], (0.2, 0.3, 0.5, 1.0)]),
        ("5-8", WAVES),
        ("5≈8", WAVES),
    ],
)
def test_other_ink_and_other_marks_stay_as_recognised(text, pieces):
    assert counted(text, *pieces) == text


def test_one_ring_is_read_once():
    assert counted("9°℃", RING) == "9℃"
    assert counted("9°℉", RING) == "9℉"


def test_two_rings_are_read_twice():
    beside = tuple(x + dx for x, dx in zip(RING, (0.3, 0.3, 0, 0), strict=True))
    assert counted("9°℃", RING, beside) == "9°℃"


def test_a_degree_sign_before_another_letter_stays():
    assert counted("9°K", RING) == "9°K"
