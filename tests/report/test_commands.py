"""The commands beside an image that does not pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qiltest.gate.latency import LatencyJudgement
from qiltest.report.commands import Commands, commands_for
from qiltest.suite.variants import CANDIDATE

Fake = Callable[..., Any]
Make = Callable[..., Any]
ONE = "--qil-case=wall@256x256 --qil-variant=base --qil-seeds=42,"


@pytest.fixture
def wrong(fake: Fake, case: Make) -> Callable[..., Commands]:
    """The commands for an image with an error, of a run with this command."""

    def found(*command: str, folder: str | None = None) -> Commands:
        run = fake(case("wall", "text"))
        result = run.add("wall", "base", "texd", golden=("text",))
        built = run.build(command=command)
        return commands_for(built if folder is None else replace(built, path=Path(folder) / built.id), result)

    return found


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (("pytest",), "pytest"),
        (("pytest", "tests/report_cases", "-m", "gpu", "-q"), "pytest tests/report_cases -m gpu -q"),
        (("pytest", "--qil-model=Qwen/Qwen-Image", "--qil-offload=group"), None),
        (("pytest", "--qil-case=wall", "--qil-case", "gate", "-x"), "pytest -x"),
        (("pytest", "--qil-seeds", "8", "--qil-variant=base,8step", "--qil-size=256x256"), "pytest"),
        (("pytest", "--qil-update=missing", "--qil-accept", "abcdef123456", "--qil-fresh"), "pytest"),
        (("pytest", "--junitxml=a.xml", "--benchmark-json", "b.json", "--qil-expect=all"), "pytest"),
        (("pytest", "-k", "wall and base", "--qil-runs=a folder"), "pytest -k 'wall and base' '--qil-runs=a folder'"),
    ],
)
def test_an_image_is_generated_again_by_the_runs_own_command_for_it_alone(
    wrong: Callable[..., Commands], command: tuple[str, ...], kept: str | None
) -> None:
    assert wrong(*command).reproduce == f"{kept or ' '.join(command)} {ONE} --qil-fresh"


def test_a_command_that_is_not_pytests_is_repeated_whole(wrong: Callable[..., Commands]) -> None:
    assert wrong("qiltest", "check", "--lora=a b").reproduce == "qiltest check '--lora=a b'"


def test_it_is_accepted_in_a_review_of_its_run_wherever_that_lies(wrong: Callable[..., Commands]) -> None:
    accept = "qiltest review 20261123-020000-abcdef"
    assert wrong("pytest").accept == f"{accept} --case=wall@256x256"
    assert wrong("pytest", folder="/a/my runs").accept == f"{accept} '--runs=/a/my runs' --case=wall@256x256"


def test_a_latency_is_accepted_by_an_update_that_reuses_the_image(
    fake: Fake, case: Make, slow: LatencyJudgement
) -> None:
    run = fake(case("wall", "text"))
    result = run.add("wall", "base", "text", golden=("text",), latency=slow)
    found = commands_for(run.build(command=("pytest", "-m", "gpu", "--qil-fresh")), result)
    assert found.accept == f"pytest -m gpu {ONE} --qil-reuse --qil-update=changed"


def test_what_cannot_be_a_golden_has_no_command_that_makes_it_one(fake: Fake, case: Make) -> None:
    strict = replace(case("gate", "text"), limits=replace(case("gate").limits, absolute=0))
    run = fake(case("wall", "text"), strict)
    over = run.add("gate", "base", "texd")
    lost = run.add("wall", "base", error="the device was lost", image=False)
    garbage = run.add("wall", "8step", "0123", golden=("text",))
    built = run.build()
    assert commands_for(built, over).accept == ""
    assert commands_for(built, over).not_accepted == "distance 1 is above the case's absolute limit 0"
    assert (commands_for(built, lost).accept, commands_for(built, lost).not_accepted) == ("", "")
    assert "without any of its texts" in commands_for(built, garbage).not_accepted
    trial = replace(over, sample=replace(over.sample, variant=CANDIDATE))
    assert commands_for(built, trial).not_accepted == "a candidate LoRA has no golden"
    assert all(commands_for(built, one).reproduce for one in (over, lost, garbage, trial))


def test_an_image_that_passes_or_was_accepted_has_none(fake: Fake, case: Make) -> None:
    run = fake(case("wall", "text"))
    good = run.add("wall", "base", "text", golden=("text",))
    recorded = replace(run.add("wall", "8step", "text"), golden_recorded=True)
    assert commands_for(run.build(), good) == commands_for(run.build(), recorded) == Commands()
