"""What runs on the CPU beside the GPUs, on cores of its own: the suite on two, and `qiltest check` on sixteen."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from gpus_sessions import ROOT, Found, Lab, environment, generated, on_cores, pytest_command, run_command

#: cores of `qiltest check`.
CHECK_CORES = 16
#: seconds after which one is ended: several times what it should take.
_LIMIT = 300.0


class Beside(threading.Thread):
    """Work that goes on while stages run."""

    def __init__(self, act: Callable[[], Found]) -> None:
        super().__init__(daemon=True)
        self._act, self.found = act, Found()
        self.start()

    def run(self) -> None:
        """Do it; an error is what was found."""
        try:
            self.found = self._act()
        except Exception as error:  # noqa: BLE001  one boundary: the stages go on
            self.found = {"error": f"{type(error).__name__}: {error}"}


def suite_begins(lab: Lab) -> None:
    """Begin the suite on the embedded model on two free cores, with its report."""
    lab.beside["suite"] = Beside(lambda: _suite(lab))


def check_begins(lab: Lab) -> None:
    """Begin `qiltest check` on the embedded model."""
    lab.beside["check"] = Beside(lambda: _check(lab))


def suite_ends(lab: Lab) -> Found:
    """Wait for the suite."""
    return ended(lab, "suite")


def check_ends(lab: Lab) -> Found:
    """Wait for `qiltest check`."""
    return ended(lab, "check")


def ended(lab: Lab, name: str) -> Found:
    """Wait for work that was begun beside the stages; it ends with the budget."""
    beside = lab.beside.get(name)
    if beside is None:
        return {"left_out": "it was not begun: its stage was left out"}
    beside.join(max(0.0, lab.left) + 5.0)
    return {"left_out": "it had not ended when the budget did"} if beside.is_alive() else beside.found


def _suite(lab: Lab) -> Found:
    """Do what the first session of `make suite` does: 33 images, read and judged, and the report."""
    folder, cores = lab.scratch / "cpu-suite", lab.free_cores
    few = ["--qil-case=pi-number", "--qil-variant=4step"] if lab.dry else []
    runs = folder / "runs"
    suite = pytest_command("tests/report_cases", *few, f"--qil-workers={len(cores)}", f"--qil-runs={runs}")
    report = [sys.executable, "-m", "qiltest", "report", "latest", "--runs", str(runs)]
    first = _at_root(lab, folder / "suite", cores, suite)
    second = _at_root(lab, folder / "report", cores, report)
    images = generated(runs)
    return {
        "cores": len(cores),
        "wall_seconds": first["wall_seconds"] + second["wall_seconds"],
        "images": len(images),
        "suite": first,
        "report": second,
    }


def _check(lab: Lab) -> Found:
    """Compare all cases at four seeds: the 4-step LoRA a little weaker in its own place, 88 images of both."""
    cores = lab.gpu_cores[:CHECK_CORES]
    few = ["--case", "pi-number", "--seeds", "1"] if lab.dry else ["--seeds", "4"]
    found: Found = {"cores": len(cores)}
    for name, more in (("default", ()), ("readers_1", ("--readers", "1"))):
        runs = lab.scratch / "cpu-check" / name / "runs"
        command = [
            sys.executable, "-m", "qiltest", "check", "--lora", "embedded::4step", "--strength", "0.99", "--like",
            "4step", "--fresh", "--runs", str(runs), *few, *more,
        ]  # fmt: skip
        ran = _at_root(lab, runs.parent, cores, command)
        found[name] = ran | {"images": len(generated(runs)), **_phases(runs)}
    return found


def _at_root(lab: Lab, folder: Path, cores: Sequence[int], command: Sequence[str]) -> Found:
    """Run a command in the repository's root, without a GPU."""
    inside = ["sh", "-c", 'cd "$0" && exec "$@"', str(ROOT), *on_cores(cores, command)]
    env = environment() | {"CUDA_VISIBLE_DEVICES": "", "OMP_WAIT_POLICY": "PASSIVE"}
    return run_command(inside, folder, env, limit=max(1.0, min(_LIMIT, lab.left))).found()


def _phases(runs: Path) -> Found:
    """Return when a check's run began, had its first and last image, its last verdict, and ended."""
    at: dict[str, list[str]] = {}
    for path in runs.glob("*/events.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            at.setdefault(event["event"], []).append(event["at"])
    return {"phases": {name: [min(times), max(times)] for name, times in at.items()}}
