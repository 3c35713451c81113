"""The verdict on what an edit changed besides its texts."""

import pytest

from qiltest.gate.change import COLLAPSED, PATCH, SHARE, change_fault, changed_more, collapsed, with_change
from qiltest.gate.golden import GoldenRest
from qiltest.gate.verdict import Judgement, Verdict
from qiltest.quality.change import VERSION, Change

PASSES = Judgement(
    verdict=Verdict.PASS, reasons=(), distance=0, limit=0, golden_distance=0, noise_floor=None
)  # fmt: skip


def change(**fields):
    numbers = {"share": 0.0, "patch": 0.0, "compared": 0.9, "right": 0.0, "down": 0.0, "scale": 1.0, "colour": 0.0}
    return Change(**{"version": VERSION, "layout": 1.0, "may_change": (), "blocks": (), **numbers, **fields})


def rest(share, patch=0.0, version=VERSION):
    return GoldenRest(version=version, share=share, patch=patch)


@pytest.mark.parametrize(
    "fields",
    [{}, {"share": SHARE}, {"patch": PATCH}, {"share": SHARE, "layout": -1.0}, {"share": SHARE, "layout": None}],
)
def test_a_rest_within_the_limits_leaves_the_verdict(fields):
    assert with_change(PASSES, change(**fields), None, gates=True) is PASSES


@pytest.mark.parametrize("fields", [{"share": SHARE + 0.001}, {"patch": PATCH + 0.001}, {"share": float("nan")}])
def test_a_rest_beyond_a_limit_fails_whatever_the_texts_are(fields):
    found = with_change(PASSES, change(**fields), None, gates=True)
    assert found.verdict is Verdict.FAIL
    assert found.reasons[0].startswith(("the rest of the image changed", "collapse"))


def test_the_golden_accepts_as_much_and_a_little_more_by_the_same_measure():
    much = change(share=0.15, patch=0.03)
    assert with_change(PASSES, much, rest(0.12, 0.02), gates=True) is PASSES
    assert with_change(PASSES, much, rest(0.05, 0.02), gates=True).verdict is Verdict.FAIL
    assert with_change(PASSES, much, rest(0.12, 0.02, version=VERSION + 1), gates=True).verdict is Verdict.FAIL
    assert "; 5.0% in the golden" in with_change(PASSES, much, rest(0.05), gates=True).reasons[0]


def test_a_golden_within_the_limits_accepts_nothing_beyond_them():
    assert with_change(PASSES, change(share=0.03, patch=0.03), rest(0.03, 0.01), gates=True).verdict is Verdict.FAIL
    assert with_change(PASSES, change(share=0.05), rest(0.039), gates=True).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "fields", [{"share": COLLAPSED + 0.01}, {"share": 0.25, "layout": 0.3}, {"share": 0.25, "layout": None}]
)
def test_a_collapse_fails_even_where_the_golden_was_one(fields):
    gone = change(**fields)
    found = with_change(PASSES, gone, rest(1.0, 1.0), gates=True)
    assert (found.verdict, found.reasons[0][:9]) == (Verdict.FAIL, "collapse:")
    assert collapsed(gone) == found.reasons[0]


def test_a_layout_that_is_not_defined_is_told_so_and_is_not_taken_for_the_inputs():
    said = change_fault(change(share=0.25, layout=None))
    assert "its layout cannot be compared with the input's: one of them is of one colour" in said
    assert not any(number in said for number in ("1.00", "nan", "None"))
    assert not collapsed(change(share=0.19, layout=None))
    assert "correlates with the input's by 0.30 (0.6 is alike)" in change_fault(change(share=0.25, layout=0.3))


def test_of_too_small_a_rest_no_collapse_is_said():
    assert not collapsed(change(share=1.0, compared=0.05))
    assert change_fault(change(share=1.0, compared=0.05)).startswith("the rest of the image changed")


def test_where_it_does_not_gate_it_is_said():
    found = with_change(PASSES, change(share=0.2), None, gates=False)
    assert found.verdict is Verdict.PASS
    assert found.reasons[0].startswith("not counted: the rest of the image changed")


def test_a_rest_that_was_not_compared_is_an_error():
    assert with_change(PASSES, None, None, gates=True).verdict is Verdict.ERROR


def test_only_a_person_accepts_a_rest_that_changed():
    assert changed_more(change(share=0.2), None)
    assert changed_more(change(), None) == changed_more(None, None) == ""
