"""Tune the embedded model on the case files' prompts alone, on a CPU, starting from an exported model.

    python tools/tiny_model/on_cases.py --model FOLDER --atlas FILE --out FOLDER --minutes 36
    python tools/tiny_model/on_cases.py --model FOLDER --atlas FILE --out FOLDER --minutes 5 --lora FILE --steps 8

This is how the first version was made to write the report's texts before the general training was long enough: the transformer
learns these prompts' pictures, in one font and three colours a style, and no other text. The text encoder stays as it is.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from charset import ROOT, charset
from data import PALETTES, Batches, encode_map
from diffusers import QwenImagePipeline
from distil import Distiller, lightning_state
from flow import WHERE_BLOCK, WHICH_BLOCK, Heads, sigmas
from layout import spans
from models import encode_text, export, train_on_single_pictures, use_real_rotary
from picture import Painter
from prompts import Sample, style_of
from safetensors.torch import save_file

SUFFIX = ", Ultra HD, 4K, cinematic composition."
LONGEST = 1024
#: embeddings and latents by case and size, kept between runs
Kept = dict[str, tuple[torch.Tensor, torch.Tensor]]


class Shown:
    """One case at one size: its prompt's embeddings and the latents of its pictures."""

    def __init__(self, name: str, prompt: str, size: tuple[int, int], tools: Tools, kept: Kept) -> None:
        self.name, self.size, self.key = name, size, f"{name}@{size[0]}x{size[1]}"
        width, height = size
        self.shape = (1, height // 16, width // 16)
        self.glyphs = torch.from_numpy(tools.data.glyphs.glyph_of_patch()[tools.grid(prompt, size, 1)]).flatten()
        if self.key in kept:
            self.embeds, self.latents = kept[self.key]
            return
        tokens = tools.tokens(prompt)
        with torch.no_grad():
            self.embeds = encode_text(tools.pipe.text_encoder, torch.tensor([tokens]), len(tools.prefix))
            self.latents = torch.cat([tools.latents(prompt, size, p, s) for p in range(PALETTES) for s in range(2)])


class Tools:
    """The exported pipeline and what draws its training pictures."""

    def __init__(self, model: Path, atlas: Path) -> None:
        train_on_single_pictures()
        self.pipe = QwenImagePipeline.from_pretrained(model).to(torch.float32)
        self.prefix, self.suffix, ids = encode_map(self.pipe.tokenizer)
        self.data = Batches(seed=0, late=1.0, prefix=self.prefix, suffix=self.suffix, ids=ids)
        self.painter = Painter(atlas, self.data.glyphs, "cpu")
        config = self.pipe.vae.config
        self.mean = torch.tensor(config.latents_mean).view(1, -1, 1, 1)
        self.std = torch.tensor(config.latents_std).view(1, -1, 1, 1)
        assert charset()

    def tokens(self, prompt: str) -> list[int]:
        ids = self.data.ids
        return [*self.prefix, *(ids[c] for c in prompt), *self.suffix][: len(self.prefix) + LONGEST]

    def grid(self, prompt: str, size: tuple[int, int], shift: int) -> np.ndarray:
        """Glyph patches of the picture that a prompt asks for."""
        width, height = size
        sample = Sample(prompt, [(s, prompt[s.start : s.stop]) for s in spans(prompt)])
        total = len(self.tokens(prompt)) - len(self.prefix)
        out = {k: np.full(total, -100) for k in ("index", "offset", "row", "col")}
        out |= {"ids": np.zeros(total + len(self.prefix), int), "grid": np.zeros((height // 16, width // 16), int)}
        self.data.fill(sample, _Fixed(shift), out, width)
        return out["grid"]

    def latents(self, prompt: str, size: tuple[int, int], palette: int, shift: int) -> torch.Tensor:
        grid = torch.from_numpy(self.grid(prompt, size, shift))
        batch = {"grid": grid[None], "style": torch.tensor([style_of(prompt)])}
        batch |= {"font": torch.zeros(1, dtype=torch.long), "palette": torch.tensor([palette])}
        z = self.pipe.vae.encode(self.painter(batch)[:, :, None]).latent_dist.mode()[:, :, 0]
        z = (z - self.mean) / self.std
        return QwenImagePipeline._pack_latents(z, 1, 16, z.shape[2], z.shape[3])


class _Fixed:
    """Stands in for the random generator of `Batches.fill`: shift by `shift` token and no wrong characters."""

    def __init__(self, shift: int) -> None:
        self.shift = shift

    def integers(self, low: int, high: int) -> int:
        return min(self.shift, high - 1)

    def random(self) -> float:
        return 1.0


def cases() -> list[tuple[str, str, tuple[int, int]]]:
    found = []
    for path in sorted((ROOT / "cases").glob("*.toml")):
        if path.stem != "variants":
            case = tomllib.loads(path.read_text("utf-8"))
            sizes = [tuple(map(int, r["tiny"].split("x"))) for r in case["resolutions"]]
            found += [(path.stem, case["prompt"] + SUFFIX, size) for size in sizes]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--model", "--atlas", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--lora", type=Path, help="distil on from this LoRA instead of tuning the transformer")
    parser.add_argument("--steps", type=int, choices=[4, 8], default=8)
    parser.add_argument("--resume", type=Path, help="the transformer's state as this command saves it on the way")
    parser.add_argument("--shift", type=int, choices=[0, 1], help="one place only; default: two by the seed")
    parser.add_argument("--small", type=int, default=10_000, help="image and text tokens of a small picture")
    parser.add_argument("--late", action="store_true", help="learn the large pictures twice as often as the small ones")
    parser.add_argument("--rate", type=float, default=4e-4)
    args = parser.parse_args()
    torch.manual_seed(0)
    began = time.monotonic()
    tools = Tools(args.model, args.atlas)
    cache = args.out.with_suffix(".latents.pt")
    kept = torch.load(cache, weights_only=True) if cache.exists() else {}
    shown = [Shown(name, prompt, size, tools, kept) for name, prompt, size in cases()]
    torch.save({case.key: (case.embeds, case.latents) for case in shown}, cache)
    negative = torch.tensor([[*tools.prefix, tools.data.ids[" "], *tools.suffix]])
    with torch.no_grad():
        nothing = encode_text(tools.pipe.text_encoder, negative, len(tools.prefix))
    print(f"{time.monotonic() - began:.0f} s: {len(shown)} cases encoded", flush=True)
    for case in shown if args.shift is not None else ():
        case.latents = case.latents[args.shift :: 2]
    if args.lora:
        distil_on(tools, shown, nothing, args)
    else:
        tune(tools, shown, nothing, args)


def distil_on(tools: Tools, shown: list[Shown], nothing: torch.Tensor, args: argparse.Namespace) -> None:
    """Go on distilling a LoRA against the tuned base; writes `<out>/loras/<steps>step.safetensors`."""
    tools.pipe.load_lora_weights(str(args.lora), adapter_name="lora", use_safetensors=True)
    transformer = tools.pipe.transformer
    use_real_rotary(transformer)
    for name, parameter in transformer.named_parameters():
        parameter.requires_grad_(".lora_" in name)
    parameters = [p for p in transformer.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.98), weight_decay=0.0)
    distiller, order, seen = Distiller(transformer, args.steps, nothing), [], None
    began, step, budget = time.monotonic(), 0, 60 * args.minutes
    while (spent := time.monotonic() - began) < budget:
        if not order:
            order = torch.randperm(len(shown)).tolist()
        case = shown[order.pop()]
        count = max(1, 900 // (case.latents.shape[1] + case.embeds.shape[1]))
        clean = case.latents[torch.randint(0, len(case.latents), (count,))]
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 10) * max(0.02, min(1.0, 1.6 * (1 - spent / budget)))
        loss = distiller.loss(clean, case.embeds.expand(count, -1, -1), case.shape)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step, seen = step + 1, loss.item() if seen is None else 0.95 * seen + 0.05 * loss.item()
        if step % 22 == 0:
            print(f"{spent:.0f} s lora {args.steps} step {step} {seen:.5f}", flush=True)
    folder = args.out / "loras"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(lightning_state(transformer, "lora"), folder / f"{args.steps}step.safetensors", metadata={"format": "pt"})


def tune(tools: Tools, shown: list[Shown], nothing: torch.Tensor, args: argparse.Namespace) -> None:
    transformer = tools.pipe.transformer.train()
    if args.resume:
        transformer.load_state_dict(torch.load(args.resume, weights_only=True))
    plain, plain_forward = tools.pipe.transformer, transformer.pos_embed.forward
    use_real_rotary(transformer)
    heads, states = Heads(tools.data.glyphs.count), {}
    for block in (WHERE_BLOCK, WHICH_BLOCK):
        transformer.transformer_blocks[block].register_forward_hook(
            lambda _m, _i, out, block=block: states.__setitem__(block, out[1])
        )
    parameters = [*transformer.parameters(), *heads.parameters()]
    optimiser = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    began, saved, step, seen, order = time.monotonic(), time.monotonic(), 0, {}, []
    budget, places = 60 * args.minutes, None
    while (spent := time.monotonic() - began) < budget:
        if not order:
            # `--small` chooses what is learned first: twice those below it for one of the others, or once all and twice the others
            small = [i for i, case in enumerate(shown) if case.latents.shape[1] + case.embeds.shape[1] < args.small]
            others = [i for i in range(len(shown)) if i not in small]
            if args.late:
                order = small + others * 2
            else:
                order = small * 2 + [others[int(torch.randint(0, len(others), ()))]] if others else small
            order = [order[i] for i in torch.randperm(len(order)).tolist()]
        case = shown[order.pop()]
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 60) * max(0.01, min(1.0, 1.6 * (1 - spent / budget)))
        count = max(1, 800 // (case.latents.shape[1] + case.embeds.shape[1]))
        clean = case.latents[torch.randint(0, len(case.latents), (count,))]
        conditional = bool(torch.rand(()) > 0.07)
        embeds = (case.embeds if conditional else nothing).expand(count, -1, -1)
        level, noise = sigmas(count, "cpu"), torch.randn_like(clean)
        mixed = (1 - level)[:, None, None] * clean + level[:, None, None] * noise
        velocity = transformer(
            hidden_states=mixed,
            timestep=level,
            encoder_hidden_states=embeds,
            encoder_hidden_states_mask=None,
            img_shapes=[[case.shape]] * count,
            return_dict=False,
        )[0]
        flow = F.mse_loss(velocity.float(), noise - clean)
        loss = flow
        if conditional:
            aux = _places(heads, states, case, count)
            loss = flow + 0.02 * sum(aux)
            places = [0.9 * a + 0.1 * float(b) for a, b in zip(places or map(float, aux), aux, strict=True)]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        if conditional:
            seen[case.name, case.size] = 0.8 * seen.get((case.name, case.size), flow.item()) + 0.2 * flow.item()
        if step % 22 == 0:
            mean = sum(seen.values()) / len(seen)
            print(
                f"{spent:.0f} s step {step} {mean:.4f}",
                [round(p, 2) for p in places or []],
                {k[0][:6]: round(v, 3) for k, v in seen.items()},
                flush=True,
            )
        if time.monotonic() - saved > 300:
            saved = time.monotonic()
            torch.save(transformer.state_dict(), args.out.with_suffix(".pt"))
    for block in (WHERE_BLOCK, WHICH_BLOCK):
        transformer.transformer_blocks[block]._forward_hooks.clear()
    plain.pos_embed.forward = plain_forward
    pipe = tools.pipe
    export(args.out, pipe.vae, pipe.transformer.eval(), pipe.text_encoder, pipe.tokenizer)


def _places(heads: Heads, states: dict[int, torch.Tensor], case: Shown, count: int) -> list[torch.Tensor]:
    """Cross-entropies of the auxiliary heads: where an image token is, and which glyph it shows."""
    _, rows, cols = case.shape
    row, col = torch.arange(rows * cols) // cols, torch.arange(rows * cols) % cols
    where, which = states[WHERE_BLOCK], states[WHICH_BLOCK]
    pairs = ((heads.image_row, where, row), (heads.image_col, where, col), (heads.glyph, which, case.glyphs))
    return [F.cross_entropy(head(x).flatten(0, 1), target.repeat(count)) for head, x, target in pairs]


if __name__ == "__main__":
    main()
