"""A run that is killed at any step, or whose disk is full: nothing accepted is lost, nothing wrong is accepted."""

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qiltest.errors import StoreError
from qiltest.files import write_atomically
from qiltest.runs import Reuse, RunState, RunStore, RunWriter, StoreWriteError, load_run
from qiltest.runs.store import usable

IMAGES = 2
#: the last steps: after the line that says that the reports are written, and after the end that stands before it.
CLOSE = 3
REPORT_AND_CLOSE = CLOSE + 2
#: every call by which a run changes the disk.
CALLS = ("write", "fsync", "replace", "mkdir", "ftruncate")


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Run `work` in a child that is killed at its n-th call to the disk, half-way through it where it writes.

    Returns False where the child came to its end before.
    """
    child = os.fork()
    if child == 0:
        _count_down(step)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _count_down(step: int) -> None:
    left = [step]

    def armed(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if left[0] == 0:
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        setattr(os, name, armed(name, getattr(os, name)))


def steps_of(work: Callable[[Path], None], tmp_path: Path) -> list[Path]:
    """Kill `work` at each step in a folder of its own; return the folders."""
    folders = []
    for step in range(500):
        folder = tmp_path / f"step-{step}"
        folder.mkdir()
        folders.append(folder)
        if not killed_at(step, lambda folder=folder: work(folder)):
            return folders
    raise AssertionError("the work has no end")


def go_on(root: Path, make) -> list[int]:
    """Do what the suite does: take what is good from the store, draw the rest. Returns what had to be generated."""
    store, generated = RunStore(root=root), []
    known = store.offer(Reuse.UNFINISHED).images
    with store.create() as writer:
        writer.append(make.started(writer.id, IMAGES))
        for number in range(IMAGES):
            stored = known.get(make.recipe(number).key())
            if stored is not None and usable(stored):
                writer.link(stored.path, stored.generated.sha256)
                sha256 = stored.generated.sha256
            else:
                sha256 = writer.put(make.png(number))
                generated.append(number)
            writer.append(make.generated(sha256, number))
            writer.append(make.judged(number))
        writer.append(make.ended())
        writer.append(make.reported())
    return generated


def test_a_run_killed_at_any_step_keeps_what_it_accepted_and_goes_on(tmp_path, make):
    folders = steps_of(lambda folder: make.write(RunStore(root=folder).create(), range(IMAGES)), tmp_path)
    assert len(folders) > 15
    drawn_again = []
    for folder in folders:
        kept = 0
        for run in folder.iterdir():
            if not (run / "events.jsonl").exists() or b"\n" not in (run / "events.jsonl").read_bytes():
                with pytest.raises(StoreError, match=r"not a run|the run never began"):
                    load_run(run)
                continue
            loaded = load_run(run)
            # an image that a line names is there, whole, whatever the moment
            assert all(result.error == "" for result in loaded.results)
            assert [r.image.path.read_bytes() for r in loaded.results] == [
                make.png(number) for number in range(len(loaded.results))
            ]
            assert all("is incomplete" in problem or "unused" in problem for problem in loaded.problems)
            kept = IMAGES if loaded.state is RunState.FINISHED else len(loaded.results)
            finished = loaded.state is RunState.FINISHED
            assert set(RunStore(root=folder).offer(Reuse.ANY).images) == {
                make.recipe(n).key() for n in range(len(loaded.results))
            }
            if finished:
                assert folder in folders[-REPORT_AND_CLOSE:]
        generated = go_on(folder, make)
        drawn_again.append(len(generated))
        # a run that ended without its reports is gone on with: nothing is generated again
        if folder not in folders[-CLOSE:]:
            assert generated == list(range(kept, IMAGES))
        run = RunStore(root=folder).load("latest")
        assert run.state is RunState.FINISHED
        assert [r.image.path.read_bytes() for r in run.results] == [make.png(n) for n in range(IMAGES)]
    # the later it was killed, the less there was to draw again
    assert sorted(set(drawn_again)) == [0, 1, 2]


def test_a_file_that_is_replaced_is_the_old_one_or_the_new_one(tmp_path):
    def work(folder: Path) -> None:
        write_atomically(folder / "golden.json", b"new " * 1000)

    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        (folder / "golden.json").write_bytes(b"old")
        alive = not killed_at(step, lambda folder=folder: work(folder))
        assert (folder / "golden.json").read_bytes() in {b"old", b"new " * 1000}
        if alive:
            assert step >= 3
            assert [path.name for path in folder.iterdir()] == ["golden.json"]
            return
    raise AssertionError("the work has no end")


def full_after(monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
    """Let `os.write` take so many bytes more, then be a full disk: it writes what fits."""
    real, left = os.write, [allowed]

    def write(handle: int, data: bytes) -> int:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = real(handle, data[: left[0]])
        left[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", write)


@pytest.mark.parametrize("allowed", [0, 1, 40])
def test_an_event_that_does_not_fit_is_taken_back_and_said(tmp_path, make, monkeypatch, allowed):
    with RunStore(root=tmp_path).create() as writer:
        writer.append(make.started(writer.id))
        before = (writer.folder / "events.jsonl").read_bytes()
        full_after(monkeypatch, allowed)
        with pytest.raises(StoreWriteError, match=r"cannot be written[^$]*free disk space, or choose another folder"):
            writer.append(make.failed())
        assert (writer.folder / "events.jsonl").read_bytes() == before
        monkeypatch.undo()
        writer.append(make.failed())
    assert load_run(writer.folder).problems == ()


def test_an_event_that_cannot_be_synced_is_taken_back(tmp_path, make, monkeypatch):
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with RunStore(root=tmp_path).create() as writer:
        writer.append(make.started(writer.id))
        before = (writer.folder / "events.jsonl").read_bytes()
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StoreWriteError, match="Input/output error"):
            writer.append(make.failed())
        assert (writer.folder / "events.jsonl").read_bytes() == before


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(writer: RunWriter, make) -> int:
    """Write images until the disk is full; return how many events say that there is one."""
    for number in range(1000):
        try:
            writer.append(make.generated(writer.put(os.urandom(9000)), number))
        except StoreWriteError:
            return number
    raise AssertionError("the disk has no end")


def test_a_full_disk_loses_nothing_that_was_accepted(small_disk, make):
    store = RunStore(root=small_disk / "runs")
    with store.create() as writer:
        writer.append(make.started(writer.id, 5))
        accepted = fill(writer, make)
    assert accepted > 2
    run = load_run(writer.folder)
    assert len(run.results) == accepted
    assert run.problems == ()
    assert list(writer.folder.rglob("*.tmp")) == []


def test_a_full_disk_keeps_the_old_golden(small_disk):
    golden = small_disk / "golden.json"
    write_atomically(golden, b"old")
    with pytest.raises(OSError, match="No space left"):
        write_atomically(golden, b"new" * 100_000)
    assert golden.read_bytes() == b"old"
    assert [path.name for path in small_disk.iterdir()] == ["golden.json"]


def test_what_a_killed_process_left_in_a_run_is_removed_once_nobody_writes_it(tmp_path, make):
    store = RunStore(root=tmp_path / "runs")
    with store.create() as writer:
        writer.append(make.started(writer.id, 1))
        writer.append(make.generated(writer.put(b"image"), 0))
        left = [writer.folder / ".report.html.x.tmp", writer.folder / "images" / ".0123.png.x.tmp"]
        for path in left:
            path.write_bytes(b"half")
        assert store.offer(Reuse.UNFINISHED).images == {}
        assert all(path.exists() for path in left)
    assert len(store.offer(Reuse.UNFINISHED).images) == 1
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("fault", ["removed", "moved", "longer"])
def test_a_run_that_somebody_touches_takes_no_further_line(tmp_path, make, fault):
    store = RunStore(root=tmp_path / "runs")
    with store.create() as writer:
        writer.append(make.started(writer.id, 1))
        events = writer.folder / "events.jsonl"
        before = events.read_bytes()
        if fault == "removed":
            events.unlink()
        elif fault == "moved":
            writer.folder.rename(tmp_path / "elsewhere")
        else:
            events.write_bytes(before + b"x")
        what = "changed by somebody else" if fault == "longer" else "removed or moved away"
        with pytest.raises(StoreWriteError, match=what):
            writer.append(make.generated("a" * 64, 0))
    if fault == "moved":
        assert (tmp_path / "elsewhere" / "events.jsonl").read_bytes() == before
