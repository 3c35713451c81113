"""`qiltest check --images NEW --against OLD`, and `qiltest compare` over the runs that it leaves."""

import json

import pytest

import qiltest.reading
from images_elsewhere import TEXTS, NotedReader, make, make_all
from qiltest.cli.main import main
from qiltest.runs import RunStore
from standin_suite import write_suite

SEEDS = range(42, 46)
TYPOS = {"2 dollars": "3 dollars", "Enter a world": "Enter a word"}
SAMPLES = [f"{case}@1328x1328-fast-s{seed}" for case in TEXTS for seed in SEEDS]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A suite's folder with the images `old` of two cases and four seeds; `new` is empty."""
    monkeypatch.chdir(tmp_path)
    write_suite(tmp_path)
    monkeypatch.setattr(qiltest.reading, "open_reader", lambda _: NotedReader(tmp_path))
    make_all(tmp_path / "old", notes=tmp_path, samples=SAMPLES)
    return tmp_path


def assert_ends_with(code, *args):
    assert main(["check", "--images=new", "--against=old", "--model=tiny", "--margin=0.05", *args]) == code


def test_a_folder_that_writes_as_well_ships_and_one_that_does_not_does_not(folders, capsys):
    make_all(folders / "new", notes=folders, maker="new", samples=SAMPLES)
    assert_ends_with(0)
    said = capsys.readouterr().out
    assert "SHIP: no worse (within the margin of 5 edits per 100 characters)" in said
    assert "8 images of new" in said
    assert "not checked: weights, LoRA" in said
    make_all(folders / "new", notes=folders, maker="new", samples=SAMPLES, typos=TYPOS)
    assert_ends_with(1, "--json")
    record = json.loads(capsys.readouterr().out)
    assert record["verdict"] == "DO NOT SHIP"
    (comparison,) = record["comparisons"]
    assert (comparison["losses"], comparison["ties"], comparison["wins"]) == (8, 0, 0)
    old, new = record["runs"]
    assert main(["compare", old, new, "--case=poster"]) == 1  # four images are too few
    assert "CANNOT TELL" in capsys.readouterr().out
    assert (folders / "runs" / new / "comparison.html").is_file()
    models = [RunStore(root=folders / "runs").load(run).model for run in (old, new)]
    assert models == ["elsewhere/old", "elsewhere/new"]


def test_a_copy_of_the_old_folder_does_not_ship(folders, capsys):
    make_all(folders / "new", notes=folders, samples=SAMPLES)
    assert_ends_with(1)
    said = capsys.readouterr().out
    assert "note   8 of 8 images have the same pixels in both folders" in said
    assert "ERROR: " in said
    assert "all 8 images have the same pixels in both folders: one is a copy of the other" in said


def test_half_a_folder_does_not_ship(folders, capsys):
    make_all(folders / "new", notes=folders, maker="new", samples=SAMPLES[:4])
    assert_ends_with(1)
    said = capsys.readouterr().out
    assert "ERROR" in said
    listed = [line for line in said.splitlines() if line.endswith(f"{SAMPLES[-1]}: missing: no file {SAMPLES[-1]}.png")]
    assert len(listed) == 1
    assert "⏎" not in said
    assert_ends_with(1, "--case=coffee")  # a choice that somebody made: nothing is missing, but four images are too few
    assert "CANNOT TELL" in capsys.readouterr().out


def test_a_file_too_many_does_not_ship(folders, capsys):
    make_all(folders / "new", notes=folders, maker="new", samples=SAMPLES)
    make_all(folders / "new", notes=folders, samples=SAMPLES[:1])
    make(folders / "new" / "grid.png", "all of them", notes=folders)
    assert_ends_with(1)
    said = capsys.readouterr().out
    assert "grid.png: no sample of the suite is called 'grid'" in said
    assert "and yet exit code 1" in said
    assert "note   1 of 8 images have the same pixels in both folders" in said


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--images=new",), "need each other"),
        (("--images=old", "--against=old"), "both folders are the same"),
        (("--images=new", "--against=old", "--lora=x.safetensors"), "--lora is for images that are generated here"),
        (("--images=new", "--against=old", "--seeds=3"), "--seeds is for images that are generated here"),
        (("--images=new", "--against=gone"), "gone: no such folder of images"),
        (("--images=new", "--against=old", "--variant=slow"), 'no variant is called "slow"'),
        (("--images=new", "--against=old", "--variant=base"), "neither folder has an image of what is selected"),
        ((), "which release is to be checked?"),
        (("--lora=x.safetensors", "--like=fast", "--variant=fast"), "--variant is for --images"),
    ],
)
def test_wrong_usage_says_what_to_give(folders, capsys, args, said):
    (folders / "new").mkdir()
    assert main(["check", *args]) == 2
    assert said in capsys.readouterr().err
    assert not (folders / "runs").exists()
