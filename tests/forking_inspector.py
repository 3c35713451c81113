"""`qiltest lora` in a process for each file, forked from one that has imported it: its answers, seconds and memory.

    with ForkingInspector() as inspector: answer = inspector.ask(path, cache=folder)

A file is answered in milliseconds, and a process that imports everything takes a second. The server of `apart` has
loaded torch, which would be counted as memory of each answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hostile import _ADDRESS_SPACE, _TIMEOUT, Answer

#: reads an order a line, and writes its answer as a line. What a child prints is not buffered by its parent.
_FORKS = """
import json, os, resource, signal, sys, tempfile, time, traceback
from qiltest.cli.main import build_parser, main
import numpy, qiltest.generation.sources, qiltest.lora, qiltest.suite.load, qiltest.text.console
build_parser("lora")

def answered(words, folder, cache, limit, timeout):
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.alarm(timeout)
    os.environ["QILTEST_CACHE"] = cache
    os.chdir(folder)
    try:
        return main(words)
    except SystemExit as ended:
        return ended.code
    except BaseException:
        traceback.print_exc()
        return 1

for line in sys.stdin:
    with tempfile.TemporaryFile() as file:
        began = time.monotonic()
        child = os.fork()
        if not child:
            code = 1
            try:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
                code = answered(*json.loads(line))
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        _, status, used = os.wait4(child, 0)
        took = time.monotonic() - began
        file.seek(0)
        out = file.read().decode(errors="replace")
    cpu = used.ru_utime + used.ru_stime
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps([code, took, cpu, used.ru_maxrss // 1024, len(out), out[:4000], "Traceback" in out]), flush=True)
"""


class ForkingInspector:
    """See the module."""

    def __enter__(self) -> ForkingInspector:
        command = [sys.executable, "-c", _FORKS]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()

    def ask(self, path: Path, *options: str, cache: Path) -> Answer:
        """Run `qiltest lora` on a file, as `hostile.ask` does."""
        order = [["lora", str(path), *options], str(path.parent), str(cache), _ADDRESS_SPACE, _TIMEOUT]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        names = ("code", "seconds", "cpu_seconds", "megabytes", "length", "out", "traceback")
        return Answer(**dict(zip(names, json.loads(self._process.stdout.readline()), strict=True)))
