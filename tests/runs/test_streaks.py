"""Since when an image does not pass: streaks over the recorded runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qiltest.report.ci import job_summary
from qiltest.report.since_when import summary_of, terminal_lines, words
from qiltest.runs import Run
from qiltest.runs.history import HistoryEntry, HistorySample, past_of, record
from qiltest.runs.records import Purpose
from qiltest.runs.streaks import FLAKY, Standing, Streak, streaks, streaks_of

SAMPLE = "wall@256x256-base-s42"


def entry(number: int, status: str, *, facts: dict[str, Any] | None = None, **fields: Any) -> HistoryEntry:
    """The record of one run of one image, each of another day."""
    known = {"variant": "base", "distance": 0, "length": 8, "seconds": 1.0, "recipe": "a", "image": f"i{number}"}
    return HistoryEntry(
        schema=3,
        run=f"run-{number:02}",
        started=f"2026-11-{number:02}T02:00:00+00:00",
        model="tiny",
        reader="fake",
        facts={"torch": "2.14.1", **(facts or {})},
        samples={SAMPLE: HistorySample(**{"status": status, "golden": "g", **known, **fields})},
    )


def series(statuses: str) -> list[HistoryEntry]:
    """One run a letter: p passes, f fails, e is an error, w was not judged."""
    names = {"p": "PASS", "f": "FAIL", "e": "ERROR", "w": "WAITING"}
    return [entry(number, names[letter]) for number, letter in enumerate(statuses, start=1)]


def only(entries: list[HistoryEntry]) -> Streak:
    (found,) = streaks_of(entries)
    return found


@pytest.mark.parametrize(
    ("statuses", "standing", "runs", "first", "good"),
    [
        ("pf", Standing.NEW, 1, "run-02", "run-01"),
        ("f", Standing.NEW, 1, "run-01", None),
        ("pfff", Standing.RECURRING, 3, "run-02", "run-01"),
        ("pfef", Standing.RECURRING, 3, "run-02", "run-01"),
        ("ff", Standing.RECURRING, 2, "run-01", None),
        # a run that did not come to judge it says nothing
        ("pfwf", Standing.RECURRING, 2, "run-02", "run-01"),
        ("pffp", Standing.FIXED, 2, "run-02", "run-01"),
        ("fp", Standing.FIXED, 1, "run-01", None),
        ("pfpf", Standing.NEW, 1, "run-04", "run-03"),
    ],
)
def test_a_streak_has_its_length_its_first_bad_and_its_last_good_run(
    statuses: str, standing: Standing, runs: int, first: str, good: str | None
) -> None:
    found = only(series(statuses))
    assert (found.standing, found.runs) == (standing, runs)
    assert found.first_bad is not None
    assert found.first_bad.run == first
    assert (found.last_good.run if found.last_good else None) == good


@pytest.mark.parametrize("statuses", ["", "p", "ppp", "pffpp", "w", "fw"])
def test_what_passes_and_passed_before_or_was_not_judged_has_no_streak(statuses: str) -> None:
    assert streaks_of(series(statuses)) == ()


def test_what_changed_is_named_field_by_field() -> None:
    old = entry(1, "PASS", facts={"commit": "aaaaaaaaaaaa", "driver": "570.1", "device": "NVIDIA H100"})
    new = entry(2, "FAIL", facts={"commit": "bbbbbbbbbbbb", "driver": "580.2", "device": "NVIDIA H100"}, golden="h")
    old = replace(old, variants={"base": {"lora.sha256": "c" * 64}, "8step": {"lora.sha256": "e" * 64}})
    new = replace(new, variants={"base": {"lora.sha256": "d" * 64}, "8step": {"lora.sha256": "f" * 64}})
    later = replace(new, run="run-03", started="2026-11-03T02:00:00+00:00", facts={"torch": "3.0"})
    changed = only([old, new, later]).changed
    assert changed[:2] == ("commit aaaaaaaaaaaa -> bbbbbbbbbbbb", "driver 570.1 -> 580.2")
    assert changed[2].startswith("lora.sha256 cccc")
    assert changed[3:] == ("golden g -> h",)


def test_where_nothing_changed_the_image_says_where_to_look() -> None:
    same = only([entry(1, "PASS", image="x"), entry(2, "FAIL", image="x")])
    assert same.changed[0].startswith("nothing that is recorded; same image, byte for byte")
    assert only(series("pf")).changed == ("nothing that is recorded: same recipe, different image",)
    prompt = only([entry(1, "PASS"), entry(2, "FAIL", recipe="b")])
    assert prompt.changed == ("the recipe, in what the history does not keep (prompt, size)",)


@pytest.mark.parametrize("statuses", [("PASS", "ERROR"), ("ERROR", "PASS")])
def test_an_error_without_an_image_says_nothing_of_recipes(statuses: tuple[str, str]) -> None:
    def night(number: int, status: str) -> HistoryEntry:
        made = status == "PASS"
        facts = {"commit": str(number), "driver": "570.1"}
        known = {"recipe": "a", "image": "i"} if made else {"recipe": "", "image": "", "golden": ""}
        variants = {"base": {"steps": 50, "lora.sha256": "c" * 64}} if made else {}
        return replace(entry(number, status, facts=facts, **known), variants=variants)

    found = only([night(number, status) for number, status in enumerate(statuses, start=1)])
    assert found.changed == ("no image was made, so its recipe is not known", "commit 1 -> 2")


def test_an_image_that_changes_to_and_fro_with_nothing_changed_is_flaky() -> None:
    assert only(series("pfpf")).flips == FLAKY
    assert only(series("pfpf")).flaky
    assert not only(series("pffff")).flaky
    unsteady = only(series("pfpfpp"))
    assert (unsteady.standing, unsteady.first_bad) == (Standing.FLAKY, None)
    # so it does where every time another thing was changed: that is no flake
    other = [replace(one, reader=f"reader-{number}") for number, one in enumerate(series("pfpf"))]
    assert not only(other).flaky
    # and long ago does not count, nor what fails steadily by now
    assert not only(series("pfpfffff")).flaky
    assert only(series("pfpffff")).flaky
    assert streaks_of(series("pfpf" + "p" * 10)) == ()


def test_what_was_accepted_is_good() -> None:
    assert only([*series("pf"), entry(3, "NEW", accepted=True)]).standing is Standing.FIXED
    assert only([entry(1, "NEW")]).standing is Standing.NEW


def test_the_words_say_it_in_one_line() -> None:
    assert words(only(series("f"))) == "first run on record"
    assert words(only(series("pff"))) == (
        "2 runs in a row, first 2026-11-02 (run-02); last good 2026-11-01 (run-01); "
        "changed then: nothing that is recorded: same recipe, different image"
    )
    assert words(only(series("pfffp"))).startswith("passes again after 3 runs in a row; changed then: ")
    assert "flaky: changed 3 times between passing and failing in the last 4 runs" in words(only(series("pfpf")))
    both = (*streaks_of(series("pf")), *streaks_of(series("pff")), *streaks_of(series("pffp")))
    assert summary_of(both) == "1 new, 1 recurring, 1 fixed"


def later(run: Run, day: int, **changes: Any) -> Run:
    started = f"2026-11-{day:02}T02:00:00+00:00"
    return replace(run, id=f"run-{day:02}", path=run.path.parent / f"run-{day:02}", started=started, **changes)


@pytest.fixture
def night(fake: Callable[..., Any], case: Callable[..., Any]) -> Callable[..., Run]:
    """A run of one image on a day, in which this was read; `torch` is its version."""

    def made(day: int, read: str, torch: str = "2.14.1", **changes: Any) -> Run:
        made = fake(case("wall", "text"), name=f"made-{day}")
        result = made.add("wall", "base", read, golden=("text",))
        result = replace(result, recipe=replace(result.recipe, versions=(("torch", torch),)))
        run: Run = later(made.build(results=(result,)), day, **changes)
        record(run)
        return run

    return made


def test_a_night_tells_since_when_in_its_summary_and_on_the_terminal(night: Callable[..., Run]) -> None:
    assert streaks(night(1, "texd")) == (), "where no run is recorded before, nobody knows since when"
    night(1, "text")
    assert streaks(night(2, "text")) == ()
    night(3, "texd", torch="2.15.0")
    fourth = night(4, "texd", torch="2.15.0")
    said = "2 runs in a row, first 2026-11-03 (run-03); last good 2026-11-02 (run-02); "
    said += "changed then: torch 2.14.1 -> 2.15.0"
    assert list(terminal_lines(fourth, most=9)) == ["since when: 1 recurring", f"  recurring {SAMPLE}: {said}"]
    summary = job_summary(fourth)
    assert "## Since when: 1 recurring\n" in summary
    assert "**recurring** wall" in summary


def test_checks_other_models_and_rescored_runs_are_no_part_of_the_series(night: Callable[..., Run]) -> None:
    night(1, "text")
    check = night(2, "texd", purpose=Purpose.CHECK)
    assert streaks(check) == ()
    night(3, "texd", model="Qwen/Qwen-Image")
    fourth = night(4, "texd")
    (found,) = streaks(fourth)
    assert (found.standing, found.runs) == (Standing.NEW, 1)
    assert streaks(replace(fourth, rescored_from="run-01")) == ()


def test_a_run_that_is_recorded_keeps_what_its_images_were_made_by(typical: Run) -> None:
    found = past_of(replace(typical, commit="abcdef123456-dirty", driver="570.1"))
    facts = found.facts_of("coffee-shop@256x256-4step-s42")
    assert (facts["commit"], facts["driver"], facts["device"]) == ("abcdef123456-dirty", "570.1", "A CPU")
    assert facts["lora.sha256"] == "b" * 64
    assert facts["torch"] == "2.14.1"
    assert not {"prompt", "seed", "asked", "effective"} & set(facts)
