"""Train the embedded model: VAE, then transformer and text encoder together, then the two LoRAs.

    python tools/tiny_model/glyphs.py checkpoints/atlas.npz
    python tools/tiny_model/train.py base --out checkpoints --minutes 23
    python tools/tiny_model/train.py lora --steps 8 --out checkpoints --minutes 5
    python tools/tiny_model/train.py lora --steps 4 --out checkpoints --minutes 5

    torchrun --nproc-per-node 2 tools/tiny_model/train.py all --out checkpoints --minutes 15 --lora-minutes 3

    python tools/tiny_model/train.py decoder --vae src/qiltest/generation/tiny/vae --out checkpoints --minutes 5 --rate 1e-3

`all` trains the base and then both LoRAs in one process a GPU, which compiles once. On two GPUs the base learns from twice
the images a step, and each distils one LoRA. `base` resumes from `checkpoints/base.pt` where that exists; `--begin-with` begins with the
weights of an exported model or of `pack_weights.py`. Every minute such weights are written to `checkpoints/lite`. `decoder` trains the decoder of
`--vae` on, by itself, and writes the VAE to `checkpoints/vae`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import decoder
import distil
import flow
import torch
import torch.distributed as dist
from charset import charset
from data import Batches, Glyphs, encode_map
from fused_model import Lean
from image import Painter
from models import (
    build_text_encoder,
    build_transformer,
    build_vae,
    export,
    train_on_single_images,
)
from tokenizer import build as build_tokenizer
from torch.utils.data import DataLoader

from qiltest.arguments import existing_file, existing_folder


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["base", "lora", "all", "decoder"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--atlas", type=existing_file, help="what tools/tiny_model/glyphs.py wrote")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--lora-minutes", type=float, default=1.5, help="for each LoRA, where all are trained")
    parser.add_argument("--vae-minutes", type=float, default=1.3)
    parser.add_argument("--steps", type=int, choices=[4, 8], default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--plateau", type=float, default=0.55, help="share of the time before the rate falls")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tokens", type=int, help="image and text tokens in a batch")
    parser.add_argument(
        "--vae",
        type=existing_folder,
        help="an exported model's VAE folder, to be taken instead of training one; `decoder` goes on from it",
    )
    parser.add_argument(
        "--begin-with",
        type=existing_folder,
        help="an exported model or a folder written by pack_weights.py, to begin with its weights",
    )
    parser.add_argument("--no-record", action="store_true", help="no CUDA graphs")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    atlas = args.atlas or args.out / "atlas.npz"
    if not atlas.is_file():
        parser.error(f"no atlas of glyphs: {atlas}\n  -> name one with --atlas; tools/tiny_model/glyphs.py writes it")
    if args.stage == "decoder" and not args.vae:
        parser.error("decoder goes on from a VAE: name its folder with --vae")
    return args


class Session:
    """Devices, data and models that both stages share."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.began = args, time.monotonic()
        self.device = args.device
        self.rank, self.world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        if self.world > 1:
            if args.device == "cuda":
                torch.cuda.set_device(self.rank)
            dist.init_process_group("cpu:gloo,cuda:nccl" if args.device == "cuda" else "gloo")
        if args.device == "cuda":
            # cuDNN's attention is the suspect of the one training whose gradients stopped being finite
            torch.backends.cuda.enable_cudnn_sdp(False)
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.manual_seed(args.seed)
        train_on_single_images()
        self.tokenizer = build_tokenizer()
        self.prefix, self.suffix, self.ids = encode_map(self.tokenizer)
        self.glyphs = Glyphs(charset())
        self.painter = Painter(args.atlas or args.out / "atlas.npz", self.glyphs, self.device)
        self.vae = build_vae().to(self.device)
        self.transformer = build_transformer().to(self.device)
        self.text_encoder = build_text_encoder(len(self.tokenizer)).to(self.device)
        dtype = torch.bfloat16 if args.device == "cuda" else torch.float32
        language = self.text_encoder.model.language_model
        self.lean = Lean(self.transformer, language, dtype, compiled=not args.no_compile)
        #: how far the data are on the way to the wanted mix; the loader's workers read it
        self.late = torch.zeros(1).share_memory_()
        self.records = args.device == "cuda" and not args.no_record
        self.negative = torch.tensor([[*self.prefix, self.ids[" "], *self.suffix]], device=self.device)

    def agreed(self, value: float) -> float:
        """The first process's value, in all of them: loops that each ended by their own clock once waited for ever."""
        if self.world == 1:
            return value
        held = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(held, 0)
        return float(held)

    def average(self, flat: torch.Tensor) -> None:
        """Gradients, averaged over the processes."""
        if self.device == "cuda":
            dist.all_reduce(flat, dist.ReduceOp.AVG)
        else:
            dist.all_reduce(flat)
            flat /= self.world

    def share(self, tensors: list[torch.Tensor]) -> None:
        """Give the first process's values to all."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.data, 0)

    def say(self, *words: object) -> None:
        if self.world > 1:
            words = (f"[{self.rank}]", *words)
        print(f"{time.monotonic() - self.began:7.1f} s", *words, flush=True)

    def batches(self, salt: int, only: frozenset[int] | None = None):  # noqa: ANN201
        """Endless batches on the device, each with its bucket's number."""
        data = Batches(
            seed=self.args.seed + 1000 * salt,
            late=self.late,
            prefix=self.prefix,
            suffix=self.suffix,
            ids=self.ids,
            rank=self.rank,
            only=only,
        )
        workers, gpu = self.args.workers, self.device == "cuda"
        loader = DataLoader(
            data, batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None, pin_memory=gpu
        )
        for batch in loader:
            number = int(batch.pop("bucket"))
            yield number, {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}

    def encode(self, ids: torch.Tensor) -> torch.Tensor:
        """Embeddings of the prompts, without the template."""
        return self.lean.encode(ids, len(self.prefix))

    def autocast(self) -> torch.autocast:
        """For the VAE; transformer and text encoder see to their precision themselves."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda")

    def parts(self) -> dict[str, torch.nn.Module]:
        return {"vae": self.vae, "transformer": self.transformer, "text_encoder": self.text_encoder}


def main() -> None:
    args = arguments()
    if args.tokens:
        import data

        data.BATCH_TOKENS = args.tokens
    args.out.mkdir(parents=True, exist_ok=True)
    session = Session(args)
    if args.stage == "decoder":
        decoder.train(session)
        return
    if args.stage in ("base", "all"):
        flow.train(session)
    if args.stage == "lora":
        flow.load(session, args.out / "base.pt")
        distil.train(session, args.steps, 60 * args.minutes)
    elif args.stage == "all":
        for steps in (8, 4)[session.rank :: session.world]:
            distil.train(session, steps, 60 * args.lora_minutes)
    if args.stage != "lora" and session.rank == 0:
        export(args.out / "tiny", session.vae, session.transformer, session.text_encoder, session.tokenizer)


if __name__ == "__main__":
    main()
