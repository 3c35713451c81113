"""Where work beside generating is done, and how long this process waited for a core."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qiltest.engine.workers import InlineExecutor
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
