"""How far drawn pictures are from the nearest picture of the training data, in latents: what characters are read says less.

    python tools/tiny_model/nearest.py --out FOLDER --atlas checkpoints/atlas.npz [--model FOLDER] [--seeds 12] [--part 0/2]
    python tools/tiny_model/nearest.py --out FOLDER --show

Each LoRA draws latents of the report's texts with its scheduler and with the base's; the nearest picture has the font, the palette and for
each line the place that leave the least. The distance is the root of the mean square over tokens with ink, in units of the latents'
deviation: a line between two places, a letter of the neighbour's and a blurred glyph are far from any. `--show` compares each LoRA with its
control picture by picture (sign test).
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
from charset import ROOT
from data import FONTS, Batches, encode_map
from flow import DEVIATION, everywhere, take_statistics
from layout import PLACES, spans
from picture import PALETTES, Painter
from prompts import Sample, style_of
from scipy.stats import binomtest
from table import Job, Model, jobs

#: each LoRA's way and its control. Not the base without LoRA: guidance, which a LoRA has folded in, moves a picture's latents by itself
CONTROLS = (("4step", "4step, base scheduler"), ("8step", "8step, base scheduler"))


class Nearest:
    """All pictures of a prompt that the training data may hold, as latents."""

    def __init__(self, model: Model, atlas: Path) -> None:
        prefix, suffix, ids = encode_map(model.pipe.tokenizer)
        self.data = Batches(seed=0, late=torch.ones(1), prefix=prefix, suffix=suffix, ids=ids)
        painter = Painter(atlas, self.data.glyphs, "cpu")
        self.session = SimpleNamespace(vae=model.pipe.vae, painter=painter, device="cpu")
        take_statistics(self.session)

    @torch.inference_mode()
    def pictures(self, job: Job) -> dict[str, torch.Tensor]:
        """`latents` [places, looks, rows, columns, 64] by font and palette; of each row its `line` and `room`; `ink` [places, rows, columns]."""
        width, height = job.size
        prompt = job.prompt[:1024]
        sample = Sample(prompt, [(s, prompt[s.start : s.stop]) for s in spans(prompt)])
        out = {k: v[0] for k, v in self.data.blank(1, len(prompt) + len(self.data.suffix), height // 16, width // 16).items()}
        self.data.fill(sample, np.random.default_rng(0), out, width)
        looks = torch.tensor(list(product(range(len(FONTS)), range(PALETTES))))
        batch = {name: torch.from_numpy(out[name]).expand(len(looks), *out[name].shape) for name in ("grid", "right")}
        batch |= {"font": looks[:, 0], "palette": looks[:, 1], "style": torch.full((len(looks),), style_of(prompt))}
        latents = torch.cat([everywhere(self.session, {k: v[i : i + 1] for k, v in batch.items()}) for i in range(len(looks))], 1)
        # where a line is at its first place there is ink, and to the right of it by as many tokens as it is shifted
        first = torch.from_numpy(out["grid"] > 0).float()
        shifted = torch.from_numpy(out["right"])
        columns = torch.arange(first.shape[1])
        first = first.gather(1, (columns + shifted[:, None]) % len(columns))
        ink = torch.stack([first.roll(k, 1) for k in range(PLACES)])
        shape = (PLACES, len(looks), height // 16, width // 16, 64)
        return {"latents": latents.view(shape), "ink": ink, "line": torch.from_numpy(out["line"]), "room": torch.from_numpy(out["room"])}

    @staticmethod
    def distance(drawn: torch.Tensor, known: dict[str, torch.Tensor]) -> float:
        """Of latents [tokens, 64]."""
        latents, line, ink = known["latents"], known["line"], known["ink"]
        squares = (latents - drawn.view(latents.shape[2:])).pow(2).mean(-1)
        usable = torch.arange(PLACES)[:, None] < known["room"]
        # every line's place: the one with the least squares over all its tokens, for each look
        of_rows = squares.sum(-1)
        of_lines = torch.zeros(*of_rows.shape[:2], int(line.max()) + 1).index_add_(2, line, of_rows)
        of_lines = of_lines[:, :, line].masked_fill(~usable[:, None], torch.inf)
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
                known, of = nearest.pictures(job), (job.name, job.size)
            for way in dict.fromkeys(w for pair in CONTROLS for w in pair):
                drawn = model.latents(job, way)
                row = {"way": way, "job": (job.name, *job.size, job.seed), "distance": nearest.distance(drawn, known)}
                out.write(json.dumps(row) + "\n")
                out.flush()


def show(folder: Path) -> str:
    found: dict[str, dict[tuple[object, ...], float]] = defaultdict(dict)
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            found[row["way"]][tuple(row["job"])] = row["distance"]
    lines = ["| way | control | pictures | median distance | of the control | control farther | p |", "|---" * 7 + "|"]
    for way, control in CONTROLS:
        keys = sorted(set(found[way]) & set(found[control]))
        mine, other = (np.array([found[w][k] for k in keys]) for w in (way, control))
        farther = int((other > mine).sum())
        p = binomtest(farther, len(keys), alternative="greater").pvalue
        lines.append(f"| {way} | {control} | {len(keys)} | {np.median(mine):.3f} | {np.median(other):.3f} | {farther} | {p:.2g} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--atlas", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "src/qiltest/generation/tiny")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--part", default="0/1", help="this process's share of the pictures, as in 0/2 and 1/2")
    parser.add_argument("--show", action="store_true", help="the comparison of what was drawn so far")
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
