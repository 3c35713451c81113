"""A folder with a suite of its own, run by pytest in a process of its own."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.ImageDraw
import PIL.PngImagePlugin
import pytest
import scipy.ndimage
import scipy.stats

import apart
import qiltest.generation
import qiltest.session.summary
from qiltest.generation.settings import Settings
from qiltest.runs import Run, RunStore
from standin_suite import write_case, write_suite

#: pytester forgets what an inner session imports: what is loaded here is loaded once, not two hundred times.
LOADED = (PIL.ImageDraw, PIL.PngImagePlugin, scipy.ndimage, scipy.stats, qiltest.session.summary)

#: goldens by what decides them, so that not every test has to draw them first.
_RECORDED: dict[tuple[bytes, ...], dict[str, bytes]] = {}


@dataclass(frozen=True)
class SuiteFolder:
    """A folder with two cases, two default variants and the stand-in model: four images."""

    pytester: pytest.Pytester

    @property
    def path(self) -> Path:
        return self.pytester.path

    def run(self, *args: str) -> pytest.RunResult:
        """Run pytest in the folder."""
        # hypothesis would be imported again by each session, for two seconds
        return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *args)

    def run_apart(self, *args: str, loads: Sequence[str] = ()) -> pytest.RunResult:
        """Run pytest in a process of its own, which may be killed; with `apart.MODEL` loaded where it takes a model."""
        return apart.run_pytest(args, self.path, loads=loads)

    def run_anew(self, *args: str) -> pytest.RunResult:
        """Run pytest in a new interpreter, for what decides how it begins."""
        return self.pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *args)

    def record(self) -> None:
        """Record goldens for the images of the folder as it is; those of an equal folder are generated once only."""
        inputs = [*sorted((self.path / "cases").iterdir()), self.path / "standin.json"]
        key = tuple(path.read_bytes() for path in inputs if path.exists())
        if key not in _RECORDED:
            assert self.run("--qil-update=missing").ret == 0
            root = self.path / "golden"
            _RECORDED[key] = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.*")}
            shutil.rmtree(self.path / "runs")
            (self.path / "generated.log").unlink()
        for name, data in _RECORDED[key].items():
            path = self.path / "golden" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def plan(self, **faults: object) -> None:
        """Plant faults; a key `coffee__fast` stands for `coffee/fast`."""
        (self.path / "standin.json").write_text(json.dumps({k.replace("__", "/"): v for k, v in faults.items()}))

    def case(self, name: str, *, first: str, second: str) -> None:
        """Write a case file."""
        write_case(self.path, name, first=first, second=second)

    def generated(self) -> list[str]:
        """What the stand-in model generated since the log was last cleared, as `case variant seed`."""
        log = self.path / "generated.log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("")
        return [line for line in lines if not line.startswith("prepare")]

    def goldens(self) -> list[str]:
        """All golden files, below `golden/`."""
        root = self.path / "golden"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*.json"))

    def latest(self) -> Run:
        """The newest run."""
        return RunStore(root=self.path / "runs").load("latest")

    def refusal(self) -> str:
        """What the newest run, which began no image, says of why; its reports say it too."""
        run = self.latest()
        assert run.refused
        assert {path.name for path in run.path.iterdir()} == {".lock", "events.jsonl", "report.html", "report.md"}
        assert "Nothing was generated" in (run.path / "report.html").read_text(encoding="utf-8")
        return "\n".join(run.problems)


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> SuiteFolder:
    # what the outer session, its CI and its pytest-xdist set is not the inner one's
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    write_suite(pytester.path)
    return SuiteFolder(pytester)


@pytest.fixture
def opened(suite: SuiteFolder, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Let the plugin itself open the stand-in model; return the options that it was opened with, session by session."""
    path = suite.path / "conftest.py"
    own = '@pytest.fixture(scope="session")\ndef qil_generator('
    assert own in path.read_text()
    path.write_text(path.read_text().replace(own, "def standin_generator("))
    sessions: list[dict[str, object]] = []

    def open_generator(model: str, settings: Settings) -> object:
        sessions.append(vars(settings))
        return sys.modules["conftest"].StandinGenerator(model=model)

    monkeypatch.setattr(qiltest.generation, "open_generator", open_generator)
    return sessions


@dataclass(frozen=True)
class Disk:
    """A file system of its own that is really full at some size; the suite's folder is on another one."""

    path: Path

    def room(self, size: str) -> None:
        """Give it another size, such as 48k."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.path)], check=True)

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.path / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system of 48 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)
