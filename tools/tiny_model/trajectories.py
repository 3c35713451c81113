"""Distil the LoRAs from stored ways of the teacher: affordable on a CPU, where `distil.py` wants a GPU.

    python tools/tiny_model/trajectories.py draw --model MODEL --out WAYS --minutes 12 --part 0/2 &
    python tools/tiny_model/trajectories.py draw --model MODEL --out WAYS --minutes 12 --part 1/2
    python tools/tiny_model/trajectories.py fit --model MODEL --out WAYS --steps 8 --minutes 25 &
    python tools/tiny_model/trajectories.py fit --model MODEL --out WAYS --steps 4 --minutes 25

`draw` lets the guided base go its way from noise to image and keeps the latents at the levels of 8 steps, of which those of 4
steps are every second: one set of ways serves both LoRAs. `fit` starts on a way, or where the student itself has come to from
the way's noise, and learns the velocity that leads to the way's next level. `--go-on` begins with the LoRA that is there and
takes half of its samples from new noise, for the first step alone: it decides where the texts stand. Each process uses one thread: two threads that share
their cores with anything else wait for each other more than they work.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from charset import case_prompts, case_sizes
from data import encode_map
from diffusers import QwenImagePipeline
from distil import Adapter, Distiller, Scene, levels
from fused_model import Lean
from prompts import LONGEST, SUFFIXES, Writer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from qiltest.arguments import existing_folder

#: levels at which a way is kept, and the teacher's steps between two of them
KEPT, BETWEEN = 8, 2
#: share of prompts from the case files; of those, how many show their own texts (`prompts.AS_IT_IS`)
FROM_CASES = 0.55
#: width, height and prompt tokens of the others
OTHERS = (
    (256, 128, 72),
    (256, 128, 120),
    (384, 128, 96),
    (512, 128, 72),
    (256, 192, 104),
    (448, 160, 176),
    (256, 256, 152),
)
#: samples whose gradients make one step, and the peak learning rate
BATCH, RATE = 4, 1.5e-3
#: share of starting points on the student's own way
OWN = 0.4


class Lab:
    """The model and what draws its prompts."""

    def __init__(self, args: argparse.Namespace, seed: int) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        pipe = QwenImagePipeline.from_pretrained(args.model, dtype=torch.float32)
        self.transformer = pipe.transformer
        self.lean = Lean(pipe.transformer, pipe.text_encoder.model.language_model, torch.float32, compiled=False)
        self.prefix, self.suffix, self.ids = encode_map(pipe.tokenizer)
        with torch.no_grad():
            self.nothing = self.encode(torch.tensor([[*self.prefix, self.ids[" "], *self.suffix]]))
        self.rng = np.random.default_rng(seed)
        self.writer = Writer(self.rng)
        self.cases = [(n, w, h) for n, (name, sizes) in enumerate(case_sizes().items()) for w, h in sizes]
        self.lengths = [len(prompt) for prompt in case_prompts().values()]

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lean.encode(ids, len(self.prefix))

    def scene(self) -> tuple[torch.Tensor, int, int]:
        """Token ids of a random prompt and the rows and columns of its image."""
        if self.rng.random() < FROM_CASES:
            case, width, height = self.cases[int(self.rng.integers(len(self.cases)))]
            length = min(LONGEST, (self.lengths[case] + len(SUFFIXES[0]) + 15) // 8 * 8)
        else:
            width, height, length = OTHERS[int(self.rng.integers(len(OTHERS)))]
            case = None
        sample = self.writer.sample(length, width, height, case)
        tokens = [*self.prefix, *(self.ids[c] for c in sample.prompt), *self.suffix][: len(self.prefix) + LONGEST]
        return torch.tensor([tokens]), height // 16, width // 16


def draw(args: argparse.Namespace) -> None:
    part, parts = map(int, args.part.split("/"))
    lab = Lab(args, seed=100 + part)
    # the teacher alone has no adapter to switch
    teacher = Distiller(lab.lean, None, KEPT, lab.nothing, record=False)  # type: ignore[arg-type]
    grid, began, number = levels(KEPT * BETWEEN), time.monotonic(), part
    while time.monotonic() - began < 60 * args.minutes:
        ids, rows, cols = lab.scene()
        with torch.no_grad():
            scene = Scene(0, lab.encode(ids), (1, rows, cols))
            x = torch.randn(1, rows * cols, 64)
            way = [x]
            for i in range(KEPT * BETWEEN):
                x = x + (grid[i + 1] - grid[i]) * teacher.guided(x, grid[i], scene)
                if (i + 1) % BETWEEN == 0:
                    way.append(x)
        path = args.out / f"way-{number:05d}.safetensors"
        save_file({"ids": ids, "shape": torch.tensor([rows, cols]), "way": torch.cat(way).to(torch.float16)}, path)
        number += parts
        if number // parts % 20 == 0:
            print(f"{time.monotonic() - began:.0f} s: {number // parts} ways", flush=True)


class Ways:
    """Stored ways, in random order, each once before any comes again."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.paths, self.rng = sorted(folder.glob("way-*.safetensors")), rng
        self.left: list[int] = []
        if not self.paths:
            raise SystemExit(f"no way-*.safetensors in {folder}: run `trajectories.py draw` first")

    def next(self) -> tuple[torch.Tensor, tuple[int, int, int], torch.Tensor]:
        if not self.left:
            self.left = list(self.rng.permutation(len(self.paths)))
        with safe_open(self.paths[self.left.pop()], "pt") as held:
            rows, cols = held.get_tensor("shape").tolist()
            return held.get_tensor("ids"), (1, rows, cols), held.get_tensor("way").float()


