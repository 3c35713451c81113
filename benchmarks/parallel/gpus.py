"""Workers measured on two GPUs of one host: the same images on none, on one and on two workers, and what disturbs them.

    python benchmarks/parallel/gpus.py --out RESULTS [--stages a,b] [--budget SECONDS] [--base-steps N] [--dry-run]

Qwen-Image at full size with random weights, and the embedded model; nothing is downloaded. Sessions are processes of
their own, as a user starts them. All 33 images of the report are generated, with `--base-steps` steps of `base` in
place of its 50, so that three sessions fit into minutes: what a worker costs is per image and per switch of a variant,
so shorter images show it more, not less (and with 6 steps the images divide among two workers as with 50). Results are
written after each stage to `RESULTS/workers.json`, and the table to `RESULTS/workers.txt`; a stage that no longer fits
the budget is left out and says so. `--dry-run` takes the same way on the CPU with the embedded model.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from gpus_cpu import Beside, check_begins, check_ends, ended, suite_begins, suite_ends
from gpus_loads import loads
from gpus_neighbour import neighbours
from gpus_ray import ray_session
from gpus_sessions import (
    ROOT,
    Found,
    Lab,
    environment,
    generated,
    pytest_command,
    run_command,
    same_images,
    suite_session,
)
from gpus_table import lines_of

from qiltest.files import write_atomically

Stage = Callable[[Lab], Found]
#: what a worker and a session read from the disk when they are the first: libraries, and kernels of each GPU.
_IMPORTS = """
import importlib, torch
for name in ("diffusers", "transformers", "peft", "qiltest.plugin", "qiltest.generation._generator", "scipy.stats",
             "rapidocr", "onnxruntime", "qiltest.session.summary", "ray"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
for gpu in range(torch.cuda.device_count()):
    one = torch.ones(1, 4, 64, 64, device=gpu, dtype=torch.bfloat16)
    torch.nn.functional.scaled_dot_product_attention(one, one, one) @ one
    torch.nn.functional.conv3d(one[None].float(), one[None, :, :1, :3, :3].float())
    torch.cuda.synchronize(gpu)
"""
_MACHINE = "name,uuid,driver_version,power.limit,clocks.max.sm"


def machine(lab: Lab) -> Found:
    """Describe the machine, and read the libraries from its disk once, so that no session is the first."""
    begin = time.perf_counter()
    imports = [sys.executable, "-c", _IMPORTS]
    cold = run_command(imports, lab.scratch / "imports", environment(), limit=min(120, lab.left))
    warm = run_command(imports, lab.scratch / "imports", environment(), limit=min(120, lab.left))
    found: Found = {
        "cores": len(lab.cores),
        "python": sys.version.split()[0],
        "imports_first": cold.seconds,
        "imports_again": warm.seconds,
        "imports_status": [cold.status, warm.status],
        "imports_said": warm.output[-1000:],
        "ray": _version("ray"),
        "torch": _version("torch"),
        "diffusers": _version("diffusers"),
    }
    try:
        query = ["nvidia-smi", f"--query-gpu={_MACHINE}", "--format=csv,noheader"]
        found["gpus"] = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.split("\n")
    except (OSError, subprocess.SubprocessError) as error:
        found["gpus"] = [f"unknown: {error}"]
    return found | {"seconds": time.perf_counter() - begin}


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def none(lab: Lab) -> Found:
    """Generate all images in the session's own process, on the first GPU."""
    return suite_session(lab, "none", gpus="0")


def one(lab: Lab) -> Found:
    """Generate all images on one worker, on the same GPU."""
    found = suite_session(lab, "one", "--qil-workers=1", gpus="0")
    return found | {"same_as_none": same_images(lab.stages.get("none", {}), found)}


def two(lab: Lab) -> Found:
    """Generate all images on two workers; from now on the suite on the embedded model has two cores of its own."""
    suite_begins(lab)
    found = suite_session(lab, "two", "--qil-workers=2", gpus="0,1")
    return found | {"same_as_none": same_images(lab.stages.get("none", {}), found)}


def killed_begins(lab: Lab) -> None:
    """Begin `_killed`: its seconds are not of interest, and the embedded model leaves the GPUs room."""
    lab.beside["killed"] = Beside(lambda: _killed(lab))


def killed_ends(lab: Lab) -> Found:
    """Wait for `_killed`."""
    return ended(lab, "killed")


def _killed(lab: Lab) -> Found:
    """End a worker with SIGKILL in the middle of an image."""
    told: Found = {}

    def look(child: subprocess.Popen[bytes], runs: Path) -> None:
        made = [event["made_on"]["worker"] for event in generated(runs)]
        if told or not {1, 2} <= set(made):
            return
        # each has made an image, and the second one is in its next
        time.sleep(0.1 if lab.dry else 0.5)
        pid = _worker_of(child.pid, 1, dry=lab.dry)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            told.update(pid=pid, after_images=len(made))

    found = suite_session(
        lab, "killed", "--qil-variant=8step", "--qil-workers=2", gpus="0,1", cores=_late(lab), meanwhile=look
    )
    notices = [line for line in str(found["tail"]).splitlines() if line.startswith("qiltest: worker")]
    return found | {"killed": told, "notices": notices, "same_as_none": same_images(lab.stages.get("none", {}), found)}


def _worker_of(session: int, gpu: int, *, dry: bool) -> int | None:
    """Return the process of a session's worker by its GPU; in the dry run the last one that it started."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = int(words[1]) == session and b"qiltest.engine.parallel.process" in command
        if ours and (dry or f"CUDA_VISIBLE_DEVICES={gpu}".encode() in variables):
            found.append(int(folder.name))
    return max(found, default=None)


def embedded(lab: Lab) -> Found:
    """Run the suite on the embedded model on two workers, read and judged; `qiltest check` has 16 other cores."""
    check_begins(lab)
    killed_begins(lab)
    folder = lab.scratch / "embedded"
    where = ["--qil-threads=1"] if lab.dry else ["-m", "gpu", "--qil-report-latency"]
    chosen = ["--qil-case=pi-number", "--qil-variant=4step"] if lab.dry else []
    command = pytest_command(
        "tests/report_cases", *where, *chosen, "--qil-model=tiny", "--qil-rounds=1", "--qil-workers=2",
        "--qil-fresh", f"--qil-runs={folder}/runs",
    )  # fmt: skip
    cores = ",".join(map(str, _late(lab)))
    env = environment("" if lab.dry else "0,1") | {"QILTEST_CACHE": str(lab.scratch / "cache")}
    (folder / "work").mkdir(parents=True)
    ran = run_command(
        ["sh", "-c", 'cd "$0" && exec taskset -c "$@"', str(ROOT), cores, *command],
        folder / "work", env, limit=min(150, lab.left),
    )  # fmt: skip
    made = generated(folder / "runs")
    workers = sorted({(event["made_on"]["worker"], event["made_on"]["gpu"]) for event in made})
    return ran.found() | {"images": len(made), "workers": workers}


def _late(lab: Lab) -> tuple[int, ...]:
    """Return cores beside the 16 of `qiltest check`."""
    return lab.gpu_cores[16:] if len(lab.gpu_cores) >= 24 else lab.gpu_cores


#: name, what it does, and what it takes on two H200 (seconds, an estimate): too little left, and it is not begun.
STAGES: tuple[tuple[str, Stage, float], ...] = (
    ("machine", machine, 60),
    ("none", none, 125),
    ("one", one, 125),
    ("two", two, 80),
    ("embedded", embedded, 45),
    ("killed", killed_ends, 0),
    ("check", check_ends, 0),
    ("suite", suite_ends, 0),
    ("neighbours", neighbours, 55),
    ("loads", loads, 45),
    ("ray", ray_session, 60),
)


def main() -> int:
    """Run the stages that were asked for; 0 where none failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", default=",".join(name for name, *_ in STAGES))
    parser.add_argument("--budget", type=float, default=700.0, help="seconds for all stages together")
    parser.add_argument("--base-steps", type=int, default=6, help="steps of base, which has 50 in the report")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    asked = args.stages.split(",")
    known = {name: (stage, estimate) for name, stage, estimate in STAGES}
    if unknown := set(asked) - known.keys():
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="qiltest-workers-") as scratch:
        lab = Lab(
            scratch=Path(scratch), dry=args.dry_run, base_steps=args.base_steps, seeds=args.seeds,
            deadline=begin + args.budget,
        )  # fmt: skip
        for name in asked:
            stage, estimate = known[name]
            lab.stages[name] = _run(name, partial(stage, lab), lab, 0 if args.dry_run else estimate)
            _write(args, lab, time.monotonic() - begin)
        for beside in lab.beside.values():  # each ends with the budget
            beside.join()
    return 1 if any("error" in found for found in lab.stages.values()) else 0


