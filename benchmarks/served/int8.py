"""Compare a served model with rounded weights with the one it was made from.

    python benchmarks/served/int8.py --seeds 2 --case coffee-shop --case keyboard

The embedded model stands behind the stand-in server of the tests: in float32, and with the weights of its linear layers
rounded to 8 and to 4 bits (one scale per output channel, computed in float32). Each is asked by a session of its own
(`pytest --qil-server`), and `qiltest compare` sets each rounded one against float32. Writes
`benchmarks/results/served_int8.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from served_embedded import EmbeddedPainter  # noqa: E402
from served_standin import serving  # noqa: E402

VARIANT, LORA = "8step-later", "embedded::8step"
WIDTHS = {"float32": None, "int8": 8, "int4": 4}


def main() -> None:
    """Ask each server, compare, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", action="append", metavar="ID[@WxH]", help="default: all")
    parser.add_argument("--seeds", default="2", help="as --qil-seeds")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads of the model")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = {name: session(name, bits, asked, Path(place)) for name, bits in WIDTHS.items()}
        found = {name: compared(runs["float32"], run, Path(place)) for name, run in runs.items() if name != "float32"}
    result = {"variant": VARIANT, "cases": asked.case, "seeds": asked.seeds, "compared": found}
    (ROOT / "benchmarks/results/served_int8.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def session(name: str, bits: int | None, asked: argparse.Namespace, place: Path) -> Path:
    """Let a session judge the images of one server; return its run."""
    painter = EmbeddedPainter(bits=bits, threads=asked.threads)
    with serving("vllm-omni", painter, scheduler="lightning") as server:
        says = ("scheduler=lightning", f"lora.{VARIANT}={LORA}", f"dtype={name}")
        command = [sys.executable, "-m", "pytest", "tests/report_cases", "-q", "-p", "no:cacheprovider", "--tb=no"]
        command += [f"--qil-server={server.url}", "--qil-server-api=vllm-omni", "--qil-model=tiny"]
        command += [*(f"--qil-server-says={one}" for one in says), f"--qil-variant={VARIANT}"]
        command += [f"--qil-seeds={asked.seeds}", f"--qil-runs={place / name}", f"--qil-golden={place / 'golden'}"]
        command += [f"--qil-case={case}" for case in asked.case or ()]
        done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    print(name, done.stdout[-2500:], done.stderr[-500:], flush=True)
    [run] = [path.parent for path in (place / name).glob("*/events.jsonl")]
    return run


def compared(before: Path, after: Path, place: Path) -> dict[str, Any]:
    """Return what `qiltest compare` says of two runs."""
    command = [sys.executable, "-m", "qiltest", "compare", str(before), str(after), "--json", f"--runs={place}"]
    done = subprocess.run(command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False)
    print(done.stdout[:3000], done.stderr, flush=True)
    return {"exit_code": done.returncode, **json.loads(done.stdout)}


def _environment() -> dict[str, str]:
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    return {**os.environ, "PYTHONPATH": paths, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


if __name__ == "__main__":
    main()
