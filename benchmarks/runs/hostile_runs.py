"""Time and memory of commands on run folders made to hurt: each of 100 MB, with a whole chain.

pytest                                            # makes a run to begin with
python benchmarks/runs/hostile_runs.py runs/ID    # a table; exit code 1 where a limit is passed

Seconds are those of the CPU, user and system, because the clock also counts what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hostile_kinds import KINDS, Chain, Source

from qiltest.arguments import existing_folder
from qiltest.errors import StoreError

ROOT = Path(__file__).resolve().parents[2]
#: the limits on a folder of 100 MB.
SECONDS, MEGABYTES = 10.0, 300
#: what is run on a folder, and the exit codes that are right; 2 for what cannot be read as a run.
COMMANDS: dict[str, tuple[tuple[str, ...], set[int]]] = {
    # 2 for what is no run of these cases
    "verify": (("verify", "--cases", str(ROOT / "cases")), {1, 2}),
    "report": (("report",), {0, 2}),
    "report --format md": (("report", "--format", "md"), {0, 2}),
    "report --format json": (("report", "--format", "json"), {0, 2}),
    "review --json": (("review", "--json"), {0, 1, 2}),
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    megabytes: int
    code: int
    #: bytes of the report and of standard output.
    made: int
    #: the last line that was printed to standard error.
    said: str

    def faults(self, codes: set[int]) -> Iterator[str]:
        """Yield what is not as it should be."""
        if self.code not in codes:
            yield f"exit code {self.code}: {self.said}"
        if self.cpu_seconds > SECONDS:
            yield f"{self.cpu_seconds:.1f} s"
        if self.megabytes > MEGABYTES:
            yield f"{self.megabytes} MB"


def ask(words: tuple[str, ...], folder: Path) -> Answer:
    """Run a command on a run's folder in a process of its own."""
    before = {path: path.stat().st_mtime_ns for path in folder.glob("report.*")}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.monotonic()
        command = [sys.executable, "-m", "qiltest", words[0], str(folder), *words[1:]]
        pid = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder.parent).pid
        _, status, used = os.wait4(pid, 0)
        err.seek(0)
        said = err.read().decode(errors="replace").strip().splitlines()[-1:]
        made = [path for path in folder.glob("report.*") if before.get(path) != path.stat().st_mtime_ns]
        return Answer(
            seconds=time.monotonic() - begun,
            cpu_seconds=used.ru_utime + used.ru_stime,
            megabytes=used.ru_maxrss >> 10,
            code=os.waitstatus_to_exitcode(status),
            made=os.fstat(out.fileno()).st_size + sum(path.stat().st_size for path in made),
            said="".join(said)[:200],
        )


def main() -> int:
    """Measure all kinds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=existing_folder, help="folder of a stored run of the cases here")
    parser.add_argument("words", nargs="*", help="words of the names of kinds (default: all kinds)")
    parser.add_argument("--command", action="append", choices=COMMANDS, help="only this one (default: all)")
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    source, good = Source(arguments.run), True
    print("| 100 MB of | command | seconds | CPU seconds | MB of memory | MB made | exit code |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, fill in KINDS.items():
        if arguments.words and not any(word in name for word in arguments.words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            chain = Chain(Path(folder) / "runs" / "20261130-000000-000000-abcd")
            try:
                fill(chain, source, arguments.megabytes * 10**6)
            except StoreError as error:
                print(f"| {name} | no session can write such a line: {error.what} | | | | | |", flush=True)
                continue
            chain.close()
            for command in arguments.command or COMMANDS:
                words, codes = COMMANDS[command]
                answer = ask(words, chain.folder)
                row = f"{answer.seconds:.1f} | {answer.cpu_seconds:.1f} | {answer.megabytes} | {answer.made / 1e6:.1f}"
                print(f"| {name} | {command} | {row} | {answer.code} |", flush=True)
                for fault in answer.faults(codes):
                    good = False
                    print(f"{name}, {command}: {fault}", file=sys.stderr, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
