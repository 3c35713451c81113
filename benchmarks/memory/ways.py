"""Each way of generating on a small card, on a large one that is made to look small.

    python benchmarks/memory/ways.py --out RESULTS [--model random] [--ways a,b] [--budget SECONDS] [--dry-run]

Each way is a fresh process in which torch may take no more device memory than the card has
(`torch.cuda.set_per_process_memory_fraction`). It generates the base (2 steps with guidance), 8step and 4step, and the
base once more, decodes each, and notes the device memory (allocated and reserved, by stage), the host memory that is
the process' own, seconds per forward, and the latents' hashes: exact ways must agree with one another, and the base
with itself. Results are written after each way to `RESULTS/ways.json`, so that a way that fails loses no other; one
that no longer fits the budget is left out and says so. `--model` takes what `--qil-model` does; `--dry-run` takes the
same way on the CPU with the embedded model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src"))

if TYPE_CHECKING:
    from qiltest.generation._generator import DiffusersGenerator
    from qiltest.suite.variants import Variant

GIB = 1 << 30
Found = dict[str, Any]
#: name -> GiB of device memory that torch sees on such a card, options; the most telling first. An L4 and an A10G
#: have 22 GiB, an RTX 5090 31.4, an L40S 44.4.
WAYS: dict[str, tuple[float, dict[str, Any]]] = {
    "none, 80 GB": (79.0, {}),
    "fp8, 24 GB": (22.0, {"fp8": True}),
    "group, 24 GB": (22.0, {"offload": "group"}),
    "none, 48 GB": (44.4, {}),
    "group and fp8, 16 GB": (15.6, {"offload": "group", "fp8": True}),
    "model, 48 GB": (44.4, {"offload": "model"}),
    "fp8, 32 GB": (31.4, {"fp8": True}),
}
#: seconds that a way may take, and that must be left for one to begin.
MOST, LEAST = 150.0, 40.0
#: seconds between two looks at the process' memory.
TICK = 0.02
CASE = "pi-number"
BASE_STEPS = 2


def main() -> int:
    """Run the ways that were asked for; 0 where none failed and exact ways agree."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="random")
    parser.add_argument("--ways", default="|".join(WAYS), help="names, separated by |")
    parser.add_argument("--budget", type=float, default=470.0, help="seconds for all ways together")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(_one(args.one, model=args.model, dry=args.dry_run)))
        return 0
    names = args.ways.split("|")
    unknown = set(names) - set(WAYS)
    if unknown:
        parser.error(f"no such way: {', '.join(sorted(unknown))}")
    args.out.mkdir(parents=True, exist_ok=True)
    begin, found = time.monotonic(), {}
    for name in names:
        left = args.budget - (time.monotonic() - begin)
        found[name] = _apart(name, args, left) if left > LEAST else {"left_out": f"{left:.0f} s remained"}
        results = {
            "model": args.model,
            "dry_run": args.dry_run,
            "wall_seconds": time.monotonic() - begin,
            "ways": found,
        }
        temporary = args.out / "ways.json.part"
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        temporary.replace(args.out / "ways.json")
        print(_line(name, found[name]), flush=True)
    faults = _disagreements(found)
    for fault in faults:
        print(fault, flush=True)
    return 1 if faults or any("error" in one for one in found.values()) else 0


