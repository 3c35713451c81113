"""`qiltest calibrate`: what it says in the end; the measurement itself is held by tests/calibration/."""

import pytest

from qiltest.calibration import Floor, Rate
from qiltest.cli import calibrate as verbs_calibrate
from qiltest.cli.main import main


@pytest.fixture
def found(monkeypatch):
    """Typos that the stand-in for the measurement has found, by kind; none until a test plants some."""
    typos = {}
    monkeypatch.setattr(verbs_calibrate, "open_reader", lambda name: None)
    monkeypatch.setattr(verbs_calibrate, "calibrate", lambda case, reader, **_: floor(case.id, typos))
    return typos


def floor(case, typos):
    return Floor(
        case=case,
        reader="fake",
        fingerprint="fake-1",
        pictures=1,
        floor=0.0,
        mean=0.0,
        deviation=0.0,
        percentile_95=0.0,
        largest=0,
        exact_texts=Rate(found=1, of=1),
        typos=typos,
        clean_typos=Rate(found=8, of=8) if typos else Rate(found=0, of=0),
    )


def lines(capsys, folder):
    assert main(["calibrate", "--case=classroom", "--case=coffee-shop", f"--output={folder}"]) == 0
    return capsys.readouterr().out.splitlines()[-3:]


def test_typos_are_summed_over_cases_with_an_interval_and_the_reports_own_apart(found, tmp_path, capsys):
    found |= {"delete": Rate(found=4, of=5), "insert": Rate(found=5, of=5), "report": Rate(found=1, of=1)}
    assert lines(capsys, tmp_path) == [
        "planted typos that raised the distance: 18 of 20 (90.0%; 95 %: 69.9% to 97.2%)",
        "the report's own: 2 of 2 (100.0%; 95 %: 34.2% to 100.0%)",
        "all of these, where the picture without the typo reads at its floor: 16 of 16 (100.0%; 95 %: 80.6% to 100.0%)",
    ]


def test_where_nothing_was_planted_that_is_said(found, tmp_path, capsys):
    assert [line.rpartition(": ")[2] for line in lines(capsys, tmp_path)] == ["none planted"] * 3
