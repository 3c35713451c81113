"""Sessions of pytest in processes of their own, on chosen GPUs and cores, and what their events say of the time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
#: what a stage found, ready for JSON.
Found = dict[str, Any]
#: seconds between two looks at a session that runs.
_LOOK = 0.1
_SHOWN = 3000


@dataclass(kw_only=True)
class Lab:
    """What the stages share."""

    scratch: Path
    #: on the CPU with the embedded model: the same way, without a GPU.
    dry: bool
    #: denoising steps of `base`, which has 50 in the report.
    base_steps: int
    seeds: int
    #: monotonic time at which everything ends.
    deadline: float
    #: what earlier stages found.
    stages: dict[str, Found] = field(default_factory=dict)
    #: what goes on while stages run: threads of `gpus_cpu`.
    beside: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.deadline - time.monotonic()

    @property
    def cores(self) -> tuple[int, ...]:
        """The cores of this process."""
        return tuple(sorted(os.sched_getaffinity(0)))

    @property
    def free_cores(self) -> tuple[int, ...]:
        """Two cores on which nothing else of this benchmark runs, where there are enough."""
        return self.cores[:2]

    @property
    def gpu_cores(self) -> tuple[int, ...]:
        """The cores of sessions that generate on GPUs."""
        return self.cores[2:] if len(self.cores) >= 8 else self.cores


def environment(gpus: str = "") -> dict[str, str]:
    """Return the environment of a session that sees these GPUs."""
    found = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    found |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    found["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), *(path for path in sys.path if path)])
    return found | ({"CUDA_VISIBLE_DEVICES": gpus} if gpus else {})


def write_suite(folder: Path, *, base_steps: int) -> Path:
    """Write the report's suite with fewer steps of `base`, and the test that runs it."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    for path in (ROOT / "cases").glob("*.toml"):
        shutil.copy(path, folder / "cases" / path.name)
    variants = (ROOT / "cases" / "variants.toml").read_text(encoding="utf-8")
    short = variants.replace("steps = 50\n", f"steps = {base_steps}\n", 1)
    (folder / "cases" / "variants.toml").write_text(short, encoding="utf-8")
    (folder / "test_suite.py").write_text("def test_report_case(qil_case_run):\n    qil_case_run.check()\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def pytest_command(*args: str) -> list[str]:
    """Return the command of a session; the plugin is named where it is not installed."""
    installed = {entry.value for entry in metadata.entry_points(group="pytest11")}
    named = [] if "qiltest.plugin" in installed else ["-p", "qiltest.plugin"]
    return [sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", "-q", *args]


def on_cores(cores: Sequence[int], command: Sequence[str]) -> list[str]:
    """Return a command that runs on these cores alone."""
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A command that ended."""

    seconds: float
    #: None where it was ended.
    status: int | None
    output: str
    #: when it began, as events tell time.
    began: float

    def found(self) -> Found:
        """Return it for JSON; what it wrote last only where it says something."""
        return {"wall_seconds": self.seconds, "exit_status": self.status, "tail": self.output[-_SHOWN:]}


def run_command(
    command: Sequence[str],
    folder: Path,
    env: Mapping[str, str],
    *,
    limit: float,
    meanwhile: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Ran:
    """Run a command, look at it while it runs, and end it and all of its group after `limit` seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "output.txt"
    began, begin = time.time(), time.perf_counter()
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, cwd=folder, env=dict(env), stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            while child.poll() is None and time.perf_counter() - begin < limit:
                if meanwhile is not None:
                    meanwhile(child)
                time.sleep(_LOOK)
            seconds, status = time.perf_counter() - begin, child.poll()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    return Ran(seconds=seconds, status=status, output=log.read_text("utf-8", "replace"), began=began)


def suite_session(
    lab: Lab,
    name: str,
    *args: str,
    gpus: str,
    cores: Sequence[int] | None = None,
    limit: float = 200.0,
    meanwhile: Callable[[subprocess.Popen[bytes], Path], None] | None = None,
    wrap: Callable[[list[str]], list[str]] = list,
) -> Found:
    """Run the suite on random weights at full size; in the dry run the embedded model's on the CPU."""
    folder = write_suite(lab.scratch / name, base_steps=lab.base_steps)
    few = ["--qil-case=pi-number,capybara", "--qil-model=tiny", "--qil-threads=1"]
    model = few if lab.dry else ["-m", "gpu", "--qil-model=random"]
    command = pytest_command(
        "--rootdir", str(folder), str(folder / "test_suite.py"), *model, "--qil-rounds=1", "--qil-fresh",
        f"--qil-seeds={lab.seeds}", *args,
    )  # fmt: skip
    env = environment("" if lab.dry else gpus) | {"QILTEST_CACHE": str(lab.scratch / "cache")}
    runs = folder / "runs"

    def look(child: subprocess.Popen[bytes]) -> None:
        if meanwhile is not None:
            meanwhile(child, runs)

    whole = wrap(on_cores(cores or lab.gpu_cores, command))
    ran = run_command(whole, folder, env, limit=min(limit, lab.left), meanwhile=look)
    return ran.found() | timeline(generated(runs), began=ran.began)


def generated(runs: Path) -> list[Found]:
    """Return the events of generated images of all runs in a folder; a last line that is not whole is left out."""
    found = []
    for path in sorted(runs.glob("*/events.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "generated" and not event.get("reused_from"):
                found.append(event)
    return found


def timeline(events: Sequence[Found], *, began: float) -> Found:
    """Return where a session's time went, by its events.

    `after_loading_seconds` go from the begin of the first denoise loop to the last stored image: the first image's
    event, less its loop and decoding. Loading, and the warm-up of the first image, are before.
    """
    if not events:
        return {"images": 0}
    stored = [datetime.fromisoformat(event["at"]).timestamp() for event in events]
    own = [event["timing"]["denoise_seconds"] + event["timing"]["decode_seconds"] for event in events]
    begun = min(at - seconds for at, seconds in zip(stored, own, strict=True))
    after = max(stored) - begun
    workers: dict[str, Found] = {}
    for event, seconds in zip(events, own, strict=True):
        made_on = event["made_on"] or {"worker": 0, "gpu": ""}
        one = workers.setdefault(str(made_on["worker"]), {"gpu": made_on["gpu"], "images": 0, "seconds": 0.0})
        one["images"] += 1
        one["seconds"] += seconds
    return {
        "images": len(events),
        "first_image_seconds": min(stored) - began,
        "last_image_seconds": max(stored) - began,
        "after_loading_seconds": after,
        "denoise_and_decode_seconds": sum(own),
        "busy_share": sum(own) / after / len(workers),
        "workers": workers,
        "hashes": {sample_of(event): [event["sha256"], *event["latents"].values()] for event in events},
        "keys": {sample_of(event): event["key"] for event in events},
        "beside": sorted({event["cohort"]["beside"] for event in events}),
        "seconds_a_forward": forwards(events),
        "notes": sorted(note for event in events for note in event["notes"]),
    }


def sample_of(event: Found) -> str:
    """Return the name of an event's image."""
    sample = event["sample"]
    return (
        f"{sample['case']}@{sample['size']['width']}x{sample['size']['height']}-{sample['variant']}-s{sample['seed']}"
    )


def forwards(events: Sequence[Found]) -> Found:
    """Return the median seconds of a forward by variant, size and worker."""
    found: dict[str, dict[str, list[float]]] = {}
    for event in events:
        place = f"{event['cohort']['variant']} at {event['cohort']['effective']}"
        worker = str((event["made_on"] or {"worker": 0})["worker"])
        timing = event["timing"]
        found.setdefault(place, {}).setdefault(worker, []).append(timing["denoise_seconds"] / timing["forwards"])
    return {place: {name: median(values) for name, values in by.items()} for place, by in sorted(found.items())}


def same_images(one: Found, other: Found) -> Found:
    """Return how many of two sessions' images are the same: bytes and latents' statistics, and recipes."""
    both = one.get("hashes", {}).keys() & other.get("hashes", {}).keys()
    return {
        "compared": len(both),
        "equal": sum(one["hashes"][name] == other["hashes"][name] for name in both),
        "equal_recipes": sum(one["keys"][name] == other["keys"][name] for name in both),
    }
