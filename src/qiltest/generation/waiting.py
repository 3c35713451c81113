"""Keep waiting threads from spinning, and measure how long threads waited for a core."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def let_waiting_threads_sleep() -> None:
    """Have OpenMP's threads sleep while they wait for each other, unless the user has set OMP_WAIT_POLICY.

    Threads that spin keep the core from the one that they wait for as soon as other work shares the CPU: beside a busy
    process a denoise loop of the embedded model took 30 times as long. torch's OpenMP reads the variable when it is
    loaded, so this comes before. No image changes by it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def waited_seconds() -> float:
    """Return how long the threads of this process have waited for a core so far, all together; 0 where unknown.

    Linux counts it per thread, in nanoseconds. A thread that ended takes its count with it.
    """
    waited = 0
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError, IndexError, ValueError):  # a thread that ended meanwhile
            waited += int(path.read_text(encoding="ascii").split()[1])
    return waited / 1e9
