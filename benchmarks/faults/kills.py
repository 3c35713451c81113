"""SIGKILL at a hundred random moments of sessions, each followed by the same command until it is finished.

    python benchmarks/faults/kills.py benchmarks/results/kills.json

The suite is that of `tests/standin_suite.py`: two cases, two variants, two seeds, a model and a reader that are
stand-ins, so that eight images take seconds. A round records goldens, and then judges by them. Sessions are forked from
this process, which has loaded pytest and qiltest; a pause before each file operation makes them as slow as on a slow
disk, so that kills fall between the operations of one write. Half of the kills come at any moment, half while something
is done that is chosen first. After every kill and every end the folder is checked; the
faults are listed in the result, and the exit code is 1 where there is one or the time ran out. It takes minutes: after
`--budget` seconds no round begins.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import mmap
import os
import platform
import random
import shutil
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for part in ("src", "tests"):
    sys.path.insert(0, str(ROOT / part))

import checks  # noqa: E402  beside this file
import pytest  # noqa: E402

from standin_suite import write_suite  # noqa: E402

SEEDS = 2
COMMON = ("-q", "-p", "no:cacheprovider", f"--qil-seeds={SEEDS}")
COMMANDS = {"record": (*COMMON, "--qil-update=missing"), "judge": COMMON}
#: seconds before each operation on a file of the suite, and of a denoise loop.
PAUSE, DENOISE = 0.002, 0.01
#: how often a session that goes on after a kill is killed itself.
AGAIN = 1 / 3
#: what half of the kills wait for, by command; the others come at any moment.
PHASES = {
    "record": ("generating", "reading an image", "judging", "writing a golden", "writing reports"),
    "judge": ("generating", "reading an image", "judging", "writing reports"),
}
#: seconds after which such a kill comes at the latest, once its phase has begun.
SOON = 0.01
#: no session takes so long.
HANGS = 120.0
#: operations on files of which Python tells before it does them.
OPERATIONS = frozenset({"open", "os.rename", "os.mkdir", "os.chmod", "os.link", "os.remove", "os.truncate"})
#: bytes of a note: when, and what.
_NOTE, _WHEN = 300, struct.Struct("d")


@dataclass(kw_only=True)
class Session:
    """A pytest session in a process of its own, which notes the file operation that it is about to do."""

    pid: int
    note: mmap.mmap
    code: int | None = None

    @classmethod
    def start(cls, folder: Path, command: tuple[str, ...]) -> Session:
        """Fork, and run pytest in the folder."""
        note = mmap.mmap(-1, _NOTE)
        pid = os.fork()
        if pid == 0:
            os._exit(_child(folder, command, note))
        return cls(pid=pid, note=note)

    def ended(self) -> bool:
        """Return whether the process has ended; then `code` is known."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, until: Callable[[], bool]) -> bool:
        """Wait; return False where the process ended first, and raise TimeoutError where neither happens."""
        begun = time.monotonic()
        while not until():
            if self.ended():
                return False
            if time.monotonic() - begun > HANGS:
                self.kill()
                raise TimeoutError(f"a session hung at: {self.doing()}")
            time.sleep(0.0005)
        return True

    def begun(self) -> bool:
        """Return whether it has begun to work on files."""
        return self.worked() > 0

    def doing(self) -> str:
        """Return its last file operation."""
        return self.note[_WHEN.size :].rstrip(b"\0").decode(errors="replace")

    def worked(self) -> float:
        """Return when it did that, by `time.monotonic`."""
        return float(_WHEN.unpack(self.note[: _WHEN.size])[0])

    def kill(self) -> None:
        """Kill it and wait for its end."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait(lambda: False)


def _child(folder: Path, command: tuple[str, ...], note: mmap.mmap) -> int:
    """Run pytest in the forked process and return its exit code."""
    try:
        os.chdir(folder)
        log = os.open("session.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.addaudithook(_Watch(folder, note))
        code = int(pytest.main([*command]))
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  nothing of this process may go on as the parent does
        traceback.print_exc()
        return 99
    return code


class _Watch:
    """Notes each operation on a file of the suite before it is done, and waits as a slow disk does."""

    def __init__(self, folder: Path, note: mmap.mmap) -> None:
        self._folder, self._note = str(folder), note
        self._phase = ""

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if event not in OPERATIONS:
            return
        path = os.path.relpath(os.fspath(args[0]), self._folder) if isinstance(args[0], str | Path) else ""
        phase = _phase(event, path, args, self._phase)
        if phase:
            self._phase = phase
            note = _WHEN.pack(time.monotonic()) + f"{phase}: {event} {path}".encode()
            self._note[:_NOTE] = note[:_NOTE].ljust(_NOTE, b"\0")
            time.sleep(PAUSE)


def _phase(event: str, path: str, args: tuple[object, ...], before: str) -> str:
    """Return what a session does that works on a file; "" for a file that it does not write."""
    top, _, rest = path.partition("/")
    name = path.rpartition("/")[2]
    reads = event == "open" and not int(str(args[2])) & (os.O_WRONLY | os.O_RDWR)
    if path == "generated.log":
        return "generating"
    if top == "golden":
        return "judging" if reads and name.endswith(".json") else "writing a golden"
    if top != "runs":
        return ""
    if "report." in name or "history." in name:
        return "writing reports"
    if "/images" in rest:
        return "reading an image" if reads and name.endswith(".png") else "storing an image"
    # a folder whose names are made durable belongs to what was written into it
    return "beginning or closing a run" if "/" in rest or not before else before


def _in(seconds: float) -> Callable[[], bool]:
    """Return whether so many seconds have passed since now."""
    moment = time.monotonic() + seconds
    return lambda: time.monotonic() >= moment


@dataclass(kw_only=True)
class Benchmark:
    """The state of the whole."""

    folder: Path
    random: random.Random
    wanted: int
    deadline: float
    expected: checks.Expected = field(default_factory=checks.Expected)
    #: kills by what the session was doing.
    phases: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    #: seconds from a session's first file operation to its last.
    lasts: dict[str, float] = field(default_factory=dict)

    @property
    def kills(self) -> int:
        """Kills so far."""
        return sum(self.phases.values())

    def calibrate(self) -> None:
        """Run both commands unkilled: what they store is what every later one must store, and their time."""
        for name in COMMANDS:
            session = self._start(name)
            session.wait(session.begun)
            begun = session.worked()
            session.wait(lambda: False)
            self.lasts[name] = session.worked() - begun
            if session.code != 0:
                raise SystemExit(f"unkilled, the command ends with {session.code}:\n{self._log()}")
        self.expected = checks.Expected.of(self.folder)

    def go(self) -> None:
        """Kill until there are enough kills, or no more time."""
        while self.kills < self.wanted and time.monotonic() < self.deadline:
            for name in ("runs", "golden"):
                shutil.rmtree(self.folder / name)
            for name in COMMANDS:
                self._until_finished(name)
            self.counts["rounds"] += 1

    def _until_finished(self, name: str) -> None:
        """Run a command, kill it, and repeat it until it is finished, with checks after each."""
        progress = checks.Progress(folder=self.folder, expected=self.expected)
        kill = True
        while True:
            kill = kill and self.kills < self.wanted
            session = self._start(name)
            killed = kill and self._kill(session, name)
            session.wait(lambda: False)
            where = f"kill {self.kills}, {name}"
            found = progress.after_kill() if killed else progress.after_end(session.code, name)
            self.faults += (f"{where}: {fault}" for fault in found)
            self.counts["sessions"] += 1
            if not killed or progress.reported:
                self.counts["killed when all was done"] += killed
                break
            kill = self.random.random() < AGAIN
        self.faults += (f"{name}, finished: {fault}" for fault in progress.finished(name))
        self.counts += progress.counts

    def _kill(self, session: Session, name: str) -> bool:
        """Kill a session at a random moment; return False where it ends before."""
        after, soon = self.random.uniform(0, self.lasts[name]), self.random.uniform(0, SOON)
        phase = self.random.choice(PHASES[name]) if self.random.random() < 0.5 else ""
        if phase == "writing reports":
            after = 0.0  # they are the last
        reached = session.wait(session.begun) and session.wait(_in(after))
        if phase and reached:
            reached = session.wait(lambda: session.doing().startswith(phase)) and session.wait(_in(soon))
        if not reached or session.ended():
            return False
        session.kill()
        self.phases[session.doing().partition(":")[0]] += 1
        return True

    def _start(self, name: str) -> Session:
        (self.folder / "session.log").unlink(missing_ok=True)
        return Session.start(self.folder, COMMANDS[name])

    def _log(self) -> str:
        return (self.folder / "session.log").read_text(errors="replace")


def measure(wanted: int, budget: float, seed: int) -> dict[str, object]:
    """Return the record of a whole benchmark."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
        folder = Path(scratch)
        write_suite(folder)
        plan = {f"{case}/{variant}": {"wait": DENOISE} for case in ("coffee", "poster") for variant in ("base", "fast")}
        (folder / "standin.json").write_text(json.dumps(plan))
        bench = Benchmark(folder=folder, random=random.Random(seed), wanted=wanted, deadline=begun + budget)
        bench.calibrate()
        bench.go()
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "pytest": pytest.__version__,
        "seed": seed,
        "images_of_a_session": len(bench.expected.images),
        "seconds_between_first_and_last_file_operation": {
            name: round(seconds, 2) for name, seconds in bench.lasts.items()
        },
        "seconds": round(time.monotonic() - begun),
        "kills": bench.kills,
        "kills_by_what_was_being_done": dict(sorted(bench.phases.items())),
        **dict(sorted(bench.counts.items())),
        "faults": bench.faults,
    }