def _apart(name: str, args: argparse.Namespace, left: float) -> Found:
    """Run one way in a process of its own."""
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--out",
        str(args.out),
        "--model",
        args.model,
        "--one",
        name,
    ]
    with tempfile.TemporaryDirectory(prefix="qiltest-ways-") as scratch:
        environment = {"QILTEST_CACHE": scratch, **os.environ}
        try:
            done = subprocess.run(
                [*command, *(["--dry-run"] if args.dry_run else [])],
                capture_output=True, text=True, timeout=min(MOST, left), check=False, env=environment,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            said = error.stderr or b""
            told = said.decode(errors="replace") if isinstance(said, bytes) else said
            return {"error": f"not done after {error.timeout:.0f} s", "stderr": told[-2000:]}
    last = done.stdout.strip().splitlines()[-1:] or [""]
    try:
        found: Found = json.loads(last[0])
    except ValueError:
        return {"error": f"exit code {done.returncode}", "stderr": (done.stdout + done.stderr)[-4000:]}
    return found


def _one(name: str, *, model: str, dry: bool) -> Found:
    """Generate all variants in one way, and return what was measured; of a failure, what was measured before it."""
    card, options = WAYS[name]
    found: Found = {"card_gib": card, "options": options, "variants": []}
    begin = time.perf_counter()
    with _host_peak() as host:
        try:
            generator = _opened(model, card, options, dry=dry)
            found["import_and_open_seconds"] = time.perf_counter() - begin
            for variant in _variants():
                found["variants"].append(_measured(generator, variant, dry=dry))
            found["stage_peak_gib"] = {stage: peak / GIB for stage, peak in generator.peaks.items()}
            found["pinned"] = _pinned(generator)
        except Exception as error:  # noqa: BLE001  one boundary: what was measured so far is kept
            found["error"] = f"{type(error).__name__}: {error}"[:600]
            found["traceback"] = traceback.format_exc()[-4000:]
        found |= {} if dry else _device_peaks()
    return found | {
        "seconds": time.perf_counter() - begin,
        "host_gib": {key: value / GIB for key, value in host.items()},
    }


def _opened(model: str, card: float, options: dict[str, Any], *, dry: bool) -> DiffusersGenerator:
    import torch

    from qiltest.generation import Settings, open_generator

    if dry:
        return open_generator("tiny", Settings(device="cpu", merge=True, **options))
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction(min(1.0, card * GIB / total))
    return open_generator(model, Settings(merge=True, **options))


def _variants() -> list[Variant]:
    """Return the report's variants, the base with few steps, and the base again."""
    from qiltest.suite.load import load_suite

    suite = load_suite(ROOT / "cases")
    base = replace(suite.variant("base"), steps=BASE_STEPS)
    return [base, suite.variant("8step"), suite.variant("4step"), base]


def _measured(generator: DiffusersGenerator, variant: Variant, *, dry: bool) -> Found:
    from qiltest.recipe import Size
    from qiltest.suite.load import load_suite

    case = load_suite(ROOT / "cases").case(CASE)[0]
    size = Size(256, 256) if dry else Size(1328, 1328)
    recipe = generator.recipe(case, size, variant, 42)
    begin = time.perf_counter()
    denoised = generator.denoise(recipe)
    between = time.perf_counter()
    decoded = generator.decode_pixels(denoised)
    per_step = denoised.timing.step_seconds[1:] or denoised.timing.step_seconds
    return {
        "variant": variant.name,
        "size": str(recipe.effective),
        "dtype": recipe.dtype,
        "nfe": recipe.nfe,
        # the first step of a process chooses kernels, and traces the order of blocks
        "seconds_a_forward": median(per_step) * recipe.steps / recipe.nfe,
        "denoise_seconds": denoised.denoise_seconds,
        "load_switch_and_denoise_seconds": between - begin,
        "decode_seconds": decoded.timing.decode_seconds,
        "latents_sha256": denoised.latents_sha256,
        "pixels_mean": float(decoded.pixels.mean()),
    }


def _device_peaks() -> Found:
    import torch

    return {
        "allocated_gib": torch.cuda.max_memory_allocated() / GIB,
        "reserved_gib": torch.cuda.max_memory_reserved() / GIB,
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
    }


def _pinned(generator: DiffusersGenerator) -> bool:
    weight = next(iter(generator._pipeline.transformer.transformer_blocks.parameters()))
    return bool(weight.device.type == "cpu" and weight.is_pinned())


@contextmanager
def _host_peak() -> Iterator[dict[str, int]]:
    """Watch the process' memory: `own` is not backed by files, `all` has mapped files too, which can be let go."""
    peak = {"own": 0, "all": 0}
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(TICK):
            seen = _memory_now()
            for key, value in seen.items():
                peak[key] = max(peak[key], value)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def _memory_now() -> dict[str, int]:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith(" kB")}
    # files in /dev/shm, which are mapped too, are counted as RssShmem
    return {"own": sizes.get("RssAnon", 0), "all": sizes.get("VmRSS", 0)}


def _disagreements(found: dict[str, Found]) -> list[str]:
    """Say where a base did not come back, or a way gave other latents than the others of its storage."""
    faults: list[str] = []
    wanted: dict[tuple[str, str], tuple[str, str]] = {}
    for name, one in found.items():
        rows = one.get("variants", [])
        hashes = [row["latents_sha256"] for row in rows]
        if len(hashes) == 4 and hashes[0] != hashes[3]:
            faults.append(f"{name}: the base did not come back after the LoRAs")
        for row in rows:
            first = wanted.setdefault((row["variant"], row["dtype"]), (name, row["latents_sha256"]))
            if first[1] != row["latents_sha256"]:
                faults.append(f"{name}: {row['variant']} has other latents than in {first[0]}")
    return faults


def _line(name: str, one: Found) -> str:
    if "left_out" in one:
        return f"{name}: left out, {one['left_out']}"
    told = f"{name}: " + (f"FAILED {one['error'][:300]}; " if "error" in one else "")
    if "reserved_gib" in one:
        told += f"{one['allocated_gib']:.1f} GiB allocated, {one['reserved_gib']:.1f} reserved of {one['card_gib']}; "
    if "host_gib" in one:
        told += f"host {one['host_gib']['own']:.1f} GiB; "
    rows = one.get("variants", [])
    told += ", ".join(f"{row['variant']} {row['seconds_a_forward']:.3f} s a forward" for row in rows)
    return told + (f"; {one['seconds']:.0f} s" if "seconds" in one else "")


if __name__ == "__main__":
    sys.exit(main())
