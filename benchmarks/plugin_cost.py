"""What one unrelated test pays for qiltest where it is installed, beside what it pays for syrupy.

    python benchmarks/plugin_cost.py

Makes an environment with pytest alone, and folders of packages that are laid beside it, so that each measurement sees
its own plugins and no others. The environments take turns; what is printed and kept is the median of the processor time
and of the peak memory of a whole `pytest` of one test. It takes a minute or two, and pip needs its index.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "plugin_cost.json"
#: folders of packages, and what pip puts into each.
PACKAGES = {
    "syrupy": ["syrupy"],
    "required": ["pytest-benchmark", "py-cpuinfo", "pytest-timeout"],
    "qiltest": [str(ROOT)],
}
#: what is measured: folders laid beside pytest. `required` are the plugins that qiltest depends on.
ENVIRONMENTS = {
    "pytest alone": (),
    "with syrupy": ("syrupy",),
    "with qiltest": ("qiltest",),
    "with the plugins that qiltest requires": ("required",),
    "with these and qiltest": ("required", "qiltest"),
}
#: what each is held against.
BASES = {"with these and qiltest": "with the plugins that qiltest requires"}
TEST = "def test_of_another_project():\n    assert sum(range(10)) == 45\n"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Medians over the repetitions of one environment."""

    cpu_seconds: float
    peak_megabytes: float
    #: more than in the environment that it is held against.
    added_cpu_seconds: float
    added_megabytes: float
    all_cpu_seconds: list[float]


def main() -> None:
    """Measure, print the table and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=15, metavar="N", help="runs per environment (15)")
    parser.add_argument("--output", type=Path, default=RESULT, metavar="FILE", help=f"({RESULT.relative_to(ROOT)})")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="plugin-cost-") as scratch:
        python = prepare(Path(scratch))
        measured = measure(python, Path(scratch), args.repetitions)
        (syrupy,) = Path(scratch, "syrupy").glob("syrupy-*.dist-info")
        pytest = subprocess.run([python, "-m", "pytest", "--version"], capture_output=True, text=True, check=True)
    costs = {name: cost(name, measured) for name in ENVIRONMENTS}
    record = {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "pytest": pytest.stdout.split()[-1],
        "syrupy": syrupy.stem.partition("-")[2],
        "repetitions": args.repetitions,
        "environments": {name: asdict(found) for name, found in costs.items()},
    }
    args.output.write_text(json.dumps(record, indent=1) + "\n")
    for name, found in costs.items():
        print(
            f"{name:<40}{found.cpu_seconds:7.3f} s {found.peak_megabytes:7.1f} MB"
            f"   {found.added_cpu_seconds:+7.3f} s {found.added_megabytes:+6.1f} MB"
        )


def prepare(scratch: Path) -> Path:
    """Make the environment, the folders of packages and the project; return the environment's Python."""
    venv.create(scratch / "venv", with_pip=True)
    python = scratch / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "pytest"], check=True)
    for folder, packages in PACKAGES.items():
        subprocess.run([*pip, "--no-deps", f"--target={scratch / folder}", *packages], check=True)
    (scratch / "project").mkdir()
    (scratch / "project" / "test_other.py").write_text(TEST)
    return python


def measure(python: Path, scratch: Path, repetitions: int) -> dict[str, list[tuple[float, float]]]:
    """Return seconds of processor time and megabytes at the peak, by environment; the first round warms up only."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ENVIRONMENTS}
    for repetition in range(repetitions + 1):
        for name, folders in ENVIRONMENTS.items():
            one = run_once(python, scratch / "project", [scratch / folder for folder in folders])
            if repetition:
                found[name].append(one)
    return found


def run_once(python: Path, project: Path, folders: list[Path]) -> tuple[float, float]:
    """Run pytest on the project and return what it used."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    with subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"pytest ended with {child.returncode} beside {folders}")
    kilobytes = usage.ru_maxrss / 1024 if sys.platform == "darwin" else usage.ru_maxrss
    return usage.ru_utime + usage.ru_stime, kilobytes / 1024


def cost(name: str, measured: dict[str, list[tuple[float, float]]]) -> Cost:
    """Return the medians of an environment, and what it adds to the one that it is held against."""
    seconds, megabytes = medians(measured[name])
    base_seconds, base_megabytes = medians(measured[BASES.get(name, "pytest alone")])
    return Cost(
        cpu_seconds=round(seconds, 3),
        peak_megabytes=round(megabytes, 1),
        added_cpu_seconds=round(seconds - base_seconds, 3),
        added_megabytes=round(megabytes - base_megabytes, 1),
        all_cpu_seconds=[round(each, 3) for each, _ in measured[name]],
    )


def medians(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the median seconds and the median megabytes."""
    return statistics.median(each for each, _ in runs), statistics.median(each for _, each in runs)


if __name__ == "__main__":
    main()
