"""How far drawn images are from the nearest image of the training data, in latents: what characters are read says less.

    python tools/tiny_model/nearest.py --out FOLDER --atlas checkpoints/atlas.npz [--model FOLDER] [--seeds 12] [--part 0/2]
    python tools/tiny_model/nearest.py --out FOLDER --show

Each LoRA draws latents of the report's texts with its scheduler and with the base's; the nearest image has the font, the palette and for
each line the place that leave the least. The distance is the root of the mean square over tokens with ink, in units of the latents'
deviation: a line between two places, a letter of the neighbour's and a blurred glyph are far from any. `--show` compares each LoRA with its
control image by image (sign test).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from data import FONTS, PALETTES
from error_table import Job, Model, Typesetter, drawing_parser, jobs, kept_rows
from flow import DEVIATION, everywhere, leftmost, take_statistics, usable, windows
from layout import PLACES
from scipy.stats import binomtest

from qiltest.arguments import existing_file

#: each LoRA's way and its control. Not the base without LoRA: guidance, which a LoRA has folded in, moves an image's latents by itself
CONTROLS = (("4step", "4step, base scheduler"), ("8step", "8step, base scheduler"))


class Nearest:
    """All images of a prompt that the training data may hold, as latents."""

    def __init__(self, model: Model, atlas: Path) -> None:
        self.typesetter = Typesetter(model.pipe.tokenizer, atlas)
        self.session = SimpleNamespace(vae=model.pipe.vae, painter=self.typesetter.painter, device="cpu")
        take_statistics(self.session)

    @torch.inference_mode()
    def images(self, job: Job) -> dict[str, torch.Tensor]:
        """`latents` [places, looks, rows, columns, 64] by font and palette; of each row its `line` and `room`; `ink` [places, rows, columns]."""
        batch = self.typesetter.set(job, np.random.default_rng(0))
        looks = torch.tensor(list(product(range(len(FONTS)), range(PALETTES))))
        each = {name: batch[name].expand(len(looks), *batch[name].shape[1:]) for name in ("grid", "right", "style")}
        latents = everywhere(self.session, each | {"font": looks[:, 0], "palette": looks[:, 1]})
        rows, cols = batch["grid"].shape[1:]
        ink = torch.stack(windows(leftmost(batch)["grid"][0] > 0, cols)).float()
        return {
            "latents": latents.view(PLACES, len(looks), rows, cols, 64),
            "ink": ink,
            "line": batch["line"][0],
            "room": batch["room"][0],
        }

    @staticmethod
    def distance(drawn: torch.Tensor, known: dict[str, torch.Tensor]) -> float:
        """Of latents [tokens, 64]."""
        latents, line, ink = known["latents"], known["line"], known["ink"]
        squares = (latents - drawn.view(latents.shape[2:])).pow(2).mean(-1)
        # every line's place: the one with the least squares over all its tokens, for each look
        of_rows = squares.sum(-1)
        of_lines = torch.zeros(*of_rows.shape[:2], int(line.max()) + 1).index_add_(2, line, of_rows)
        of_lines = of_lines[:, :, line].masked_fill(~usable(known["room"])[:, None], torch.inf)
        place = of_lines.argmin(0)
        chosen = squares.gather(0, place[None, :, :, None].expand(1, *squares.shape[1:]))[0]
        where = ink[place, torch.arange(len(line))]
        look = chosen.sum((1, 2)).argmin()
        return float((chosen[look] * where[look]).sum() / where[look].sum()) ** 0.5 / DEVIATION


def run(args: argparse.Namespace) -> None:
    model = Model(args.model)
    nearest = Nearest(model, args.atlas)
    part, parts = map(int, args.part.split("/"))
    with (args.out / f"{part}.jsonl").open("w", encoding="utf-8") as out:
        known, of = {}, None
        for job in [j for j in jobs(1, args.seeds) if j.group == "report"][part::parts]:
            if (job.name, job.size) != of:
                known, of = nearest.images(job), (job.name, job.size)
            for way in dict.fromkeys(w for pair in CONTROLS for w in pair):
                drawn = model.latents(job, way)
                row = {"way": way, "job": (job.name, *job.size, job.seed), "distance": nearest.distance(drawn, known)}
                out.write(json.dumps(row) + "\n")
                out.flush()


def show(folder: Path) -> str:
    found: dict[str, dict[tuple[object, ...], float]] = defaultdict(dict)
    for row in kept_rows(folder):
        found[row["way"]][tuple(row["job"])] = row["distance"]
    lines = ["| way | control | images | median distance | of the control | control farther | p |", "|---" * 7 + "|"]
    for way, control in CONTROLS:
        keys = sorted(set(found[way]) & set(found[control]))
        mine, other = (np.array([found[w][k] for k in keys]) for w in (way, control))
        farther = int((other > mine).sum())
        p = binomtest(farther, len(keys), alternative="greater").pvalue
        lines.append(
            f"| {way} | {control} | {len(keys)} | {np.median(mine):.3f} | {np.median(other):.3f} | {farther} | {p:.2g} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = drawing_parser(__doc__, seeds=12)
    parser.add_argument("--atlas", type=existing_file, help="what tools/tiny_model/glyphs.py wrote")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if not args.show:
        if args.atlas is None:
            parser.error("--atlas is needed to draw")
        run(args)
    print(show(args.out))


if __name__ == "__main__":
    main()
