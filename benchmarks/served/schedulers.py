"""Measure by what the probe of `scheduler=lightning` tells a scheduler with a terminal from Lightning's.

    python benchmarks/served/schedulers.py

How much the images of two steps differ from those of one, over how much those of three differ from those of two, of two
seeds together, on the embedded model without a LoRA: with Lightning's scheduler, and with Qwen-Image's own, whose one
step is sigma 1 alone, as a server has it that catches its division by zero. Prints a row per pair of seeds and size.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from qiltest.serving.probes import difference
from served_embedded import EmbeddedPainter
from served_standin import Order

PROMPT = 'A sign reads "Qwen Coffee" and another "2 dollars"'
SEEDS, SIZES = (42, 44, 46, 48, 50), ((256, 128), (352, 352))


def main() -> None:
    """Print the shares."""
    paint = EmbeddedPainter(threads=1)
    print("| seeds | size | Lightning's scheduler | Qwen-Image's own |\n|---|---|---:|---:|")
    for seed in SEEDS:
        for width, height in SIZES:
            shares = [share(paint, order(seed, width, height, name)) for name in ("lightning", "guarded")]
            print(f"| {seed}, {seed + 1} | {width}x{height} | {shares[0]:.2f} | {shares[1]:.2f} |", flush=True)


def order(seed: int, width: int, height: int, scheduler: str) -> Order:
    """Return what is asked of the model, but for its steps."""
    return Order(
        prompt=PROMPT,
        negative_prompt=None,
        width=width,
        height=height,
        steps=1,
        cfg=1.0,
        seed=seed,
        device="cpu",
        lora="",
        scheduler=scheduler,
    )


def share(paint: EmbeddedPainter, asked: Order) -> float:
    """Return what a second step changes as a share of what a third one does, over two seeds."""
    second = third = 0.0
    for seed in (asked.seed, asked.seed + 1):
        one, two, three = (paint(replace(asked, seed=seed, steps=steps)) for steps in (1, 2, 3))
        second, third = second + difference(one, two), third + difference(two, three)
    return second / third


if __name__ == "__main__":
    main()
