"""Where the reader's own error comes from."""

from dataclasses import replace
from pathlib import Path

import pytest

from qiltest.calibration.store import FLOORS, read_floor
from qiltest.errors import StoreError
from qiltest.gate.noise_floor import noise_floor_of
from qiltest.reading import ReaderInfo
from qiltest.suite.load import load_cases

CASES = {case.id: case for case in load_cases(Path(__file__).parents[2] / "cases")}
READER = ReaderInfo(name="rapidocr", engine="standin", version="1", weights_sha256="0" * 64)


def stating(value):
    case = CASES["capybara"]
    return replace(case, limits=replace(case.limits, noise_floor=(("rapidocr", value),)))


@pytest.mark.parametrize("tiny", [True, False])
def test_what_the_case_states_comes_first(tiny):
    assert noise_floor_of(stating(2.5), READER, tiny=tiny) == 2.5


def test_a_reader_that_was_not_calibrated_has_none():
    assert noise_floor_of(CASES["capybara"], READER, tiny=False) is None


def test_the_calibration_of_this_very_reader_is_used_and_not_for_the_embedded_model(monkeypatch):
    held = read_floor("capybara", "rapidocr")
    assert held is not None
    monkeypatch.setattr(ReaderInfo, "fingerprint", held.fingerprint)
    assert noise_floor_of(CASES["capybara"], READER, tiny=False) == held.floor
    assert noise_floor_of(CASES["capybara"], READER, tiny=True) is None


def test_a_damaged_calibration_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "capybara.json").write_text("{")
    monkeypatch.setattr("qiltest.calibration.store.noise_floor.__defaults__", (tmp_path,))
    with pytest.raises(StoreError, match=r"capybara\.json"):
        noise_floor_of(CASES["capybara"], READER, tiny=False)
    assert FLOORS.is_dir()
