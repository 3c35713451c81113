"""Give `qiltest lora` files made to hurt, one process each, and print a table of seconds and peak memory.

    python benchmarks/lora/hostile.py             # every kind, about two minutes; the largest files are sparse
    python benchmarks/lora/hostile.py --filled    # and 1.7 GB and 2 GB of numbers, which need that much room
    python benchmarks/lora/hostile.py rank        # kinds with these words in their names

Exit code 1 where an answer took more than 10 s (by the clock and on the CPU: other work on the machine is not the
command's) or 300 MB, was a traceback, or had another exit code than it should.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hostile_files import KINDS, Kind

#: what `qiltest lora` may take for any file of up to 2 GB.
SECONDS, MEGABYTES = 10.0, 300
#: a guard for this machine; answers are judged by their peak of resident memory.
_ADDRESS_SPACE = 4 << 30
_TIMEOUT = 120
#: runs the command from a small process: a child's peak begins with that of whoever starts it.
_WRAPPER = """
import json, resource, subprocess, sys, time
limit = int(sys.argv[1])
def bound(): resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
began = time.monotonic()
try:
    done = subprocess.run(sys.argv[3:], capture_output=True, preexec_fn=bound, timeout=float(sys.argv[2]))
    code, out = done.returncode, (done.stdout + done.stderr).decode(errors="replace")
except subprocess.TimeoutExpired:
    code, out = None, ""
took = time.monotonic() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = used.ru_utime + used.ru_stime
print(json.dumps([code, took, cpu, used.ru_maxrss // 1024, len(out), out[:4000], "Traceback" in out]))
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back; `code` is None where nothing did in time."""

    code: int | None
    #: as the clock has it, which counts other work on the machine, ...
    seconds: float
    #: ... and on the CPU, in all threads.
    cpu_seconds: float
    megabytes: int
    #: characters printed, and their beginning.
    length: int
    out: str
    traceback: bool

    def faults(self, kind: Kind) -> list[str]:
        """Say what is wrong with the answer."""
        found = [] if self.code == kind.code else [f"exit code {self.code}, not {kind.code}"]
        found += ["traceback"] if self.traceback else []
        found += [f"more than {SECONDS:g} s"] if min(self.seconds, self.cpu_seconds) > SECONDS else []
        return found + ([f"more than {MEGABYTES} MB"] if self.megabytes > MEGABYTES else [])

    @property
    def line(self) -> str:
        """The line that says why, or else the first."""
        lines = [line for line in self.out.splitlines() if line.strip()]
        return next((line for line in lines if line.startswith(("ERROR", "qiltest:"))), lines[-1] if lines else "")


def ask(path: Path, *options: str, cache: Path) -> Answer:
    """Run `qiltest lora` on a file in a process of its own."""
    command = [sys.executable, "-m", "qiltest", "lora", str(path), *options]
    wrapped = [sys.executable, "-S", "-c", _WRAPPER, str(_ADDRESS_SPACE), str(_TIMEOUT), *command]
    environment = os.environ | {"QILTEST_CACHE": str(cache)}  # hashes are not remembered from elsewhere
    done = subprocess.run(wrapped, capture_output=True, text=True, check=True, env=environment, cwd=path.parent)
    names = ("code", "seconds", "cpu_seconds", "megabytes", "length", "out", "traceback")
    return Answer(**dict(zip(names, json.loads(done.stdout), strict=True)))


def answers(kinds: list[Kind], *options: str) -> Iterator[tuple[Kind, int, Answer]]:
    """Make each kind of file in a temporary folder, ask about it, and remove it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, kind in enumerate(kinds):
            path = folder / f"{number}.safetensors"
            kind.make(path)
            size = path.stat().st_size
            yield kind, size, ask(path, *options, cache=folder / "cache")
            path.rmdir() if path.is_dir() else path.unlink()


def _size(count: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def main(argv: list[str]) -> int:
    """Print the table; return 1 where an answer is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="words of the names of kinds (default: all kinds)")
    parser.add_argument("--filled", action="store_true", help="also files full of numbers")
    args = parser.parse_args(argv)
    kinds = [kind for kind in KINDS if args.filled or not kind.filled]
    kinds = [kind for kind in kinds if not args.words or any(word in kind.name for word in args.words)]
    columns = ("file", "size", "exit code", "seconds", "CPU seconds", "peak MB", "printed", "answer")
    print(f"| {' | '.join(columns)} |\n|---|{'---:|' * 6}---|")
    failed = 0
    for kind, size, answer in answers(kinds):
        said = answer.line.replace("|", "\\|")
        shown = said if len(said) <= 110 else f"{said[:110]}…"
        times = f"{answer.seconds:.1f}", f"{answer.cpu_seconds:.1f}"
        row = (kind.name, _size(size), answer.code, *times, answer.megabytes, _size(answer.length))
        print(f"| {' | '.join(map(str, row))} | {shown} |", flush=True)
        for fault in answer.faults(kind):
            failed += 1
            print(f"{kind.name}: {fault}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
