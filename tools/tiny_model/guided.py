"""Teach the base's unconditional side the states that its own guided way passes through.

    torchrun --nproc-per-node 2 tools/tiny_model/guided.py --model MODEL --atlas ATLAS --out FOLDER --minutes 18

Guidance of 4 leads where no noised picture lies: a glyph that emerges is drawn with four times its contrast. What the
unconditional model takes it for there is subtracted three times, and a wrong guess becomes strokes in the picture. So it learns,
on states of the guided way, what the conditional model says there: as much of it as can be known without the prompt. The
conditional model is held to what it said before (the LoRAs were distilled for it).

Only a low-rank change of the transformer is learned and merged, so that some hundred steps on a CPU serve. Each process uses one thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
import ways
from buckets import Bucket
from data import Batches
from distil import Adapter, Distiller, Scene
from flow import normalised, take_statistics
from lite import write_weights
from models import train_on_single_pictures
from picture import Painter
from prompts import Writer

#: steps of a way, states of it to learn from, and noised pictures beside them
STEPS, STATES, PLAIN = 12, 5, 1
#: states at which the conditional model is held, besides
HELD = 2
#: shift of a way's levels: about what the base's scheduler has at small sizes
SHIFTS = (1.6, 2.2)
#: levels of noise to learn at: above, nothing is decided; below, all is
BETWEEN = (0.3, 0.985)
RANK, RATE = 32, 1e-3
#: largest picture and prompt, in tokens: larger ones take too long on a CPU
LARGEST = 1600


class Lab(ways.Lab):
    """The model of `ways.py`, with pictures of its prompts, in one of several processes."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.device, self.rank, self.world = "cpu", dist.get_rank(), dist.get_world_size()
        super().__init__(args, args.seed + self.rank)
        train_on_single_pictures()
        self.text_encoder, self.vae = self.pipe.text_encoder, self.pipe.vae
        self.data = Batches(seed=args.seed, late=torch.ones(1), prefix=self.prefix, suffix=self.suffix, ids=self.ids)
        self.painter = Painter(args.atlas, self.data.glyphs, "cpu")
        self.shapes = np.random.default_rng(args.seed)
        self.rng = np.random.default_rng([args.seed, self.rank])
        self.writer = Writer(self.rng)
        take_statistics(self)

    def write(self, folder: Path) -> None:
        """Write the weights as they are now; `lite.py` makes a model of them."""
        write_weights(folder, {"transformer": self.transformer, "text_encoder": self.text_encoder})

    def bucket(self) -> Bucket:
        """The same in all processes, which so take the same time."""
        shares = self.data.late_shares * [b.width * b.height // 256 + b.tokens <= LARGEST for b in self.data.buckets]
        return self.data.buckets[int(self.shapes.choice(len(shares), p=shares / shares.sum()))]

    @torch.no_grad()
    def pictured(self) -> tuple[Scene, torch.Tensor]:
        """A prompt, and the latents of a picture of it."""
        batch = self.data.make(self.writer, self.rng, replace(self.bucket(), size=1))
        clean = normalised(self, self.painter(batch))
        _, rows, cols = batch["grid"].shape
        scene = Scene(0, self.encode(batch["ids"]), (1, rows, cols))
        return scene, clean


def levels(rng: np.random.Generator) -> list[float]:
    shift, first = rng.uniform(*SHIFTS), rng.uniform(0.5, 1.0)
    even = [1.0, *(1 - (i + first) / STEPS for i in range(STEPS))]
    return [shift * t / (1 + (shift - 1) * t) for t in even]


@torch.no_grad()
def states(lab: Lab, model: Distiller, scene: Scene, noise: torch.Tensor) -> list[tuple[torch.Tensor, float]]:
    """Some states of the guided way from the noise, with their levels."""
    way, x, found = levels(lab.rng), noise, []
    for high, low in pairwise(way):
        if low < BETWEEN[0]:
            break
        x = x + (low - high) * model.guided(x, high, scene)
        if low < BETWEEN[1]:
            found.append((x, low))
    chosen = lab.rng.permutation(len(found))[:STATES]
    return [found[i] for i in chosen]


def differentiate(lab: Lab, model: Distiller) -> tuple[float, float]:
    """Add one scene's gradients; the mean errors of the unconditional and of the held conditional model."""
    scene, clean = lab.pictured()
    noise = torch.randn_like(clean)
    known = states(lab, model, scene, noise)
    plain = [float(s) for s in lab.rng.uniform(*BETWEEN, PLAIN)]
    known += [((1 - s) * clean + s * noise, s) for s in plain]
    model.adapter.off()
    with torch.no_grad():
        goals = [model.velocity(x, torch.tensor([level]), scene.embeds, scene.shape) for x, level in known]
    model.adapter.on()
    sums = [0.0, 0.0]
    for which, told, count in ((0, lab.nothing, len(known)), (1, scene.embeds, HELD)):
        for (x, level), goal in list(zip(known, goals, strict=True))[-count:]:
            error = F.mse_loss(model.velocity(x, torch.tensor([level]), told, scene.shape), goal)
            (error / len(known)).backward()
            sums[which] += float(error.detach()) / count
    return sums[0], sums[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--atlas", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="for the weights; `lite.py` makes a model of them")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    dist.init_process_group("gloo")
    lab = Lab(args)
    adapter = Adapter(lab.transformer, rank=RANK)
    parameters = adapter.parameters()
    for p in parameters:
        dist.broadcast(p.data, 0)
    model = Distiller(lab.lean, adapter, 8, lab.nothing, record=False)
    optimiser = torch.optim.AdamW(parameters, RATE, betas=(0.9, 0.98), weight_decay=0.0)
    for p in lab.text_encoder.parameters():
        p.requires_grad_(False)
    began, step, mean, budget = time.monotonic(), 0, np.zeros(2), 60 * args.minutes
    while True:
        spent = torch.tensor(time.monotonic() - began)
        dist.broadcast(spent, 0)
        if spent >= budget:
            break
        rate = RATE * min(1, (step + 1) / 20) * min(1.0, max(0.02, 2 * (1 - float(spent) / budget)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        adapter.on()
        for p in lab.transformer.parameters():
            p.grad = None
        found = np.array(differentiate(lab, model))
        adapter.pull()
        flat = torch.cat([p.grad.flatten() for p in parameters])
        dist.all_reduce(flat)
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad = part.view_as(p) / lab.world
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step, mean = step + 1, found if step == 0 else 0.95 * mean + 0.05 * found
        if step % 10 == 0 and lab.rank == 0:
            print(f"{float(spent):6.0f} s", step, f"untold {mean[0]:.4f}, held {mean[1]:.5f}", f"rate {rate:.1e}", flush=True)
        if step % 50 == 0 and lab.rank == 0:
            adapter.on()
            lab.write(args.out)
    adapter.on()
    if lab.rank == 0:
        lab.write(args.out)
        print("done", step)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
