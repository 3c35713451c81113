"""Trials with decoys: readings without them are exact, decoys hold no piece of a text, and trials repeat."""

import random
from pathlib import Path

import pytest
from decoy_trials.errors import planted
from decoy_trials.layout import score_of, true_lines
from decoy_trials.lines import KINDS, decoys, holds_piece
from decoy_trials.trials import TAKEN, decoy_trials
from decoys import summary, table

from qiltest.suite.load import load_cases
from qiltest.text.normalise import normalise

CASES = {case.id: case for case in load_cases(Path(__file__).parents[2] / "cases")}


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_reading_that_a_trial_starts_from_is_exact(name):
    assert score_of(CASES[name], true_lines(CASES[name], random.Random(1))).distance == 0


@pytest.mark.parametrize(
    ("text", "wanted", "holds"),
    [
        ("通义生物", "通义千问", True),
        ("大千世界", "通义千问", False),
        ("cloud nine", "Launching in the Cloud", True),
        ("the end", "Launching in the Cloud", False),
        ("3.1415", "π≈3.1415926", True),
        ("26%", "π≈3.1415926", False),
    ],
)
def test_a_run_of_four_letters_or_two_ideographs_is_a_piece(text, wanted, holds):
    assert holds_piece(text, wanted) is holds


@pytest.mark.parametrize("kind", KINDS)
def test_decoys_hold_no_piece_and_cover_no_line(kind):
    case, rng = CASES["coffee-shop"], random.Random(5)
    left = true_lines(case, rng)
    added = list(decoys(CASES, case, kind, left, left[0].line, rng))
    assert added
    for item in added:
        assert item.text == -1
        assert not any(holds_piece(item.line.text, text.text) for text in case.texts)
        (x1, y1), _, (x2, y2), _ = item.line.box
        for other in left:
            (a1, b1), _, (a2, b2), _ = other.line.box
            assert not (x1 < a2 and x2 > a1 and y1 < b2 and y2 > b1)


def test_trials_repeat_and_cover_all_that_is_asked():
    first = list(decoy_trials(CASES, "capybara", 1, seed=3))
    assert first == list(decoy_trials(CASES, "capybara", 1, seed=3))
    assert {(each["kind"], each["taken"]) for each in first} == {(kind, taken) for kind in KINDS for taken in TAKEN}


def test_planted_errors_differ_from_the_text_and_are_counted():
    errors = list(planted(CASES["pi-number"], seed=3, rounds=1))
    assert len(errors) >= 7
    assert all(normalise(error["wrong"]) != normalise(error["text"]) for error in errors)
    found = {"case": "pi-number", "decoys": list(decoy_trials(CASES, "pi-number", 1, seed=3)), "planted": errors}
    result = summary([found])
    assert result["decoys"]["all"]["joined"]["of"] == len(KINDS) * len(TAKEN)
    assert result["planted"]["all"]["of"] == len(errors)
    assert "pi" not in table(result).splitlines()[0]
