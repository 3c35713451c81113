"""`qiltest report`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qiltest.cli import common
from qiltest.cli.main import main
from qiltest.runs import Run

Store = Callable[[Path, Run], str]


@pytest.fixture
def root(tmp_path: Path, typical: Run, store: Store) -> Path:
    store(tmp_path / "stored", typical)
    return tmp_path / "stored"


def report(root: Path, *arguments: str) -> int:
    return main(["report", *arguments, "--runs", str(root)])


@pytest.mark.parametrize(("form", "sign"), [("html", "<!doctype html>"), ("md", "# ❌ FAIL"), ("json", '{\n "schema"')])
def test_the_latest_run_is_reported_beside_its_images(root: Path, capsys: Any, form: str, sign: str) -> None:
    assert report(root, "latest", "--format", form) == 0
    (path,) = root.glob(f"*/report.{form}")
    assert path.read_text(encoding="utf-8").startswith(sign)
    out = capsys.readouterr().out
    assert "FAIL: 5 of 8 images do not pass: 3 worse, 1 not judged, 1 new" in out
    assert str(path.resolve()) in out


def test_html_is_the_default_and_the_output_can_be_named(root: Path, tmp_path: Path) -> None:
    assert report(root, "latest", "--output", str(tmp_path / "new" / "morning.html")) == 0
    assert (tmp_path / "new" / "morning.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_output_that_is_a_folder_gets_the_usual_name(root: Path, tmp_path: Path) -> None:
    assert report(root, "latest", "--format", "md", "--output", str(tmp_path)) == 0
    assert (tmp_path / "report.md").is_file()


def test_json_says_what_was_written(root: Path, capsys: Any) -> None:
    assert report(root, "latest", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["format"], said["verdict"], said["headline"]) == (
        "html",
        "FAIL",
        "5 of 8 images do not pass: 3 worse, 1 not judged, 1 new",
    )
    assert Path(said["report"]).is_file()


def test_what_changed_since_an_earlier_run(root: Path, typical: Run, store: Store) -> None:
    first = next(root.iterdir()).name
    second = store(root, typical)
    assert report(root, second, "--previous", first, "--format", "md") == 0
    text = (root / second / "report.md").read_text(encoding="utf-8")
    assert f"## What changed against run {first}" in text
    assert "7 images unchanged." in text


def test_no_such_run_is_used_wrongly_and_says_what_there_is(root: Path, capsys: Any) -> None:
    assert report(root, "nobody") == 2
    assert "no run 'nobody'" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_an_error_and_no_traceback(root: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    assert report(root, "latest", "--output", str(tmp_path / "file" / "report.html")) == 2
    assert "the report could not be written" in capsys.readouterr().err


def test_an_unknown_format_is_used_wrongly(root: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        report(root, "latest", "--format", "pdf")
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("environment", "screen"), [({}, False), ({"DISPLAY": ":0"}, True), ({"WAYLAND_DISPLAY": "w"}, True)]
)
def test_a_browser_is_opened_only_where_there_is_a_screen(environment, screen, monkeypatch):
    opened = []
    monkeypatch.setattr(common.sys, "platform", "linux")
    monkeypatch.setattr(common.webbrowser, "open", opened.append)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    common.open_page(Path("report.html"))
    assert opened == ([Path("report.html").resolve().as_uri()] if screen else [])


@pytest.mark.parametrize("command", [["report", "--bundle"], ["verify"]])
def test_what_takes_one_run_says_so_of_several(root: Path, tmp_path: Path, capsys: Any, command: list[str]) -> None:
    (run,) = (path.name for path in root.iterdir() if path.is_dir())
    assert main([command[0], f"{run}+{run}", *command[1:], "--runs", str(root)]) == 2
    err = capsys.readouterr().err
    assert f"'{run}+{run}' names several runs, and this takes one at a time" in err
    assert (
        "repeat the command for each of them; `qiltest report` (without --bundle) and `qiltest compare` take several"
        in err
    )
    assert main([command[0], "nobody+", *command[1:], "--runs", str(root)]) == 2
    assert "no run 'nobody+'" in capsys.readouterr().err
