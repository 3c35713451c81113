import pytest

from qiltest.reading.ctc import Character
from qiltest.reading.looks import VIEWS, looked, nearest


def look(text, confidence=0.9):
    return tuple(Character(text=char, confidence=confidence, place=0.5) for char in text)


def text(found):
    return "".join(character.text for character in found)


def scripted(*readings):
    """A line that reads differently from view to view; also how often it was looked at."""
    seen = []

    def read(view):
        seen.append(view)
        return readings[VIEWS.index(view)]

    return read, seen


def test_two_looks_that_agree_are_enough():
    read, seen = scripted(*[look("Qwen")] * len(VIEWS))
    assert text(looked(read)) == "Qwen"
    assert len(seen) == 2


def test_blanks_are_no_disagreement():
    read, seen = scripted(look("per cup"), look("percup"), *[look("x")] * 5)
    assert text(looked(read)) == "per cup"
    assert len(seen) == 2


def test_where_two_differ_all_are_taken_and_most_win():
    read, seen = scripted(look("T≈3"), *[look("π≈3")] * 6)
    assert text(looked(read)) == "π≈3"
    assert len(seen) == len(VIEWS)


def test_no_two_looks_need_to_be_equal():
    assert text(nearest([look("perup"), look("percup"), look("percaup"), look("perp")])) in ("percup", "perup")
    assert text(nearest([look("a1cup"), look("per1up"), look("percup"), look("perc2p")])) == "percup"


def test_a_typo_that_all_looks_see_stays_a_typo():
    read, _ = scripted(*[look("fundational")] * len(VIEWS))
    assert text(looked(read)) == "fundational"


def test_a_typo_that_most_looks_see_stays_a_typo():
    read, _ = scripted(look("foundational"), *[look("fundational")] * 6)
    assert text(looked(read)) == "fundational"


def test_noise_is_looked_at_once():
    read, seen = scripted(look("%7", 0.2), *[look("OPEN")] * 6)
    assert text(looked(read)) == "%7"
    assert len(seen) == 1


def test_of_equally_good_looks_the_surer_is_believed():
    assert text(nearest([look("Il", 0.6), look("II", 0.9)])) == "II"


@pytest.mark.parametrize("looks", [0, len(VIEWS) + 1])
def test_an_impossible_number_of_looks_is_refused(looks):
    from qiltest.errors import ReaderError
    from qiltest.reading import open_reader

    with pytest.raises(ReaderError, match="looks"):
        open_reader("rapidocr", looks=looks)
