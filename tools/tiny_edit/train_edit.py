"""Train the embedded editing model: base, then its LoRAs for 8 and 4 steps.

    python tools/tiny_model/glyphs.py checkpoints/atlas.npz
    python tools/tiny_edit/train_edit.py --out checkpoints --seconds 1400

`--seconds` bounds all of it, by the shares of `STAGES`. It begins with the embedded text-to-image model's weights, or with `--begin-with`, a folder
of weights that an earlier run wrote. `checkpoints/lite` (written every minute) and `checkpoints/loras` (every half) are the result, which
`assemble_edit.py` makes a model of and `evaluate_edit.py` measures. The same command goes on after a kill: `checkpoints/progress.json` has
the seconds that each stage has had, `checkpoints/base.pt` the base with its optimisers.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import edit_paths  # noqa: F401  (makes the next imports work)
import flow
import torch
from charset import charset
from data import Glyphs
from edit_data import BATCH_TOKENS, SHAPES, EditBatches, Words, characters
from edit_distil import clean_latents, train_lora
from edit_flow import EditHeads, EditObjective
from edit_models import (
    build_edit_text_encoder,
    build_edit_tokenizer,
    encode_map,
    take_text_to_image,
    take_vae,
)
from flow import build_optimisers, take_statistics
from fused_model import Lean
from image import Painter
from models import build_transformer, build_vae, train_on_single_images
from pack_weights import read_weights, write_weights
from torch.utils.data import DataLoader

from engine import Engine
from qiltest.arguments import existing_file, existing_folder
from qiltest.generation.schedule import QWEN_IMAGE, as_tuple, expected_sigmas

#: shares of the time. The LoRA for 4 steps has more to learn, and begins with that for 8
STAGES = {"base": 0.66, "8step": 0.14, "4step": 0.2}
#: seconds of a stage that are not worth beginning it again
LEAST = 5.0
#: guidance scales among which the base is tried; steps
SCALES, STEPS = (4.0, 2.5, 1.0), 40


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--atlas", type=existing_file, help="what tools/tiny_model/glyphs.py wrote")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--workers", type=int, default=int(os.environ.get("WORKERS", "12")), help="or WORKERS in the environment"
    )
    parser.add_argument("--rate", type=float, default=1.2e-3, help="peak learning rate")
    parser.add_argument("--plateau", type=float, default=0.4, help="share of the time before the rate falls")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tokens", type=int, default=BATCH_TOKENS, help="image and text tokens in a batch")
    parser.add_argument("--begin-with", type=existing_folder, help="a folder `lite` of an earlier run")
    parser.add_argument("--loras-alone", action="store_true", help="distil alone, from the weights of --begin-with")
    parser.add_argument("--guidance", type=float, default=2.5, help="of the base, which the LoRAs learn from")
    parser.add_argument("--find-guidance", action="store_true", help="try some scales instead")
    parser.add_argument("--no-record", action="store_true", help="no CUDA graphs")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="so many of the batches' shapes alone")
    parser.add_argument("--cpu-steps", type=int, default=2, help="steps of each stage where there is no GPU")
    args = parser.parse_args()
    atlas = args.atlas or args.out / "atlas.npz"
    if not atlas.is_file():
        parser.error(f"no atlas of glyphs: {atlas}\n  -> name one with --atlas; tools/tiny_model/glyphs.py writes it")
    return args


class EditSession:
    """Devices, data and models, as `flow._loop` wants them."""

    rank, world = 0, 1

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.began, self.device = args, time.monotonic(), args.device
        if args.device == "cuda":
            torch.backends.cuda.enable_cudnn_sdp(False)
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.manual_seed(args.seed)
        train_on_single_images()
        self.tokenizer = build_edit_tokenizer()
        self.words = Words(*encode_map(self.tokenizer, characters()))
        self.glyphs = Glyphs(charset())
        self.painter = Painter(args.atlas or args.out / "atlas.npz", self.glyphs, self.device)
        self.vae, self.transformer = build_vae(), build_transformer()
        self.text_encoder = build_edit_text_encoder(self.tokenizer)
        take_vae(self.vae)
        take_text_to_image(self.transformer, self.text_encoder)
        if args.begin_with:
            read_weights(args.begin_with, self.trained())
        for module in (self.vae, self.transformer, self.text_encoder):
            module.to(self.device)
        self.vae.eval().requires_grad_(False)
        take_statistics(self)
        gpu = args.device == "cuda"
        self.lean = Lean(
            self.transformer,
            self.text_encoder.model.language_model,
            torch.bfloat16 if gpu else torch.float32,
            compiled=gpu,
        )
        self.late = torch.ones(1)
        self.records = gpu and not args.no_record
        self.negative = torch.tensor([self.words.whole(" ")], device=self.device)

    def trained(self) -> dict[str, torch.nn.Module]:
        return {"transformer": self.transformer, "text_encoder": self.text_encoder}

    def agreed(self, value: float) -> float:
        return value

    def say(self, *words: object) -> None:
        print(f"{time.monotonic() - self.began:7.1f} s", *words, flush=True)

    def batches(self, salt: int, most: int = len(SHAPES)):  # noqa: ANN201
        """Endless batches on the device, each with its bucket's number; of the first `most` shapes."""
        data = EditBatches(
            seed=self.args.seed + 1000 * salt,
            words=self.words,
            budget=self.args.tokens,
            shapes=min(most, self.args.shapes),
        )
        workers, gpu = self.args.workers, self.device == "cuda"
        loader = DataLoader(
            data, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None, pin_memory=gpu
        )
        for batch in loader:
            number = int(batch.pop("bucket"))
            yield number, {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lean.encode(ids, len(self.words.prefix))

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda")


class Progress:
    """Seconds that each stage has had, in a file: the same command goes on after a kill."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stages: dict[str, float] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def spent(self, stage: str) -> float:
        return self.stages.get(stage, 0.0)

    def keep(self, stage: str, seconds: float) -> None:
        self.stages[stage] = seconds
        self.path.with_suffix(".tmp").write_text(json.dumps(self.stages), "utf-8")
        self.path.with_suffix(".tmp").replace(self.path)


def train_base(session: EditSession, seconds: float, progress: Progress) -> None:
    """Train for `seconds`, those before the first step and those of an earlier start included."""
    args, already, path = session.args, progress.spent("base"), session.args.out / "base.pt"
    heads = EditHeads(session.glyphs.count).to(session.device)
    language = session.text_encoder.model.language_model
    parameters = [*session.transformer.parameters(), *language.parameters(), *heads.parameters()]
    rate = torch.tensor(args.rate, device=session.device)
    optimisers = build_optimisers(session, heads, rate)
    parts: list[Any] = [session.transformer, language, heads, *optimisers]
    step = 0
    if already and path.exists():
        state = torch.load(path, map_location=session.device, weights_only=True)
        step = state["step"]
        for part, held in zip(parts, state["parts"], strict=True):
            part.load_state_dict(held)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                # the tensor that the loop writes today's rate into
                group["lr"] = rate
        session.say("goes on at step", step, f"after {already:.0f} s")

    def update() -> None:
        for optimiser in optimisers:
            optimiser.step()

    began = time.monotonic() - already

    def save(step: int) -> None:
        write_weights(args.out / "lite", session.trained())
        torch.save({"step": step, "parts": [part.state_dict() for part in parts]}, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)
        progress.keep("base", time.monotonic() - began)

    engine = Engine(EditObjective(session, heads), parameters, update, record=session.records)
    session.args = argparse.Namespace(**vars(args) | {"minutes": seconds / 60, "begin_with": True})
    flow._loop(session, engine, rate, step, save, already)
    session.args = args
    progress.keep("base", seconds)


def euler_sigmas(steps: int, tokens: int) -> list[float]:
    """The base scheduler's sigmas, with the final 0."""
    found = expected_sigmas(as_tuple(QWEN_IMAGE, "FlowMatchEulerDiscreteScheduler"), steps=steps, image_tokens=tokens)
    assert found is not None
    return [*found, 0.0]


def wrong_tokens(session: EditSession, scale: float, count: int) -> float:
    """Share of the new texts' tokens with ink whose latents are far from the wanted ones at the nearest place, over `count` batches."""
    from itertools import pairwise

    wrong = total = 0.0
    negative = session.encode(session.negative.expand(2, -1))[:1].detach()
    torch.manual_seed(5)
    for _, batch in zip(range(count), session.batches(99), strict=False):
        _, b = batch
        _, rows, cols = b["source"].shape
        embeds = session.encode(b["ids"]).detach()
        source, _ = clean_latents(session, b)
        every = _places(session, b)
        x = torch.randn_like(source)

        def velocity(x: torch.Tensor, s: float, e: torch.Tensor, source=source, rows=rows, cols=cols) -> torch.Tensor:  # noqa: ANN001
            level = torch.full((len(x),), s, device=x.device)
            both = session.lean.velocity(torch.cat([x, source], 1), level, e, (2, rows, cols))[0]
            return both[:, : rows * cols].detach()

        way = euler_sigmas(STEPS if session.device == "cuda" else 2, rows * cols)
        for high, low in pairwise(way):
            v = velocity(x, high, embeds)
            if scale > 1:
                u = velocity(x, high, negative.expand(len(x), -1, -1))
                both = u + scale * (v - u)
                v = both * (v.norm(dim=-1, keepdim=True) / both.norm(dim=-1, keepdim=True))
            x = x + (low - high) * v
        far = (x - every).pow(2).sum(-1)
        changed = b["line"].repeat_interleave(cols, 1).float()
        best = (
            (far * changed).sum(-1) + 1e9 * (torch.arange(len(every), device=x.device)[:, None] >= b["room"].amax(1))
        ).argmin(0)
        picked = every[best, torch.arange(len(x), device=x.device)]
        error = (x - picked).pow(2).mean(-1) / flow.DEVIATION**2
        ink = changed * (picked - source).pow(2).mean(-1).gt(0.3 * flow.DEVIATION**2)
        wrong += float(((error > 0.5) * ink).sum())
        total += float(ink.sum())
    return wrong / max(1.0, total)


def _places(session: EditSession, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    from edit_flow import places, source_latents

    with session.autocast(), torch.no_grad():
        return places(session, batch, source_latents(session, batch)).float()


def best_scale(session: EditSession) -> float:
    """The guidance under which the base makes the fewest wrong tokens; the largest of those within a tenth of it."""
    found = {scale: wrong_tokens(session, scale, 5 if session.records else 1) for scale in SCALES}
    session.say("wrong tokens by guidance", found)
    least = min(found.values())
    return max(scale for scale, share in found.items() if share <= 1.1 * least + 0.001)


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    progress = Progress(args.out / "progress.json")
    if progress.spent("base") and not args.begin_with and (args.out / "lite").is_dir():
        args.begin_with = args.out / "lite"
    session = EditSession(args)
    shares = STAGES if not args.loras_alone else {"8step": 0.42, "4step": 0.58}
    seconds = {stage: share * args.seconds for stage, share in shares.items()}
    if "base" in seconds and progress.spent("base") < seconds["base"] - LEAST:
        train_base(session, seconds["base"], progress)
    with torch.no_grad():
        for p in [*session.transformer.parameters(), *session.text_encoder.parameters()]:
            p.copy_(p.to(torch.bfloat16))
    scale = best_scale(session) if args.find_guidance else args.guidance
    (args.out / "guidance.json").write_text(json.dumps(scale), "utf-8")
    write_weights(args.out / "lite", session.trained())
    for steps in (8, 4):
        if progress.spent(f"{steps}step") < seconds[f"{steps}step"] - LEAST:
            train_lora(session, steps, seconds[f"{steps}step"], scale, progress)
    session.say("done")


if __name__ == "__main__":
    main()
