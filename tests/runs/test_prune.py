"""Listing runs, and removing old ones that nobody needs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qiltest.comparison.compare import compare_runs
from qiltest.errors import StoreError
from qiltest.report.comparison.page import write_page
from qiltest.runs import RunStore, RunWriter
from qiltest.runs.events import Ended
from qiltest.runs.history import record
from qiltest.runs.listing import list_runs
from qiltest.runs.prune import plan, remove
from qiltest.runs.records import Run, RunState
from qiltest.runs.references import PAGES, pages_of
from qiltest.runs.status import Status

Fake = Callable[..., Any]
Make = Callable[..., Any]
AT = "2026-11-29T00:00:00+00:00"


@pytest.fixture
def nights(fake: Fake, case: Make, store: Callable[[Path, Run], str], tmp_path: Path) -> Callable[..., list[str]]:
    """Writes runs of one image each, whose text is the night's number: `nights(3)`; returns their ids, oldest first."""
    root = tmp_path / "nights"

    def write(amount: int, *, text: str = "night {}", begin: int = 0) -> list[str]:
        made = []
        for number in range(begin, begin + amount):
            run = fake(case("wall", "night"), name=f"fake-{begin}-{number}")
            run.add("wall", "base", text.format(number), golden=("night",))
            made.append(store(root, run.build(command=("pytest", "-m", "gpu"))))
        return made

    return write


@pytest.fixture
def kept(tmp_path: Path) -> RunStore:
    return RunStore(root=tmp_path / "nights")


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    (tmp_path / "golden").mkdir()
    return tmp_path / "golden"


def ids(store: RunStore) -> list[str]:
    return [folder.name for folder in store.folders()]


def pruned(store: RunStore, golden: Path, newest: int) -> list[str]:
    return [run.id for run in remove(plan(store, golden, newest=newest))]


def image_of(store: RunStore, run: str) -> Path:
    (found,) = (store.root / run / "images").iterdir()
    return found


def test_runs_are_listed_with_verdict_counts_size_and_command(kept: RunStore, nights: Callable[..., list[str]]) -> None:
    first, second = nights(2)
    record(kept.load(second))
    listed = list_runs(kept)
    assert [run.id for run in listed] == [first, second]
    for run in listed:  # of one from its events, of the other from the history
        assert (run.status, run.counts, run.images, run.planned) == (Status.FAIL, {Status.FAIL: 1}, 1, 1)
        assert (run.command, run.exit_status, run.state) == (("pytest", "-m", "gpu"), 1, RunState.FINISHED)
        assert run.size == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
        assert not run.active


def test_a_run_that_is_being_written_was_killed_refused_or_damaged_is_listed_as_that(
    kept: RunStore, nights: Callable[..., list[str]]
) -> None:
    killed, refused, damaged, other = nights(4)
    path = kept.root / killed / "events.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:1]))
    lines = (kept.root / refused / "events.jsonl").read_bytes().splitlines(keepends=True)
    (kept.root / refused / "events.jsonl").write_bytes(lines[0])
    with RunWriter(kept.root / refused) as writer:
        writer.append(Ended(at=AT, state=RunState.FINISHED, exit_status=4, problems=("no weights here",)))
    path = kept.root / damaged / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"night", b"nightt", 1))
    path = kept.root / other / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"schema":3', b'"schema":2', 1))
    with RunWriter(kept.root / killed):
        listed = list_runs(kept)
        assert [run.active for run in listed] == [True, False, False, False]
    assert listed[0].state is RunState.UNFINISHED
    assert listed[0].counts == {Status.WAITING: 1}
    assert (listed[1].status, listed[1].problems) == (Status.ERROR, ("no weights here",))
    assert [bool(run.unreadable) for run in listed] == [False, False, True, True]
    assert [run.damaged for run in listed] == [False, False, True, False]


def test_all_but_the_newest_go_whole(kept: RunStore, nights: Callable[..., list[str]], golden: Path) -> None:
    made = nights(5)
    found = plan(kept, golden, newest=2)
    assert [run.id for run in found.remove] == made[:3]
    assert (found.kept, found.newest) == ((), 2)
    assert ids(kept) == made  # a plan changes nothing
    assert [run.id for run in remove(found)] == made[:3]
    assert ids(kept) == made[3:]
    assert sorted(path.name for path in kept.root.iterdir()) == made[3:]
    assert pruned(kept, golden, 2) == []
    assert pruned(kept, golden, 9) == []