def preload() -> None:
    """Load what a session loads, by running one here: a kill while Python imports would show nothing."""
    with tempfile.TemporaryDirectory(prefix="kills-") as scratch:
        write_suite(Path(scratch))
        with contextlib.chdir(scratch), contextlib.redirect_stdout(io.StringIO()):
            pytest.main([*COMMON])
    for name in ("conftest", "test_suite"):
        del sys.modules[name]  # each session has its own
    assert threading.active_count() == 1, "a fork would lose the other threads"


def lines(record: dict[str, object]) -> Iterator[str]:
    """Yield the record for the terminal."""
    for name, value in record.items():
        if name != "faults":
            yield f"{name.replace('_', ' ')}: {value}"
    faults = record["faults"]
    assert isinstance(faults, list)
    yield f"faults: {len(faults)}"
    yield from map(str, faults)


def main() -> int:
    """Measure, write the result, and return 1 where something was lost or the time ran out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, metavar="OUT.json")
    parser.add_argument("--kills", type=int, default=100, metavar="N", help="(100)")
    parser.add_argument("--budget", type=float, default=540, metavar="SECONDS", help="then no round begins (540)")
    parser.add_argument("--seed", type=int, default=19, help="of the moments (19)")
    args = parser.parse_args()
    preload()
    record = measure(args.kills, args.budget, args.seed)
    args.output.write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines(record)))
    return int(bool(record["faults"]) or record["kills"] != args.kills)


if __name__ == "__main__":
    sys.exit(main())
