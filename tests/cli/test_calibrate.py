"""`qiltest calibrate`: what it says and keeps; the measurement itself is held by tests/calibration/."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import qiltest
from qiltest.calibration import Floor, Rate
from qiltest.calibration.store import read_floor, write_floor
from qiltest.cli import calibrate as command
from qiltest.cli.main import main
from qiltest.reading import ReaderInfo

CASES = Path(__file__).parents[2] / "cases"


class FakeReader:
    info = ReaderInfo(name="fake", engine="fake", version="1", weights_sha256="0" * 64)


@pytest.fixture
def found(monkeypatch):
    """Typos that the stand-in for the measurement has found, by kind; none until a test plants some."""
    typos = {}
    monkeypatch.setattr(command, "open_reader", lambda name: FakeReader())
    monkeypatch.setattr(command, "calibrate", lambda case, reader, images, **_: floor(case.id, typos, images))
    return typos


@pytest.fixture
def cases(tmp_path):
    """A folder with two of the suite's cases and no floors."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for name in ("variants", "classroom", "coffee-shop"):
        shutil.copy(CASES / f"{name}.toml", folder)
    return folder


def floor(case, typos, images=1):
    return Floor(
        case=case,
        reader="fake",
        fingerprint=FakeReader.info.fingerprint,
        images=images,
        floor=0.0,
        mean=0.0,
        deviation=0.0,
        percentile_95=0.0,
        largest=0,
        exact_texts=Rate(found=1, of=1),
        typos=typos,
        clean_typos=Rate(found=8, of=8) if typos else Rate(found=0, of=0),
        strokes=Rate(found=1, of=40) if typos else Rate(found=0, of=0),
        glyphs="net-1" if typos else "",
    )


def lines(capsys, cases):
    assert main(["calibrate", f"--cases={cases}"]) == 0
    return capsys.readouterr().out.splitlines()[-5:]


def test_typos_are_summed_over_cases_with_an_interval_and_those_that_the_cases_name_apart(found, cases, capsys):
    found |= {"delete": Rate(found=4, of=5), "insert": Rate(found=5, of=5), "known": Rate(found=1, of=1)}
    assert lines(capsys, cases) == [
        "planted typos detected: 18 of 20 (90.0%; 95 %: 69.9% to 97.2%)",
        "known typos of the cases detected: 2 of 2 (100.0%; 95 %: 34.2% to 100.0%)",
        "all of these, counting only images whose clean version reads at its floor: "
        "16 of 16 (100.0%; 95 %: 80.6% to 100.0%)",
        "whole characters taken for broken: 2 of 80 (2.5%; 95 %: 0.7% to 8.7%)",
        f"written to {cases / 'floors'}: classroom.json, coffee-shop.json",
    ]


def test_where_nothing_was_planted_that_is_said(found, cases, capsys):
    found = [line.rpartition(": ")[2] for line in lines(capsys, cases)[:4]]
    assert found == [*["none planted"] * 3, "none judged"]


def test_floors_are_kept_beside_the_cases_and_never_in_the_package(found, cases):
    package = Path(qiltest.__file__).parent
    before = {path: path.stat().st_mtime_ns for path in package.rglob("*") if "__pycache__" not in path.parts}
    assert main(["calibrate", f"--cases={cases}", "--case=classroom"]) == 0
    assert [path.name for path in (cases / "floors").iterdir()] == ["classroom.json"]
    assert before == {path: path.stat().st_mtime_ns for path in package.rglob("*") if "__pycache__" not in path.parts}


def test_another_folder_is_used_where_it_is_named_and_json_stays_json(found, cases, tmp_path, capsys):
    assert main(["calibrate", f"--cases={cases}", f"--output={tmp_path / 'mine'}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert [each["case"] for each in json.loads(out)] == ["classroom", "coffee-shop"]
    assert err.strip() == f"written to {tmp_path / 'mine'}: classroom.json, coffee-shop.json"
    assert not (cases / "floors").exists()


def test_a_folder_that_cannot_be_written_is_one_line_before_anything_is_measured(
    found, cases, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(command, "calibrate", lambda *_, **__: pytest.fail("measured in vain"))
    (tmp_path / "file").write_text("")
    assert main(["calibrate", f"--cases={cases}", f"--output={tmp_path / 'file' / 'floors'}"]) == 2
    out, err = capsys.readouterr()
    where = tmp_path / "file" / "floors"
    assert out == ""
    assert err == f"qiltest: {where}: cannot be written: Not a directory\n  -> choose another folder: --output FOLDER\n"


def test_a_disk_that_fills_while_it_measures_is_said_too(found, cases, capsys, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qiltest.calibration.store.write_atomically", full)
    assert main(["calibrate", f"--cases={cases}"]) == 2
    assert "floors: cannot be written: No space left on device\n  -> " in capsys.readouterr().err


def test_a_negative_seed_is_wrong_usage(cases, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["calibrate", f"--cases={cases}", "--seed", "-3"])
    assert "argument --seed: -3 is too small; the least is 0" in capsys.readouterr().err


def test_a_floor_of_more_images_is_replaced_on_demand_alone(found, cases, capsys):
    floors = cases / "floors"
    write_floor(floor("classroom", {}, images=12), floors)
    assert main(["calibrate", f"--cases={cases}", "--images=2"]) == 2
    said = f"{floors}: classroom: measured on up to 12 images, now 2\n  -> use --images 12, --output FOLDER"
    assert said in capsys.readouterr().err
    assert read_floor("classroom", "fake", floors).images == 12
    assert not (floors / "coffee-shop.json").exists()
    assert main(["calibrate", f"--cases={cases}", "--images=2", "--force"]) == 0
    assert read_floor("classroom", "fake", floors).images == 2


def test_a_floor_of_as_many_images_or_of_other_weights_is_replaced(found, cases):
    floors = cases / "floors"
    write_floor(floor("classroom", {}, images=2), floors)
    write_floor(replace(floor("coffee-shop", {}, images=12), fingerprint="fake-0"), floors)
    assert main(["calibrate", f"--cases={cases}", "--images=2"]) == 0
    assert read_floor("coffee-shop", "fake", floors).fingerprint == FakeReader.info.fingerprint


def test_strokes_alone_are_added_to_the_floors_that_are_there(found, cases, capsys, monkeypatch):
    assert main(["calibrate", f"--cases={cases}"]) == 0
    before = {name: read_floor(name, "fake", cases / "floors") for name in ("classroom", "coffee-shop")}
    counted = (Rate(found=3, of=500), "net-2")
    monkeypatch.setattr("qiltest.cli.calibrate.strokes_of", lambda case, reader, **_: counted)
    assert main(["calibrate", f"--cases={cases}", "--strokes", "--case", "classroom"]) == 0
    after = read_floor("classroom", "fake", cases / "floors")
    assert after == replace(before["classroom"], strokes=counted[0], glyphs=counted[1])
    assert read_floor("coffee-shop", "fake", cases / "floors") == before["coffee-shop"]
    assert "whole characters taken for broken: 3 of 500 (0.6%; " in capsys.readouterr().out


def test_strokes_alone_need_a_floor_to_be_added_to(found, cases, capsys):
    assert main(["calibrate", f"--cases={cases}", "--strokes"]) == 2
    said = capsys.readouterr().err
    assert "classroom, coffee-shop: no noise floor by this reader to add the strokes to" in said
    assert "leave out --strokes to measure all" in said