def test_of_the_runs_with_a_goldens_image_the_newest_stays(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    first, second = nights(2, text="night")  # the same image
    third, fourth = nights(2, begin=2)
    (golden / "tiny").mkdir()
    named = {"image": image_of(kept, first).stem}
    assert image_of(kept, second).stem == named["image"]
    (golden / "tiny" / "base-s42.json").write_text(json.dumps(named))
    found = plan(kept, golden, newest=1)
    assert [run.id for run in found.remove] == [first, third]
    assert [(kept_.run.id, kept_.why) for kept_ in found.kept] == [(second, "it has a golden's image")]
    assert pruned(kept, golden, 1) == [first, third]
    assert ids(kept) == [second, fourth]
    (golden / "tiny" / "base-s42.json").write_text('{"image": "' + named["image"] + '", damaged')
    assert pruned(kept, golden, 1) == []


def test_nights_without_an_image_push_no_run_out(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    made = nights(7)
    refused = made[1:2] + made[4:]
    for name in refused:
        path = kept.root / name / "events.jsonl"
        opening = path.read_bytes().splitlines(keepends=True)[0]
        path.write_bytes(opening)
        with RunWriter(kept.root / name) as writer:
            writer.append(Ended(at=AT, state=RunState.FINISHED, exit_status=4, problems=("no weights here",)))
    assert [run.id for run in plan(kept, golden, newest=2).remove] == made[:2]
    assert [run.id for run in plan(kept, golden, newest=3).remove] == []
    assert plan(kept, golden, newest=5).remove == ()
    assert pruned(kept, golden, 1) == made[:3]
    assert ids(kept) == made[3:]


def test_the_last_run_that_passes_stays(kept: RunStore, nights: Callable[..., list[str]], golden: Path) -> None:
    _, good = nights(2, text="night")
    nights(3, begin=2)
    found = plan(kept, golden, newest=1)
    assert [(old.run.id, old.why) for old in found.kept] == [(good, "it is the last run of its model that passes")]
    assert len(found.remove) == 3
    assert good not in [run.id for run in found.remove]


def test_a_golden_whose_image_a_newest_run_has_keeps_no_older_one(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    first, _ = nights(2, text="night")
    (golden / "base-s42.json").write_text(json.dumps({"image": image_of(kept, first).stem}))
    assert pruned(kept, golden, 1) == [first]


def test_goldens_that_cannot_be_read_keep_everything(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    made = nights(2)
    os.mkfifo(golden / "base-s42.json")
    with pytest.raises(StoreError, match="the goldens cannot be read"):
        plan(kept, golden, newest=1)
    assert ids(kept) == made


def test_runs_that_a_page_elsewhere_links_to_stay_as_long_as_it_exists(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path, tmp_path: Path
) -> None:
    first, second, _ = nights(3)
    before, after = kept.load(first), kept.load(second)
    page = tmp_path / "page.html"
    write_page(compare_runs(before, after), before, after, page)
    write_page(compare_runs(before, after), before, after, page)
    assert (kept.root / first / PAGES).read_text() == f"{page}\n"
    assert pages_of(kept.root / first) == pages_of(kept.root / second) == (page,)
    found = plan(kept, golden, newest=1)
    assert [kept_.why for kept_ in found.kept] == [f"a page links to its images: {page}"] * 2
    page.write_text("another page")
    assert pages_of(kept.root / first) == ()
    page.unlink()
    assert pruned(kept, golden, 1) == [first, second]


def test_a_page_in_a_runs_own_folder_keeps_the_other_run(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    first, second, _ = nights(3)
    before, after = kept.load(first), kept.load(second)
    write_page(compare_runs(before, after), before, after, kept.root / second / "comparison.html")
    assert not (kept.root / second / PAGES).exists()
    assert [kept_.run.id for kept_ in plan(kept, golden, newest=2).kept] == [first]
    assert pruned(kept, golden, 1) == [second]
    assert pruned(kept, golden, 1) == [first]  # its page went with the other


def test_what_is_written_put_there_or_damaged_stays_and_another_version_goes(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path, tmp_path: Path
) -> None:
    linked, damaged, other, last = nights(4)
    path = kept.root / damaged / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b"night", b"nightt", 1))
    path = kept.root / other / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"schema":3', b'"schema":2', 1))
    (kept.root / "mine").mkdir()
    (kept.root / "mine" / "events.jsonl").write_bytes((kept.root / last / "events.jsonl").read_bytes())
    away = tmp_path / "away"
    (kept.root / linked).rename(away)
    (kept.root / linked).symlink_to(away)
    reasons = {kept_.run.id: kept_.why for kept_ in plan(kept, golden, newest=1).kept}
    assert set(reasons) == {"mine", linked, damaged}
    assert "put here" in reasons["mine"]
    assert "put here" in reasons[linked]
    assert "it cannot be read: " in reasons[damaged]
    assert pruned(kept, golden, 1) == [other]
    assert away.is_dir()
    with RunWriter(kept.root / last):
        nights(1, begin=9)
        assert pruned(kept, golden, 1) == []
    assert pruned(kept, golden, 1) == [last]


def test_a_run_that_is_written_again_after_the_plan_is_left_alone(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    first, _ = nights(2)
    found = plan(kept, golden, newest=1)
    with RunWriter(kept.root / first):
        assert list(remove(found)) == []
    assert first in ids(kept)


def test_what_a_killed_removal_left_goes_with_the_next_one_and_a_link_is_not_followed(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path, tmp_path: Path
) -> None:
    first, _ = nights(2)
    (kept.root / first).rename(kept.root / f".removed-{first}")
    away = tmp_path / "away"
    away.mkdir()
    (away / "events.jsonl").write_text("mine")
    (kept.root / ".removed-x").symlink_to(away)
    nights(1, begin=5)
    pruned(kept, golden, 1)
    assert not (kept.root / f".removed-{first}").exists()
    assert (away / "events.jsonl").read_text() == "mine"


def test_shared_images_are_freed_only_with_the_last_run_that_has_them(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path
) -> None:
    first, second, third = nights(3, text="night")
    for other in (second, third):
        image_of(kept, other).unlink()
        os.link(image_of(kept, first), kept.root / other / "images" / image_of(kept, first).name)
    size = image_of(kept, first).stat().st_size
    some, all_but_one = (plan(kept, golden, newest=newest) for newest in (2, 1))
    assert some.frees == some.remove[0].size - size
    assert all_but_one.frees == sum(run.size for run in all_but_one.remove) - 2 * size
    nights(1, begin=7, text="night")
    everything = plan(kept, golden, newest=1)
    assert everything.frees == sum(run.size for run in everything.remove) - 2 * size


def test_a_run_that_cannot_be_removed_is_one_error(
    kept: RunStore, nights: Callable[..., list[str]], golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights(2)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="the run cannot be removed: Permission denied"):
        pruned(kept, golden, 1)
