"""Sessions in processes of their own, without a new interpreter for each, which would import libraries for seconds.

A server has loaded what a session loads, and forks for each session: a process that can be killed, with its own folder,
environment, streams and exit code. Where the interpreter itself is what is tested, a test starts one with subprocess.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

#: what a session imports that reads images, beside what one with the stand-in reader does.
READER = ("cv2", "onnxruntime", "rapidocr.cal_rec_boxes.main", "rapidocr.main")
#: and what one with a model does.
MODEL = (
    *READER,
    "torch",
    "torch._meta_registrations",
    "torch.export",
    "peft",
    "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
    "diffusers.pipelines.qwenimage.pipeline_qwenimage",
    "qiltest.generation._generator",
)


class Apart:
    """A session in a process of its own."""

    def __init__(self, server: _Server, pid: int, folder: Path) -> None:
        self.pid, self._server, self._folder = pid, server, folder

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.pid not in self._server.ended:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float = 550) -> int:
        """Return its exit code, the negative number of the signal that ended it. Raises TimeoutError."""
        return self._server.wait(self.pid, timeout)

    def said(self, name: str = "stdout") -> str:
        """What it has printed, on `stdout` or `stderr`."""
        return (self._folder / name).read_bytes().decode()


def pytest_apart(words: Sequence[str], cwd: Path, **how: Any) -> Apart:
    """Begin `python -m pytest WORDS` in a folder."""
    # hypothesis would be imported again by each session
    return begin("pytest", ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", *words], cwd, **how)


def run_pytest(words: Sequence[str], cwd: Path, **how: Any) -> pytest.RunResult:
    """Run `python -m pytest WORDS` in a folder to its end."""
    begin = time.monotonic()
    session = pytest_apart(words, cwd, **how)
    code = session.wait()
    out, err = (session.said(name).splitlines() for name in ("stdout", "stderr"))
    return pytest.RunResult(code, out, err, time.monotonic() - begin)


def begin(
    program: str,
    words: Sequence[str],
    cwd: Path,
    *,
    env: Mapping[str, str] | None = None,
    terminal: str = "",
    stdin: str = os.devnull,
    loads: Sequence[str] = (),
) -> Apart:
    """Begin `pytest` or `qiltest`, with all output on a terminal if one is named.

    By default it has the environment of this process, but is no worker of its pytest-xdist.
    """
    asked = dict(os.environ if env is None else env)
    kept = {name: value for name, value in asked.items() if not name.startswith("PYTEST_XDIST")}
    folder = Path(tempfile.mkdtemp(dir=_server().folder))
    streams = [stdin, terminal or str(folder / "stdout"), terminal or str(folder / "stderr")]
    request = {"program": program, "words": list(words), "cwd": str(cwd), "env": kept, "streams": streams}
    return Apart(_server(), _server().ask({**request, "loads": list(loads)}), folder)


@functools.cache
def _server() -> _Server:
    return _Server()


class _Server:
    """The process that forks, as seen from here."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="qiltest-apart-")
        #: exit code by process id.
        self.ended: dict[int, int] = {}
        self._begun: list[int] = []
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        command = [sys.executable, __file__, self.folder]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, env={**own, "PYTHONPATH": os.pathsep.join(sys.path)}, **pipes)
        atexit.register(self.close)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def ask(self, request: Mapping[str, object]) -> int:
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        while not self._begun:
            self._hear(300)
        return self._begun.pop()

    def wait(self, pid: int, timeout: float) -> int:
        end = time.monotonic() + timeout
        while pid not in self.ended:
            self._hear(end - time.monotonic())
        return self.ended[pid]

    def _hear(self, timeout: float) -> None:
        heard = self._process.stdout
        if not select.select([heard], [], [], max(0, timeout))[0]:
            raise TimeoutError(f"no word after {timeout:.0f} s")
        # unbuffered reading, one line: select knows of nothing that a buffer holds
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(heard.fileno(), 1) or b'{"failed": "the server of sessions has ended"}\n'
        told = json.loads(line)
        if "failed" in told:
            raise RuntimeError(told["failed"])
        if "begun" in told:
            self._begun.append(told["begun"])
        else:
            self.ended[told["ended"]] = told["code"]


# what follows runs in the server


def _serve(folder: Path) -> None:
    """Fork for each request, and tell of each end, until the requests end."""
    requests, told = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _warm_up(folder)
    left = b""
    while True:
        ready, _, _ = select.select([requests, woken], [], [])
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            _tell_ends(told)
        if requests in ready:
            part = os.read(requests, 65536)
            if not part:  # however the client ended
                shutil.rmtree(folder, ignore_errors=True)
                os._exit(0)
            *lines, left = (left + part).split(b"\n")
            for line in lines:
                request = json.loads(line)
                for name in request["loads"]:
                    importlib.import_module(name)
                # opened here, so that all are open when the client hears of it
                streams = [os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOCTTY) for name in request["streams"]]
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for handle, stream in enumerate(streams):
                        os.dup2(stream, handle)
                    for handle in (requests, told, woken, wake, *streams):
                        os.close(handle)
                    _become(request)
                for stream in streams:
                    os.close(stream)
                _tell(told, {"begun": pid})


def _tell(told: int, record: Mapping[str, int]) -> None:
    os.write(told, json.dumps(record).encode() + b"\n")


def _tell_ends(told: int) -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _tell(told, {"ended": found[0], "code": os.waitstatus_to_exitcode(found[1])})


def _warm_up(folder: Path) -> None:
    """Run a session of the stand-in, which loads what each of them loads, in the way that pytest loads it."""
    from standin_suite import write_suite

    suite = folder / "suite"
    suite.mkdir()
    write_suite(suite)
    os.chdir(suite)
    before, path = set(sys.modules), list(sys.path)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pytest.main(["-p", "no:cacheprovider", "-p", "no:hypothesispytest"])
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(suite)):
            del sys.modules[name]
    sys.path[:] = path
    importlib.import_module("qiltest.cli.main")


def _become(request: Mapping[str, Any]) -> None:
    """Be the process that was asked for, and end as it does."""
    code = 70
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # what it spawns would import this file
        sys.modules["__main__"] = ModuleType("__main__")
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        code = _call(request)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  nothing of this process may go on as the server does
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _call(request: Mapping[str, Any]) -> int:
    if request["program"] == "qiltest":
        sys.argv = ["qiltest", *request["words"]]
        from qiltest.cli.main import main

        return main(request["words"])
    sys.argv = [pytest.__file__.replace("__init__", "__main__"), *request["words"]]
    sys.path.insert(0, request["cwd"])
    return int(pytest.main(request["words"]))


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
