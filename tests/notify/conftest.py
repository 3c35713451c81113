"""Fake runs, a `gh` that keeps its issues in a file, and a webhook on this machine."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fake_runs import case, fake, hostile, store, typical

__all__ = ["case", "fake", "hostile", "store", "typical"]

GH = '''#!{python}
"""A gh of a few commands: its state is a JSON file, and it writes down every call."""
import json, os, sys

path = os.environ["FAKE_GH"]
state = json.load(open(path))
words, text = sys.argv[1:], sys.stdin.read()
state["calls"].append(words)
json.dump(state, open(path, "w"))
if state.get("fails") and state["fails"] in " ".join(words):
    sys.exit("HTTP 403: Resource not accessible by integration\\x1b[31m")


def value(name):
    return words[words.index(name) + 1]


issues = {{issue["number"]: issue for issue in state["issues"]}}
if words[:2] == ["issue", "list"]:
    shown = [one for one in state["issues"] if one["open"] and value("--label") in one["labels"]]
    print(json.dumps([{{key: one[key] for key in value("--json").split(",")}} for one in shown]))
elif words[:2] == ["issue", "create"]:
    assert value("--label") in state["labels"], "there is no such label"
    number = len(issues) + 1
    state["issues"].append(
        dict(number=number, title=value("--title"), body=text, labels=[value("--label")], comments=[], open=True)
    )
elif words[:2] == ["issue", "comment"]:
    issues[int(words[2])]["comments"].append(dict(body=text))
elif words[:2] == ["issue", "close"]:
    issues[int(words[2])]["open"] = False
elif words[:2] == ["label", "create"]:
    state["labels"].append(words[2])
else:
    sys.exit("unknown command")
json.dump(state, open(path, "w"))
'''


@dataclass
class Gh:
    """The fake `gh`, with what it holds."""

    path: Path

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    @property
    def issues(self) -> list[dict[str, Any]]:
        return list(self.state["issues"])

    def write(self, **changes: Any) -> None:
        self.path.write_text(json.dumps({**self.state, **changes}))

    def calls(self) -> list[str]:
        """What was called since the last time, each as its first two words."""
        found = [" ".join(words[:2]) for words in self.state["calls"]]
        self.write(calls=[])
        return found


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gh:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "gh"
    program.write_text(GH.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_GH", str(tmp_path / "gh.json"))
    for name in ("GITHUB_ACTIONS", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "gh.json").write_text(json.dumps({"issues": [], "labels": [], "calls": []}))
    return Gh(tmp_path / "gh.json")


@dataclass
class Hook:
    """A server that answers each POST with the next of its answers, else 204."""

    port: int = 0
    bodies: list[Any] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/secret-token"


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.bodies.append(json.loads(body))
            code, headers = found.answers.pop(0) if found.answers else (204, {})
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
