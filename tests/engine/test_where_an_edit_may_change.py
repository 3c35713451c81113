"""Where an edit may change the image: at its own texts, and not at others that are like them."""

import builders as make
from qiltest.engine.edits import may_change
from qiltest.scoring import score
from qiltest.suite.cases import EditRules, ExpectedText

SIZE = 1000


def lines(*texts):
    """A reading of texts below each other, 100 pixels apart."""
    return make.reading([make.line(text, 10, 100 * row, 300, 40) for row, text in enumerate(texts)], SIZE, SIZE)


def rows(before, after, *texts, removed=()):
    """The rows of the lines at which the image may change."""
    case = make.case("sign", texts=texts, edit=EditRules(inputs=(), gone=removed))
    found = score(texts, after, gone=removed)
    return [round(box.top * 10) for box in may_change(case, before, after, found)]


def test_it_may_change_where_the_wanted_text_stands_and_where_the_removed_one_stood():
    wanted = ExpectedText(text="OPEN")
    assert rows(lines("Hotel", "SALE"), lines("Hotel", "gone", "OPEN"), wanted, removed=("SALE",)) == [2, 1]


def test_a_wanted_text_that_is_hardly_there_frees_no_other_text_that_was_destroyed():
    wanted = ExpectedText(text="Grand Opening Tomorrow")
    after = lines("Hotel Royal", "Grand Opxxxng Txxxrow")
    assert rows(lines("Hotel Royal"), after, wanted) == [1]
    for destroyed in ("Grand", "Grand Opxxxzz Xoxxxxx"):
        after = lines("Hotel Royal", destroyed)
        assert score([wanted], after).texts[0].lines == (1,)  # matched, for want of a better one
        assert rows(lines("Hotel Royal", "Ground Operator"), after, wanted) == []


def test_a_text_that_stays_is_not_taken_for_the_removed_one_that_is_a_part_of_it():
    kept, wanted = ExpectedText(text="BIG SALE", kept=True), ExpectedText(text="OPEN")
    assert rows(lines("BIG SALE", "SALE"), lines("BIG SALE", "OPEN"), kept, wanted, removed=("SALE",)) == [1, 1]
