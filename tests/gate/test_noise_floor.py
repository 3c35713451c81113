"""Where the reader's own error comes from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qiltest.calibration.store import floors_of, read_floor
from qiltest.errors import StoreError
from qiltest.gate.judge import noise_floor_of
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
    case = CASES["capybara"]
    held = read_floor("capybara", "rapidocr", floors_of(case))
    assert held is not None
    monkeypatch.setattr(ReaderInfo, "fingerprint", held.fingerprint)
    assert noise_floor_of(case, READER, tiny=False) == held.floor
    assert noise_floor_of(case, READER, tiny=True) is None


def test_every_shipped_case_has_a_floor_and_every_floor_a_case():
    held = {case.id: read_floor(case.id, "rapidocr", floors_of(case)) for case in CASES.values()}
    assert all(held.values())
    files = sorted(path.stem for path in floors_of(CASES["capybara"]).iterdir())
    assert files == sorted(CASES)
    # the rates that docs/measurements/readers.md gives: all 60 typos of the performance report were found
    known = [floor.typos["known"] for floor in held.values() if "known" in floor.typos]
    assert (sum(rate.found for rate in known), sum(rate.of for rate in known)) == (60, 60)


def test_a_damaged_calibration_is_an_error(tmp_path):
    (tmp_path / "floors").mkdir()
    (tmp_path / "floors" / "capybara.json").write_text(json.dumps({"case": "capybara"}))
    case = replace(CASES["capybara"], path=str(tmp_path / "capybara.toml"))
    with pytest.raises(StoreError, match=r"capybara\.json"):
        noise_floor_of(case, READER, tiny=False)
