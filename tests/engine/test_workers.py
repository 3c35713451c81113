"""Where work beside generating is done, and how long this process waited for a core."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from qiltest.engine import workers
from qiltest.engine.workers import InlineExecutor, ReadingProcesses, executor
from qiltest.generation.waiting import waited_seconds


def test_an_inline_task_is_done_before_submit_returns_and_in_this_thread():
    done = []
    future = InlineExecutor().submit(done.append, 1)
    assert done == [1]
    assert future.done()


def test_an_error_of_an_inline_task_is_raised_by_its_result_alone():
    executor = InlineExecutor()
    future = executor.submit(int, "no number")
    assert executor.submit(int, "7").result() == 7
    with pytest.raises(ValueError, match="no number"):
        future.result()


def test_ctrl_c_in_an_inline_task_is_not_kept_for_later():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        InlineExecutor().submit(interrupted)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this system does not say how long threads wait")
def test_waiting_for_a_core_is_counted():
    core = min(os.sched_getaffinity(0))
    busy = f"import os\nos.sched_setaffinity(0, {{{core}}})\nprint(flush=True)\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE)
    mine = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {core})
        other.stdout.readline()
        before, begin = waited_seconds(), time.perf_counter()
        while time.perf_counter() - begin < 1:
            pass
        assert waited_seconds() - before > 0.2
    finally:
        os.sched_setaffinity(0, mine)
        other.kill()
        other.communicate()


class OneAtATime:
    """A reading process that notes what it is asked, and that nobody asks it twice at once."""

    made: ClassVar[list["OneAtATime"]] = []

    def __init__(self, open_reader, share):
        self.busy, self.read_here, self.started, self.closed = False, [], [], False
        self.notices, self.restarted = [], set()
        OneAtATime.made.append(self)

    def start(self, name):
        self.started.append(name)

    def read(self, name, image):
        assert not self.busy
        self.busy = True
        time.sleep(0.02)
        self.read_here.append(image)
        if image.name == "crash":
            self.notices.append("OCR worker crashed on crash and was restarted")
            self.restarted.add(image)
        self.busy = False
        return image

    def close(self):
        self.closed = True


def test_several_reading_processes_read_at_once_and_a_crash_is_told_of_its_image_alone(monkeypatch):
    monkeypatch.setattr(workers, "ReadingProcess", OneAtATime)
    monkeypatch.setattr(OneAtATime, "made", [])
    images = [Path(name) for name in ("a", "b", "crash", "c", "d", "e")]
    processes = ReadingProcesses(str, 3)
    processes.start("rapidocr")
    with executor(3) as threads:
        assert isinstance(threads, ThreadPoolExecutor)
        assert list(threads.map(lambda image: processes.read("rapidocr", image), images)) == images
    assert [one.started for one in OneAtATime.made] == [["rapidocr"]] * 3
    assert all(one.read_here for one in OneAtATime.made)
    assert processes.restarted == {Path("crash")}
    assert processes.notices == ["OCR worker crashed on crash and was restarted"]
    processes.close()
    assert all(one.closed for one in OneAtATime.made)


@pytest.mark.parametrize(
    ("number", "of", "kept"),
    [(0, 1, {1, 2, 3, 4, 5, 6}), (0, 2, {1, 3, 5}), (1, 2, {2, 4, 6}), (6, 7, {1, 2, 3, 4, 5, 6})],
)
def test_reading_processes_share_the_cores_but_one(monkeypatch, number, of, kept):
    found = []
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(range(7)), raising=False)
    monkeypatch.setattr(workers.os, "sched_setaffinity", lambda _, cores: found.append(set(cores)), raising=False)
    workers._make_room(number, of)
    assert found == [kept]


def test_without_threads_work_is_done_inline():
    assert isinstance(executor(0), InlineExecutor)
