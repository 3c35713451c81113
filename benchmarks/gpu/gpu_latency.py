"""Stages that time one model: the machine, loading, the denoise loop by size and way, switches, the same seed twice."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING

import gpu_parts as parts
from gpu_lab import Found, Lab, Latency, OutOfTimeError, Stage, allocated, timed

from qiltest.engine.environment import gpu_state, versions
from qiltest.generation.random.operations import forward_operations, image_tokens
from qiltest.recipe import Size

if TYPE_CHECKING:
    import torch


def machine(lab: Lab) -> Found:
    """Device, driver, versions, and the matrix rate: ten products of 8192 x 8192 bf16 matrices after three more."""
    import torch

    side, dtype = (256, torch.float32) if lab.scale.dry else (8192, torch.bfloat16)
    one, other = (torch.randn(side, side, device=lab.scale.device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        one @ other
    lab.wait()
    begin = time.perf_counter()
    for _ in range(10):
        one @ other
    lab.wait()
    lab.matrix_rate = 10 * 2 * side**3 / (time.perf_counter() - begin)
    return {
        "device": platform.processor() if lab.scale.dry else torch.cuda.get_device_name(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "cuda": torch.version.cuda,
        "versions": dict(versions()),
        "state": [asdict(state) for state in gpu_state()],
        "matrix_side": side,
        "matrix_tera_operations_a_second": lab.matrix_rate / 1e12,
        "reader": "rapidocr" if parts.has_reader() else "none: rapidocr is not installed here",
    }


def model(lab: Lab) -> Found:
    """Fill the model, write two LoRA files, inspect and load them: seconds and peak bytes of each."""
    spent: dict[str, float] = {}
    with timed(spent, "write two LoRA files"):
        sizes = {name: path.stat().st_size for name, path in lab.loras.items()}
    generator = lab.generator()
    with timed(spent, "fill the model"):
        _ = generator._pipeline
        lab.wait()
    small = lab.scale.sizes[2]
    for name in ("8step", "4step"):
        with timed(spent, f"inspect {name}: hash, keys, values, delta"):
            asked = lab.recipe(name, small)
        with timed(spent, f"load {name}, compare every module's delta, switch"):
            generator._switch(asked)
            lab.wait()
    return {"seconds": spent, "lora_bytes": sizes, "peak_bytes": allocated(lab)}


def _measure(lab: Lab, way: str, variant: str, size: Size, rounds: int) -> Latency:
    """Time the denoise loop of a variant at a size after a warm-up; the median round counts."""
    generator = lab.generator(way)
    asked = lab.recipe(variant, size, way=way)
    begin = time.perf_counter()
    generator.warm_up(asked)
    warm = time.perf_counter() - begin
    before = gpu_state()
    loops = [generator.denoise(asked) for _ in range(rounds)]
    seconds = float(median(loop.denoise_seconds for loop in loops))
    tokens = generator._prompts.get(asked.prompt).tokens
    rank = 0 if asked.lora is None or asked.lora.merged else asked.lora.rank
    operations = forward_operations(lab.scale.base(), asked.effective, text_tokens=tokens, lora_rank=rank)
    row: Latency = {
        "way": way,
        "variant": variant,
        "size": str(asked.effective),
        "nfe": asked.nfe,
        "seconds": seconds,
        "rounds": [loop.denoise_seconds for loop in loops],
        "warm_up_seconds": warm,
        "step_seconds": loops[0].timing.step_seconds,
        "seconds_a_forward": seconds / asked.nfe,
        "image_tokens": image_tokens(asked.effective),
        "prompt_tokens": tokens,
        "tera_operations_a_forward": operations / 1e12,
        "share_of_matrix_rate": operations * asked.nfe / seconds / lab.matrix_rate if lab.matrix_rate else None,
        "latents": sorted({loop.latents_sha256 for loop in loops}),
        "state": [asdict(state) for state in (*before, *gpu_state())],
    }
    lab.latencies.append(row)
    return row


def few_steps(way: str, places: Sequence[int] = (0, 1, 2, 3)) -> Stage:
    """Time both Lightning variants at these of the scale's sizes."""

    def stage(lab: Lab) -> Found:
        rounds = {"8step": 1, "4step": 2} if lab.quick else {"8step": 2, "4step": 3}
        asked = [(variant, lab.scale.sizes[place], rounds[variant]) for place in places for variant in rounds]
        found = _measured(lab, way, asked)
        return found | {"peak_bytes": dict(lab.generator(way).peaks)}

    return stage


