"""`qiltest history`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.cli.history import run_history
from qiltest.cli.main import build_parser
from qiltest.runs import Run
from qiltest.runs.history import record


def later(run: Run, name: str) -> Run:
    """The run again, under another id and a later time."""
    return replace(run, id=name, path=run.path.parent / name, started=f"2026-11-24T02:00:{name[-2:]}+00:00")


@pytest.fixture
def command(typical: Run) -> Callable[..., int]:
    def call(*arguments: str) -> int:
        parser = build_parser("history")
        return run_history(parser.parse_args(["history", *arguments, "--runs", str(typical.path.parent)]))

    return call


def test_the_verb_shows_a_case_over_the_runs(typical: Run, command: Callable[..., int], capsys: Any) -> None:
    record(typical)
    record(later(typical, "run-02"))
    assert command("coffee-shop@256x256", "--variant", "base") == 0
    out = capsys.readouterr().out.replace("\u00a0", " ")
    assert out.count("FAIL 1, 12 s") == 2
    assert "classroom" not in out
    assert "8step" not in out


def test_the_verb_gives_json(typical: Run, command: Callable[..., int], capsys: Any) -> None:
    record(typical)
    assert command("coffee-shop", "--json") == 0
    (run,) = json.loads(capsys.readouterr().out)
    assert run["run"] == typical.id
    assert run["samples"]["coffee-shop@256x256-base-s42"]["distance"] == 1
    assert len(run["samples"]) == 3


def test_the_verb_says_what_there_is_where_a_case_is_not(typical: Run, command: Callable[..., int]) -> None:
    from qiltest.errors import StoreError

    with pytest.raises(StoreError, match="no run is recorded"):
        command("coffee-shop")
    record(typical)
    with pytest.raises(StoreError, match="the cases are: classroom, coffee-shop, whiteboard"):
        command("coffee")


def test_a_hostile_id_is_shown_and_does_not_act(hostile: Run, command: Callable[..., int], capsys: Any) -> None:
    record(hostile)
    case = hostile.results[0].sample.case
    assert command(case) == 0
    assert not set("\0\x1b\u202e") & set(capsys.readouterr().out)
