"""What the parts of `compiled.py` share: results that are written as they come, inputs, and processes that compile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gpu_parts as parts
import torch
from compiled_steps import ways
from compiled_table import table
from diffusers import QwenImageTransformer2DModel

from qiltest.generation.random.operations import image_tokens
from qiltest.recipe import Size

Found = dict[str, Any]

SIZES = (Size(1328, 1328), Size(704, 1280), Size(1280, 1280))
#: blocks of the model that a process of its own compiles: all blocks share one code.
FEW_BLOCKS = 2


@dataclass
class Bench:
    """What the measurements share."""

    out: Path
    scale: parts.Scale
    budget: float
    results: Found
    begin: float = field(default_factory=time.monotonic)
    eager_outputs: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds that remain of the budget."""
        return self.budget - (time.monotonic() - self.begin)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of computing."""
        return torch.float32 if self.scale.dry else torch.bfloat16

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes that are measured."""
        return tuple(self.scale.size(size).effective() for size in SIZES)

    def wait(self) -> None:
        """Wait for the device."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def write(self) -> None:
        """Write what is known."""
        self.results["wall_seconds"] = time.monotonic() - self.begin
        (self.out / "compile.json").write_text(json.dumps(self.results, indent=1, default=str), encoding="utf-8")
        (self.out / "compile.txt").write_text(table(self.results), encoding="utf-8")

    def attempt(self, name: str, act: Callable[[], Found], *, into: Found | None = None, estimate: float = 0.0) -> None:
        """Do one thing and note what it found, or why it failed."""
        found = self.results if into is None else into
        begin = time.monotonic()
        if self.left < (0 if self.scale.dry else estimate):
            found[name] = {"left_out": f"{self.left:.0f} s remained, it takes about {estimate:.0f}"}
        else:
            try:
                with torch.no_grad():
                    found[name] = act()
            except Exception as error:  # noqa: BLE001  one boundary: the other steps go on
                found[name] = {
                    "error": f"{type(error).__name__}: {error}"[:1500],
                    "traceback": traceback.format_exc()[-3000:],
                }
        state = found[name].get("error") or found[name].get("left_out") or "done"
        print(f"[{time.monotonic() - self.begin:6.1f}] {name}: {str(state)[:300]}", flush=True)
        found[name].setdefault("took_seconds", time.monotonic() - begin)
        self.write()


def inputs_of(bench: Bench, size: Size, tokens: int) -> Found:
    """Return what the pipeline gives the transformer at this size, with random values."""
    random = torch.Generator(bench.scale.device).manual_seed(7)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random, device=bench.scale.device, dtype=torch.float32).to(bench.dtype)

    return {
        "hidden_states": noise(1, image_tokens(size), 64),
        "encoder_hidden_states": noise(1, tokens, bench.scale.base().joint_attention_dim),
        "encoder_hidden_states_mask": None,
        "timestep": torch.tensor([0.7], device=bench.scale.device, dtype=bench.dtype),
        "img_shapes": [[(1, size.height // 16, size.width // 16)]],
        "guidance": None,
        "attention_kwargs": {},
        "return_dict": False,
    }


def seconds_of(bench: Bench, act: Callable[[], object]) -> float:
    """Return the seconds of one act, the device idle before and after it."""
    bench.wait()
    begin = time.perf_counter()
    act()
    bench.wait()
    return time.perf_counter() - begin


def child(bench: Bench, tokens: int) -> int:
    """Compile a model of few blocks in this process and print the seconds of its first forwards."""
    config = {**bench.scale.transformer, "num_layers": FEW_BLOCKS}
    with torch.device(bench.scale.device):
        transformer = QwenImageTransformer2DModel(**config)
    transformer = transformer.to(bench.dtype).eval().requires_grad_(False)
    ways()(transformer)
    with torch.no_grad():
        given = [inputs_of(bench, size, tokens) for size in bench.sizes[:2]]
        print(json.dumps([seconds_of(bench, lambda one=one: transformer(**one)) for one in given]))  # type: ignore[misc]
    return 0


def start_child(bench: Bench, tokens: int) -> subprocess.Popen[str]:
    """Start a process that compiles as this one does, with the same cache."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("compiled.py")),
        "--out",
        str(bench.out),
        "--child",
        str(tokens),
    ]
    command += ["--dry-run"] if bench.scale.dry else []
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish_child(started: subprocess.Popen[str], patience: float) -> Found:
    """Return the seconds that the process printed: of the first forward at the first two sizes."""
    try:
        said, _ = started.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        started.kill()
        return {"error": f"did not end within {patience:.0f} s"}
    if started.returncode != 0:
        return {"error": f"exit code {started.returncode}: {said[-800:]}"}
    return {"first_seconds": json.loads(said.strip().splitlines()[-1])}
