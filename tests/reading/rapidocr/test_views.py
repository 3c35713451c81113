import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiltest.reading.rapidocr.ctc import Character, Recognition
from qiltest.reading.rapidocr.views import DOUBT, MISSED, NOISE, VIEWS, looked, nearest


def look(text, confidence=0.9, missed=0.0):
    return Recognition(
        characters=tuple(Character(text=char, confidence=confidence, place=0.5) for char in text), missed=missed
    )


def believed(read):
    return looked(read)[0].text


def middle(looks):
    return looks[nearest(looks)].text


def scripted(*readings):
    """A line that reads differently from view to view; also how often it was looked at."""
    seen = []

    def read(view):
        seen.append(view)
        return readings[VIEWS.index(view)]

    return read, seen


def test_a_sure_line_is_looked_at_once():
    read, seen = scripted(*[look("Qwen", DOUBT)] * len(VIEWS))
    assert believed(read) == "Qwen"
    assert len(seen) == 1


def test_a_line_with_one_doubtful_character_is_looked_at_again():
    sure, doubtful = look("Qwe", 0.999).characters, look("n", DOUBT - 0.01).characters
    read, seen = scripted(Recognition(characters=sure + doubtful), *[look("Qwen")] * 6)
    assert believed(read) == "Qwen"
    assert len(seen) == 2


def test_a_sure_line_in_which_a_character_was_nearly_read_is_looked_at_again():
    read, seen = scripted(look("20245", 1.0, missed=MISSED + 0.01), *[look("2024.5", 1.0)] * 6)
    assert believed(read) == "2024.5"
    assert len(seen) == 5


def test_blanks_are_no_disagreement():
    read, seen = scripted(look("per cup"), look("percup"), *[look("x")] * 5)
    assert believed(read) == "per cup"
    assert len(seen) == 2


def test_where_two_differ_more_are_taken_until_more_than_half_of_all_agree():
    read, seen = scripted(look("T≈3"), *[look("π≈3")] * 6)
    assert believed(read) == "π≈3"
    assert len(seen) == 5


@given(st.lists(st.text("ab1", min_size=0, max_size=4), min_size=len(VIEWS), max_size=len(VIEWS)))
def test_stopping_early_never_changes_what_is_believed(texts):
    looks = [look(text) for text in texts]
    read, _ = scripted(*looks)
    if looks[0].characters and looks[0].spelling != looks[1].spelling:
        assert looked(read)[0].spelling == looks[nearest(looks)].spelling


def test_the_view_of_the_look_believed_is_told():
    read, _ = scripted(look("T≈3"), *[look("π≈3")] * 6)
    assert looked(read)[1] is VIEWS[1]


def test_no_two_looks_need_to_be_equal():
    assert middle([look("perup"), look("percup"), look("percaup"), look("perp")]) in ("percup", "perup")
    assert middle([look("a1cup"), look("per1up"), look("percup"), look("perc2p")]) == "percup"


def test_a_typo_that_all_looks_see_stays_a_typo():
    read, _ = scripted(*[look("fundational")] * len(VIEWS))
    assert believed(read) == "fundational"


def test_a_typo_that_most_looks_see_stays_a_typo():
    read, _ = scripted(look("foundational"), *[look("fundational")] * 6)
    assert believed(read) == "fundational"


def test_noise_is_looked_at_once():
    read, seen = scripted(look("%7", NOISE - 0.01), *[look("OPEN")] * 6)
    assert believed(read) == "%7"
    assert len(seen) == 1


def test_of_equally_good_looks_the_surer_is_believed():
    assert middle([look("Il", 0.6), look("II", 0.9)]) == "II"


@pytest.mark.parametrize("looks", [0, len(VIEWS) + 1])
def test_an_impossible_number_of_looks_is_refused(looks):
    from qiltest.errors import ReaderError
    from qiltest.reading import open_reader

    with pytest.raises(ReaderError, match="looks"):
        open_reader("rapidocr", looks=looks)