Sample = tuple[int, torch.Tensor, torch.Tensor, Scene, tuple[int, int, int]]


@torch.no_grad()
def on_a_way(lab: Lab, student: Distiller, ways: Ways) -> Sample:
    """Interval, start, velocity to learn, scene and shape, from a stored way."""
    ids, shape, way = ways.next()
    grid, steps = student.levels, len(student.levels) - 1
    stride = KEPT // steps
    scene, i = Scene(0, lab.encode(ids), shape), int(torch.randint(0, steps, ()))
    x = way[i * stride : i * stride + 1]
    if i and torch.rand(()) < OWN:
        x = student.own_way(way[:1], i, scene)
    return i, x, (way[(i + 1) * stride : (i + 1) * stride + 1] - x) / (grid[i + 1] - grid[i]), scene, shape


@torch.no_grad()
def first_steps(lab: Lab, student: Distiller) -> Sample:
    """The same from new noise, for the first interval."""
    ids, rows, cols = lab.scene()
    scene, x = Scene(0, lab.encode(ids), (1, rows, cols)), torch.randn(1, rows * cols, 64)
    return 0, x, student.target(x, 0, scene), scene, scene.shape


def fit(args: argparse.Namespace) -> None:
    lab = Lab(args, seed=200 + args.steps)
    adapter, ways, path = Adapter(lab.transformer), Ways(args.out, lab.rng), args.out / f"{args.steps}step.safetensors"
    if args.go_on:
        adapter.take(load_file(path))
    student = Distiller(lab.lean, adapter, args.steps, lab.nothing, record=False)
    optimiser = torch.optim.AdamW(adapter.parameters(), RATE, betas=(0.9, 0.98), weight_decay=0.0)
    weights, grid = list(lab.transformer.parameters()), student.levels
    began, step, mean, early = time.monotonic(), 0, None, False
    while (spent := time.monotonic() - began) < 60 * args.minutes:
        share = spent / (60 * args.minutes)
        rate = RATE * min(1.0, (step + 1) / 20) * min(1.0, max(0.01, 2 - 2 * share))
        for group in optimiser.param_groups:
            group["lr"] = rate
        for p in weights:
            p.grad = None
        total = 0.0
        begun = [first_steps(lab, student) for _ in range(BATCH // 2 if args.go_on else 0)]
        adapter.on()
        for n in range(BATCH):
            if n < len(begun):
                i, x, target, scene, shape = begun[n]
            else:
                i, x, target, scene, shape = on_a_way(lab, student, ways)
            found = student.velocity(x, student.level(grid[i]), scene.embeds, shape)
            # an error in a long interval moves the image further
            loss = F.mse_loss(found, target) * (grid[i] - grid[i + 1]) * args.steps / BATCH
            loss.backward()
            total += float(loss.detach())
        adapter.pull()
        torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimiser.step()
        step, mean = step + 1, total if mean is None else 0.96 * mean + 0.04 * total
        if step % 25 == 0:
            print(f"{spent:.0f} s: {step} steps of {BATCH}, loss {mean:.5f}, rate {rate:.1e}", flush=True)
            save_file(adapter.lightning_state(), path, metadata={"format": "pt"})
        if not early and not args.go_on and share > 0.05:
            early = True
            save_file(
                adapter.lightning_state(), args.out / f"{args.steps}step-early.safetensors", metadata={"format": "pt"}
            )
    save_file(adapter.lightning_state(), path, metadata={"format": "pt"})
    print(f"done: {step} steps, loss {mean:.5f}, {len(ways.paths)} ways")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["draw", "fit"])
    parser.add_argument("--model", type=existing_folder, required=True, help="a model in diffusers layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--steps", type=int, choices=[4, 8], default=8)
    parser.add_argument("--go-on", action="store_true", help="begin with the LoRA that is in --out")
    parser.add_argument("--part", default="0/1", help="this process's share, as in 0/2 and 1/2")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    {"draw": draw, "fit": fit}[args.stage](args)


if __name__ == "__main__":
    main()