def base(way: str, *places: int) -> Stage:
    """Time the base at these of the scale's sizes, and give the speed-ups over it."""

    def stage(lab: Lab) -> Found:
        found = _measured(lab, way, [("base", lab.scale.sizes[place], 1) for place in places])
        base = {(row["way"], row["size"]): row["seconds"] for row in lab.latencies if row["variant"] == "base"}
        unfused = {size: seconds for (own, size), seconds in base.items() if own == "unfused"}
        ups = [
            {
                "way": row["way"],
                "variant": row["variant"],
                "size": row["size"],
                "speed_up": unfused[row["size"]] / row["seconds"],
            }
            for row in lab.latencies
            if row["size"] in unfused and row["variant"] != "base"
        ]
        return found | {"speed_ups_over_unfused_base": ups}

    return stage


def _measured(lab: Lab, way: str, asked: Sequence[tuple[str, Size, int]]) -> Found:
    """Measure (variant, size, rounds) one after the other; what the budget leaves no time for is named."""
    rows: list[Latency] = []
    try:
        for variant, size, rounds in asked:
            rows.append(_measure(lab, way, variant, size, rounds))
    except OutOfTimeError:
        if not rows:
            raise
        return {"rows": rows, "cut_short": [f"{variant} at {size}" for variant, size, _ in asked[len(rows) :]]}
    return {"rows": rows}


def switch(lab: Lab) -> Found:
    """Seconds to go from one variant to another, device synchronised; a LoRA's first time, with loading, apart."""
    generator, size = lab.generator(), lab.scale.sizes[2]
    asked = {name: lab.recipe(name, size) for name in parts.VARIANTS}
    seconds: dict[str, list[float]] = {}
    first: dict[str, float] = {}
    before = "base"
    generator._switch(asked[before])
    for name in ("8step", "4step", "base", "4step", "8step", "base") * 3:
        lab.wait()
        begin = time.perf_counter()
        generator._switch(asked[name])
        lab.wait()
        spent = time.perf_counter() - begin
        if name not in {"base", *first}:
            first[name] = spent
        else:
            seconds.setdefault(f"{before} to {name}", []).append(spent)
        before = name
    return {"worst_seconds": max(map(max, seconds.values())), "first_time_seconds": first, "seconds": seconds}


def same_seed(lab: Lab) -> Found:
    """Draw the same recipe twice, and again after other variants, and compare the latents' bytes."""
    generator, size = lab.generator(), lab.scale.sizes[2]
    asked = {
        "4step": lab.recipe("4step", size),
        "8step": lab.recipe("8step", size),
        "base, 5 steps": lab.recipe("base", size, steps=5),
    }
    found: dict[str, list[str]] = {name: [] for name in asked}
    kept: dict[str, list[torch.Tensor]] = {name: [] for name in asked}
    for _ in range(2):
        for name, recipe in asked.items():
            for _ in range(2):
                done = generator.denoise(recipe)
                found[name].append(done.latents_sha256)
                kept[name].append(done.latents.float().cpu())
    differ = {name: max(float((one - all_[0]).abs().max()) for one in all_) for name, all_ in kept.items()}
    return {"same": all(len(set(one)) == 1 for one in found.values()), "sha256": found, "largest_difference": differ}
