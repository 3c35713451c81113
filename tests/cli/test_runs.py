"""`qiltest runs` and `qiltest prune`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qiltest.cli.main import main
from qiltest.runs import RunStore
from qiltest.runs.records import Run

Fake = Callable[..., Any]


@pytest.fixture
def folder(fake: Fake, case: Callable[..., Any], store: Callable[[Path, Run], str], tmp_path: Path) -> Path:
    """A folder of three runs, of which the last has an image without a golden."""
    for number in range(3):
        run = fake(case("wall", "text"), name=f"fake-{number}")
        run.add("wall", "base", "text", golden=("text",) if number < 2 else None)
        store(tmp_path / "runs", run.build(command=("pytest", "-k", "a b", f"--seed={number}")))
    return tmp_path / "runs"


def ids(folder: Path) -> list[str]:
    return [path.name for path in RunStore(root=folder).folders()]


def test_the_runs_are_listed_oldest_first_within_80_columns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs", str(folder)]) == 0
    lines = capsys.readouterr().out.replace("\u00a0", " ").splitlines()
    assert len(lines) == 6
    assert [line[:27].strip() for line in lines[::2]] == ids(folder)
    assert "2026-11-23 02:00  FAIL  1 NEW  " in lines[4]
    assert lines[4].endswith(" kB")
    assert lines[5] == "    pytest -k 'a b' --seed=2"
    assert max(map(len, lines)) <= 80
    assert main(["runs", "--runs", str(folder), "--last", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs", str(folder), "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["run"] for record in records] == ids(folder)
    assert records[2]["counts"] == {"NEW": 1}
    assert records[2]["command"] == ["pytest", "-k", "a b", "--seed=2"]
    assert records[2]["size"] > 1_000


def test_a_folder_without_runs_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--runs", str(tmp_path)]) == 0
    assert "run pytest first" in capsys.readouterr().out
    assert main(["prune", "--runs", str(tmp_path), "--golden", str(tmp_path)]) == 0
    assert "no run to remove" in capsys.readouterr().out


def test_nothing_is_removed_before_somebody_says_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ids(folder)
    words = ["prune", "--runs", str(folder), "--golden", str(tmp_path / "golden"), "--keep", "1"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 run to remove, which frees ")
    assert f"  {before[0]}  2026-11-23 02:00  " in out
    assert "1 newest run and 1 older one stay" in out
    assert f"  {before[1]}: it is the last run of its model that passes" in out
    assert out.endswith("nothing was removed: --remove removes them\n")
    assert ids(folder) == before
    assert main([*words, "--remove"]) == 0
    assert capsys.readouterr().out.endswith("removed 1 run\n")
    assert ids(folder) == before[1:]


def test_the_plan_and_what_was_done_as_json(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = ids(folder)
    words = ["prune", "--runs", str(folder), "--golden", str(tmp_path / "golden"), "--keep", "2", "--json"]
    assert main(words) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["frees"] > 1_000
    assert planned == {"remove": before[:1], "frees": planned["frees"], "newest": 2, "kept": [], "removed": []}
    assert main([*words, "--remove"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == before[:1]


@pytest.mark.parametrize("words", [["--keep", "0"], ["--keep", "-1"], ["--keep", "all"]])
def test_at_least_one_run_is_kept(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["prune", *words])
    assert "--keep" in capsys.readouterr().err