def _run(name: str, stage: Callable[[], Found], lab: Lab, estimate: float) -> Found:
    if lab.left < estimate:
        print(f"{name}: left out, {lab.left:.0f} s remain and it takes about {estimate:.0f}", flush=True)
        return {"left_out": f"{lab.left:.0f} s remained, it takes about {estimate:.0f}"}
    begin = time.perf_counter()
    try:
        found = stage()
    except Exception as error:  # noqa: BLE001  one boundary: the other stages go on
        found = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()[-4000:]}
    seconds = time.perf_counter() - begin
    print(f"{name}: {'FAILED ' + found['error'][:300] if 'error' in found else 'done'} in {seconds:.1f} s", flush=True)
    return {"stage_seconds": seconds, **found}


def _write(args: argparse.Namespace, lab: Lab, seconds: float) -> None:
    results = {
        "dry_run": args.dry_run, "base_steps": args.base_steps, "seeds": args.seeds, "wall_seconds": seconds,
        "stages": lab.stages,
    }  # fmt: skip
    write_atomically(args.out / "workers.json", json.dumps(results, indent=1, ensure_ascii=False).encode())
    try:
        lines = list(lines_of(results))
    except (KeyError, TypeError, ValueError) as error:  # of a stage that ended half-way; its results are above
        lines = [f"no table: {type(error).__name__}: {error}"]
    write_atomically(args.out / "workers.txt", ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
