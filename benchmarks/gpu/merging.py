"""Measure what merging LoRAs costs on a GPU, and how far it is from merging on a CPU, as the report's script does.

    python benchmarks/gpu/merging.py OUT.json --model Qwen/Qwen-Image

Times each switch between variants with the weights in place, checks that the base comes back bit for bit, and counts
the weights that a GPU's float32 products round otherwise than a CPU's.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from qiltest.generation import Settings, open_generator
from qiltest.generation._generator import DiffusersGenerator
from qiltest.generation._merge import Factors, exact_products, file_factors, merged
from qiltest.generation._place import read_weight
from qiltest.recipe import Recipe, Size
from qiltest.suite.load import load_suite

SUITE = Path(__file__).parents[2] / "cases"
ORDER = ("8step", "4step", "base", "8step", "base")
#: every n-th module is merged on the CPU too.
EVERY = 30


def recipe_of(generator: DiffusersGenerator, name: str) -> Recipe:
    """Return the recipe of a shipped variant, at one size."""
    suite = load_suite(SUITE)
    return generator.recipe(suite.cases[0], Size(1328, 1328), suite.variant(name), 42)


def switches(generator: DiffusersGenerator) -> list[dict[str, Any]]:
    """Time each switch of `ORDER`, device synchronised."""
    rows, before = [], "base"
    for name in ORDER:
        recipe = recipe_of(generator, name)
        torch.cuda.synchronize()
        begin = time.perf_counter()
        generator._switch(recipe)
        torch.cuda.synchronize()
        rows.append({"from": before, "to": name, "seconds": time.perf_counter() - begin})
        before = name
    return rows


def restored(generator: DiffusersGenerator) -> dict[str, int]:
    """Compare every weight that a LoRA changes with its file."""
    generator._switch(recipe_of(generator, "8step"))
    changed = sorted(generator._merged._merged)
    generator._switch(recipe_of(generator, "base"))
    transformer, other = generator._pipeline.transformer, 0
    with generator._merged._weights.reading() as read:
        for module in changed:
            live = read_weight(transformer, f"{module}.weight")
            other += int(not torch.equal(live, read(f"{module}.weight").to(live.device, live.dtype)))
    return {"modules": len(changed), "not restored": other}


def against_cpu(generator: DiffusersGenerator) -> dict[str, float]:
    """Count the weights that merging on the CPU rounds otherwise."""
    lora = recipe_of(generator, "8step").lora
    assert lora is not None
    path, report = generator._inspected(lora)
    total = other = 0
    with generator._merged._weights.reading() as read, exact_products():
        for place, one in enumerate(file_factors(path, generator._recipes.base, report)):
            if place % EVERY:
                continue
            weight = read(f"{one.module}.weight").to(torch.bfloat16)
            on_gpu = merged(weight.cuda(), Factors(module=one.module, down=one.down, up=one.up, scale=one.scale))
            other += int((on_gpu.cpu() != merged(weight, one)).sum())
            total += weight.numel()
    return {"weights": total, "other": other, "share": other / total}


def main() -> None:
    """Write the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="Qwen/Qwen-Image")
    asked = parser.parse_args()
    generator = open_generator(asked.model, Settings(device="cuda"))
    begin = time.perf_counter()
    generator._switch(recipe_of(generator, "base"))
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "loading": time.perf_counter() - begin}
    found["allocated GiB, base"] = torch.cuda.memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    found["switches"] = switches(generator)
    found["peak GiB of switching"] = torch.cuda.max_memory_allocated() / 2**30
    found["restored"] = restored(generator)
    found["merged on the CPU"] = against_cpu(generator)
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
