"""Runs of other users, of read-only mounts, and of a clock that was wrong: said in one line, and in nobody's way."""

import errno
import fcntl
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qiltest.errors import StoreError
from qiltest.runs import Reuse, RunState, RunStore, load_run
from qiltest.runs import store as storing
from qiltest.runs.images import ImageState, check_image
from qiltest.runs.store import is_active, usable
from qiltest.runs.writer import LOCK


@pytest.fixture
def store(tmp_path):
    return RunStore(root=tmp_path / "runs")


@pytest.fixture
def forbid(monkeypatch):
    """Let no file of these names be opened, as if they were another user's."""

    def closed(*names):
        real = os.open

        def opened(path, *args, **kwargs):
            if Path(path).name in names:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr("qiltest.files.os.open", opened)

    return closed


def named(store, make, moment, state=None):
    """A run of one image whose id says that it began then."""
    with store.create() as writer:
        pass
    make.write(storing.RunWriter(writer.folder), range(1), state)
    return writer.folder.rename(store.root / f"{moment:%Y%m%d-%H%M%S-%f}-abcd")


def test_a_lock_is_only_read(store, make):
    make.write(store.create(), range(1), None)
    folder = store.folders()[0]
    (folder / LOCK).chmod(0o444)
    assert not is_active(folder)
    with (folder / LOCK).open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert is_active(folder)
    (folder / LOCK).unlink()
    assert not is_active(folder)
    assert not (folder / LOCK).exists()


def test_a_lock_of_another_user_is_said_in_one_line_and_other_runs_are_offered(store, make, forbid):
    for number in range(2):
        make.write(store.create(), range(number + 1), None)
    forbid(LOCK)
    offer = store.offer(Reuse.UNFINISHED)
    assert offer.images == {}
    folder = store.folders()[0]
    assert offer.problems[0] == (
        f"{folder / LOCK}: the run's lock cannot be read: Permission denied\n"
        "  -> make the file readable, or move the run's folder away"
    )


def test_a_run_with_its_reports_needs_no_lock(store, make, forbid):
    make.write(store.create(), range(2))
    forbid(LOCK)
    offer = store.offer(Reuse.ANY)
    assert len(offer.images) == 2
    assert offer.problems == ()


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_lock_that_is_no_file_is_said_and_not_waited_for(store, make, kind):
    make.write(store.create(), range(1), None)
    path = store.folders()[0] / LOCK
    path.unlink()
    os.mkfifo(path) if kind == "fifo" else path.mkdir()
    what = "Not a regular file" if kind == "fifo" else "Is a directory"
    with pytest.raises(StoreError, match=re.escape(f"{path}: the run's lock cannot be read: {what}")):
        is_active(path.parent)


def test_an_image_that_may_not_be_read_is_an_error_of_its_sample_and_said_where_it_is_reused(store, make, forbid):
    make.write(store.create(), range(2), None)
    victim = load_run(store.folders()[0]).results[0].image
    forbid(victim.path.name)
    loaded = load_run(store.folders()[0])
    assert loaded.results[0].error == f"the stored image {victim.path} cannot be read, or is no plain file"
    assert loaded.results[1].error == ""
    stored = store.offer(Reuse.ANY).images[make.recipe().key()]
    with pytest.raises(StoreError, match="cannot be read, or is no plain file"):
        usable(stored)
    assert store.find_image(victim.sha256) is None


def test_a_damaged_image_that_cannot_be_moved_away_is_said_and_stays(store, make, monkeypatch):
    make.write(store.create(), range(1), None)
    (victim,) = (store.folders()[0] / "images").iterdir()
    victim.write_bytes(b"damaged")

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.mkdir", read_only)
    assert check_image(store.folders()[0], victim.stem) is ImageState.DAMAGED
    error = load_run(store.folders()[0]).results[0].error
    assert error == (
        f"the bytes of the stored image {victim.name} do not match its name; it cannot be moved away from "
        f"{victim.parent}"
    )
    with pytest.raises(StoreError, match="do not match its name"):
        usable(store.offer(Reuse.ANY).images[make.recipe().key()])


def test_an_image_behind_a_link_is_taken_over_itself(store, make, tmp_path):
    make.write(store.create(), range(1), None)
    (image,) = (store.folders()[0] / "images").iterdir()
    elsewhere = image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(elsewhere)
    with store.create() as second:
        second.link(image, image.stem)
    elsewhere.unlink()
    assert second.image(image.stem).read_bytes() == make.png()


def test_a_run_of_the_far_future_is_resumed_once_and_never_the_latest(store, make):
    future = named(store, make, datetime.now(UTC) + timedelta(days=365 * 70))
    key = make.recipe().key()
    assert store.offer(Reuse.UNFINISHED).images[key].run == future
    make.write(store.create(), range(1))
    assert store.find("latest") != future
    assert store.folders()[0] == future
    # the run that has finished with its images is the newer one, whatever the ids say
    assert store.offer(Reuse.UNFINISHED).images == {}
    assert store.offer(Reuse.ANY).images[key].run == store.folders()[1]


def test_after_a_clock_was_set_back_a_little_runs_still_follow_each_other(store, make):
    ahead = named(store, make, datetime.now(UTC) + timedelta(hours=1))
    ids = []
    for _ in range(3):
        with store.create() as writer:
            ids.append(writer.id)
            make.write(writer, range(1))
    assert [folder.name for folder in store.folders()] == [ahead.name, *ids]
    assert store.find("latest").name == ids[-1]
    assert store.offer(Reuse.UNFINISHED).images == {}
    assert all(name[:15] == ahead.name[:15] for name in ids)


def test_a_run_ahead_of_the_clock_by_more_than_a_day_does_not_lead_the_others_astray(store, make):
    named(store, make, datetime.now(UTC) + timedelta(hours=25))
    with store.create() as writer:
        told = datetime.strptime(writer.id[:22], "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
    assert abs(told - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_folder_of_another_name_is_not_the_latest_where_there_are_runs(store, make):
    make.write(store.create(), range(1))
    own = store.folders()[0]
    for name in ("zzz", "20991399-999999-999999-abcd", "20261130-001122-081367-a5d2-copy"):
        (store.root / name).symlink_to(own, target_is_directory=True)
    assert store.find("latest") == own
    assert len(store.folders()) == 4
    assert store.find("zzz") == store.root / "zzz"


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\0b", "..", "/", "~", "*"])
def test_a_name_that_no_run_can_have_finds_none(store, make, name):
    make.write(store.create(), range(1))
    with pytest.raises(StoreError, match="no run ") as error:
        store.find(name)
    assert len(error.value.what) < 120


@pytest.mark.parametrize(
    ("state", "reported", "offered"),
    [
        (RunState.FINISHED, True, 0),
        (RunState.FINISHED, False, 1),
        (RunState.INTERRUPTED, True, 1),
        (RunState.INTERRUPTED, False, 1),
    ],
)
def test_a_run_is_finished_when_it_has_its_reports(store, make, state, reported, offered):
    with store.create() as writer:
        writer.append(make.started(writer.id, 1))
        writer.append(make.generated(writer.put(make.png())))
        writer.append(make.judged())
        writer.append(make.ended(state))
        if reported:
            writer.append(make.reported())
    assert len(store.offer(Reuse.UNFINISHED).images) == offered
    assert len(store.offer(Reuse.ANY).images) == 1
    assert load_run(writer.folder).state is state
