"""Every measurement of the suite on a GPU, in one go.

    python benchmarks/gpu/gpu_suite.py --out RESULTS [--stages a,b] [--budget SECONDS] [--quick] [--dry-run]

Full-size Qwen-Image and its text encoder with random weights, LoRA files of random values in the Lightning format at
full size (rank 64), and the embedded model. Nothing is downloaded. `--dry-run` takes the same way on the CPU with a
small stand-in. Results are written after each stage to `RESULTS/gpu_suite.json`, so that a stage that fails or a
session that is killed loses no other; a stage that no longer fits the budget is left out and says so, and latencies
that were measured when the budget ended are kept, marked `cut_short`. `--quick` times one loop of 8 steps and two of 4
after the warm-up, where two and three are timed otherwise (those differed by under 1 % but at 704x1280).

Where a machine has several GPUs, each takes a process with stages of its own (`CUDA_VISIBLE_DEVICES`, and `taskset` so
that neither's reading takes the other's cores); `release_check` belongs after `suite_wall` in one process, and
`gpu_table.py --merge` puts the results together.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import gpu_parts as parts
from gpu_lab import Found, Lab, OutOfTimeError, Stage
from gpu_latency import base, few_steps, machine, model, same_seed, switch
from gpu_sessions import release_check, suite_wall, tiny
from gpu_vendor import text_encoder, vendor_random, vendor_tiny

from qiltest.files import write_atomically
from qiltest.recipe import Size

#: name, what it does, and what it takes on an H200 (seconds, an estimate): too little left, and it is not begun.
STAGES: tuple[tuple[str, Stage, float], ...] = (
    ("machine", machine, 6),
    ("model", model, 30),
    ("latency_few_steps", few_steps("unfused"), 35),
    ("switch", switch, 5),
    ("same_seed", same_seed, 25),
    ("latency_base_1328", base("unfused", 0), 40),
    # the smallest of the report's sizes, where the suite's own cost weighs most, and the vendor's
    ("suite_wall", suite_wall("suite", Size(704, 1280)), 90),
    ("suite_wall_1328", suite_wall("suite-1328", Size(1328, 1328)), 170),
    ("release_check", release_check, 30),
    ("text_encoder", text_encoder, 20),
    ("tiny", tiny, 80),
    ("vendor_tiny", vendor_tiny, 30),
    ("vendor_random", vendor_random, 60),
    ("latency_fused", few_steps("fused"), 35),
    ("latency_compiled", few_steps("compiled", (0, 2)), 40),
    ("latency_base_704", base("unfused", 2), 20),
    ("latency_base_others", base("unfused", 1, 3), 62),
    ("latency_compiled_others", few_steps("compiled", (1, 3)), 40),
    ("latency_base_compiled_704", base("compiled", 2), 60),
)


def main() -> int:
    """Run the stages that were asked for; 0 where none failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stages", default=",".join(name for name, *_ in STAGES))
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for all stages together")
    parser.add_argument("--quick", action="store_true", help="fewer timed loops, see above")
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    asked = args.stages.split(",")
    unknown = set(asked) - {name for name, *_ in STAGES}
    if unknown:
        parser.error(f"no such stage: {', '.join(sorted(unknown))}")
    begin = time.monotonic()
    stages: dict[str, Found] = {}
    results: Found = {"dry_run": args.dry_run, "quick": args.quick, "stages": stages}
    signal.signal(signal.SIGALRM, _alarm)
    with tempfile.TemporaryDirectory(prefix="qiltest-gpu-") as scratch:
        os.environ["QILTEST_CACHE"] = f"{scratch}/cache"
        lab = Lab(scale=parts.Scale(dry=args.dry_run), scratch=Path(scratch), quick=args.quick)
        known = {name: (stage, estimate) for name, stage, estimate in STAGES}
        for name in asked:
            stage, estimate = known[name]
            left = args.budget - (time.monotonic() - begin)
            stages[name] = _run(name, stage, lab, left=left, estimate=0 if args.dry_run else estimate)
            results["wall_seconds"] = time.monotonic() - begin
            text = json.dumps(results, indent=1, ensure_ascii=False, default=str)
            write_atomically(args.out / "gpu_suite.json", text.encode())
        lab.let_go()
    return 1 if any("error" in one for one in stages.values()) else 0


def _run(name: str, stage: Stage, lab: Lab, *, left: float, estimate: float) -> Found:
    if left < estimate:
        print(f"{name}: left out, {left:.0f} s remain and it takes about {estimate:.0f}", flush=True)
        return {"left_out": f"{left:.0f} s remained, it takes about {estimate:.0f}"}
    begin = time.perf_counter()
    signal.alarm(max(1, int(left)))
    try:
        found = stage(lab)
    except (Exception, OutOfTimeError) as error:  # noqa: BLE001  one boundary: the other stages go on
        found = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()[-4000:]}
    finally:
        signal.alarm(0)
    seconds = time.perf_counter() - begin
    print(
        f"{name}: {'FAILED ' + str(found['error'])[:300] if 'error' in found else 'done'} in {seconds:.1f} s",
        flush=True,
    )
    return {"stage_seconds": seconds, **found}


def _alarm(_signal: int, _frame: object) -> None:
    raise OutOfTimeError("the stage outlasted the budget")


if __name__ == "__main__":
    sys.exit(main())
